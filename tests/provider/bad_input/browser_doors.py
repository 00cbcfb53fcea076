"""What a browser comes to, and what a good request there is: the pages, and the public documents."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyotp

from provider.services.my_pages import MyPage
from provider.store.schema import totp
from tests.provider.asserting import public
from tests.provider.bad_input.account_doors import LEADS_TO, OPENED, PROPERTIES, refused, strangers
from tests.provider.bad_input.oracle import (
    ERROR_PAGE,
    FINE,
    Door,
    Outcome,
    Parameter,
    Sent,
    Shown,
)
from tests.provider.sign_in.objects import OURS, REQUEST_URI, signed
from tests.provider.sign_in.place import (
    BYE,
    CALLBACK,
    CLIENT_SECRET,
    ISSUER,
    Browser,
    Page,
    World,
    authorize_url,
    client,
    settings_document,
)

API = "https://api.example"
FLOWS = ["authorization_code", "refresh_token", "hybrid", "device_code"]
OTHER_URI, OTHER_BYE = "https://other.example/cb", "https://other.example/bye"
CLIENTS = [
    client("app", flows=FLOWS, scopes=["*"], post_logout_redirect_uris=[BYE]),
    client("trusted", trusted=True, flows=FLOWS, scopes=["*"], session_management=True),
    client("strict", trusted=True, second_factor="required"),
    client("other", trusted=True, redirect_uris=[OTHER_URI], post_logout_redirect_uris=[OTHER_BYE]),
    client("tv", flows=["device_code"], redirect_uris=[]),
    client(
        "sender",
        trusted=True,
        jwks=public(OURS),
        request_object_signing_alg="RS256",
        request_uris=[REQUEST_URI],
    ),
]
SECOND = {
    "name": "second",
    "clients": [client("only-second", trusted=True), client("trusted", trusted=True)],
    "users": settings_document()["users"],
}
SETTINGS: dict[str, Any] = {
    "clients": CLIENTS,
    "realms": [SECOND],
    "users": [
        {**user, "organizations": ["acme", "globex"] if user["user_name"] == "Bob" else []}
        for user in settings_document()["users"]
    ],
    "organizations": [{"org_id": "acme"}, {"org_id": "globex"}, {"org_id": "initech"}],
    "properties": PROPERTIES,
    "resources": [{"audience": API, "scopes": ["read"], "include": ["oidc_scopes"]}],
    "scopes": [{"value": "read"}],
    "second_factor": {"mode": "acr", "enrol_at_sign_in": True},
    "request_objects": {"by_value": True, "by_reference": True},
    "throttle": {"account_failures": 1000, "network_failures": 100_000, "devices_per_client": 100_000},
}
# Where any answer may lead: ourselves, and what is registered.
TARGETS = (f"{ISSUER}/", CALLBACK, BYE, OTHER_URI, OTHER_BYE)


@dataclass
class Visit:
    """A browser in front of a good request that it has not sent yet.

    Attributes:
        secrets: What of it must be written nowhere.
        strangers: Gives true values of somebody else for a parameter, by who it is.
    """

    browser: Browser
    fields: list[tuple[str, str]]
    secrets: tuple[str, ...] = ()
    strangers: Callable[[str], dict[str, str]] = lambda name: {}


Make = Callable[[World], Visit]


def _forms_of_others(world: World, name: str) -> dict[str, str]:
    """A hidden field of the sign-in pages of another browser, and of another realm."""
    if name not in ("interaction", "csrf"):
        return {}
    theirs = world.browser().authorize("app").hidden
    query = urlsplit(authorize_url("trusted")).query
    second = world.browser().go(f"{ISSUER}/r/second/authorize?{query}").hidden
    return {"browser": theirs[name], "realm": second[name]}


def _form(world: World, browser: Browser, page: Page, main_id: str, *secrets: str, **filled: str) -> Visit:
    assert page.main_id == main_id, (page.status, page.main_id, page.location, page.text[:300])
    # The CSRF token alone is worth nothing, but has no business in a log.
    secrets = (*secrets, page.hidden["csrf"])
    return Visit(browser, [*page.hidden.items(), *filled.items()], secrets, partial(_forms_of_others, world))


def _asking(client_id: str, **changes: str | None) -> list[tuple[str, str]]:
    said = {"state": "s-1", "login_hint": "alice", "ui_locales": "en", **changes}
    return parse_qsl(urlsplit(authorize_url(client_id, **said)).query)


def _asked_by_others(world: World, name: str) -> dict[str, str]:
    match name:
        case "client_id":
            return {"client": "other", "realm": "only-second"}
        case "redirect_uri":
            return {"client": OTHER_URI}
        case "id_token_hint":
            return _hints(world)
    return {}


def _hints(world: World) -> dict[str, str]:
    """An ID token of another client, and a token of ours that is none."""
    of_other = world.tokens(world.browser().signed_in("other"), "other")
    return {"client": of_other["id_token"], "kind": of_other["access_token"]}


def _authorize(world: World) -> Visit:
    return Visit(world.browser(), _asking("trusted"), (), partial(_asked_by_others, world))


def _authorize_object(world: World) -> Visit:
    """What is beside the object is said in it too; without it, it would be a request as well."""
    said = {"scope": "openid", "redirect_uri": CALLBACK, "state": "s-1", "request": signed("sender")}
    fields = [("client_id", "sender"), ("response_type", "code"), *said.items()]

    def of_others(name: str) -> dict[str, str]:
        if name == "request":
            return {"client": signed("other"), "realm": signed("sender", aud=f"{ISSUER}/r/second")}
        return _asked_by_others(world, name) if name == "client_id" else {}

    return Visit(world.browser(), fields, (), of_others)


def _authorize_signed_in(world: World) -> Visit:
    browser = world.browser()
    browser.signed_in("trusted")
    return Visit(browser, _asking("trusted"), (), partial(_asked_by_others, world))


def _authorize_hybrid(world: World) -> Visit:
    browser = world.browser()
    browser.signed_in("trusted")
    fields = _asking("trusted", response_type="code id_token", response_mode="form_post")
    return Visit(browser, fields, (), partial(_asked_by_others, world))


def _login_shown(world: World) -> Visit:
    browser = world.browser()
    visit = _form(world, browser, browser.authorize("app"), "page-login")
    return Visit(browser, visit.fields[:1], (), visit.strangers)


def _login(world: World) -> Visit:
    browser = world.browser()
    page = browser.authorize("app")
    return _form(world, browser, page, "page-login", "demo-alice", username="alice", password="demo-alice")


def _account(world: World) -> Visit:
    browser = world.browser()
    browser.signed_in("trusted")
    page = browser.authorize("trusted", prompt="select_account")
    return _form(world, browser, page, "page-account", decision="continue")


def _organization(world: World) -> Visit:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("trusted"), "Bob")
    return _form(world, browser, page, "page-organization", org_id="acme")


def _enrol(world: World) -> Visit:
    with world.provider.parts.store.begin() as conn:
        conn.execute(totp.delete().where(totp.c.user_id == "sub-alice"))
    browser = world.browser()
    page = browser.sign_in(browser.authorize("strict"), "alice")
    otp = pyotp.TOTP(_secret_on(page)).at(world.now)
    # Skipping is not offered, so the field for it is one that the page does not have.
    return _form(world, browser, page, "page-enrol", otp, otp=otp)


def _secret_on(page: Page) -> str:
    return page.text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")


def _otp(world: World) -> Visit:
    """Somebody with an authenticator is asked for its code, which is good once: time goes on."""
    if not _KEYS.get(id(world)):
        browser = world.browser()
        page = browser.sign_in(browser.authorize("strict"), "Bob")
        secret = _KEYS[id(world)] = _secret_on(page)
        browser.submit(page, otp=pyotp.TOTP(secret).at(world.now))
    world.sleep(60)
    browser = world.browser()
    page = browser.sign_in(browser.authorize("strict"), "Bob")
    otp = pyotp.TOTP(_KEYS[id(world)]).at(world.now)
    return _form(world, browser, page, "page-otp", otp, otp=otp)


_KEYS: dict[int, str] = {}


def _consent(world: World) -> Visit:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("app", scope="openid profile", prompt="consent"), "alice")
    return _form(world, browser, page, "page-consent", scope="profile", decision="allow")


def _end(world: World) -> Visit:
    browser = world.browser()
    tokens = world.tokens(browser.signed_in("trusted"))
    fields = [
        ("id_token_hint", tokens["id_token"]),
        ("client_id", "trusted"),
        ("post_logout_redirect_uri", BYE),
        ("state", "s-1"),
    ]
    return Visit(browser, fields, (tokens["id_token"],), partial(_ended_by_others, world))


def _ended_by_others(world: World, name: str) -> dict[str, str]:
    if name == "post_logout_redirect_uri":
        return {"client": OTHER_BYE}
    return _asked_by_others(world, name)


def _end_confirm(world: World) -> Visit:
    browser = world.browser()
    browser.signed_in("trusted")
    return _form(world, browser, browser.go(f"{ISSUER}/end_session?client_id=trusted"), "page-logout")


def _device_code(world: World) -> str:
    response = world.browser().client.post(
        "/device_authorization",
        data={"scope": "openid"},
        auth=("tv", CLIENT_SECRET),
        base_url=ISSUER,
    )
    assert response.status_code == 200, response.text
    return str(response.get_json()["user_code"])


def _device_shown(world: World) -> Visit:
    return Visit(world.browser(), [("user_code", _device_code(world))])


def _device(world: World) -> Visit:
    browser, code = world.browser(), _device_code(world)
    return _form(world, browser, browser.go(f"{ISSUER}/device"), "page-device", user_code=code)


def _device_confirm(world: World) -> Visit:
    browser = world.browser()
    page = browser.submit(browser.go(f"{ISSUER}/device"), user_code=_device_code(world))
    return _form(world, browser, page, "page-device-confirm", decision="allow")


def _mine(page: MyPage) -> Make:
    def make(world: World) -> Visit:
        browser, fields, secrets = OPENED[page](world)
        return Visit(browser, fields, secrets, partial(strangers, world, page))

    return make


def _my_overview(world: World) -> Visit:
    browser = world.browser()
    browser.signed_in("trusted")
    return Visit(browser, [("done", "x")])


def _plain(world: World) -> Visit:
    return Visit(world.browser(), [])


ANYTHING = Parameter("foo")
SENT = Sent("invalid_request")
# Nothing but a page as long as client and address are not known to belong together (P-02).
NOBODY, NOWHERE = Shown(400, "page-error"), Shown(400, "page-error")
NOT_AN_OBJECT = Sent("invalid_request_object")
# A whole token, so it may be as long as one.
OBJECT = Parameter("request", other=NOT_AN_OBJECT, long=NOT_AN_OBJECT)
AUTHORIZE = (
    ANYTHING,
    Parameter("client_id", absent=NOBODY, other=NOBODY, malformed=NOBODY),
    Parameter("redirect_uri", absent=NOWHERE, other=NOWHERE, malformed=NOWHERE),
    # Told by the code of the specification, where an answer may go at all.
    Parameter("scope", absent=Sent("invalid_scope"), other=Sent("invalid_scope"),
              # Of two values the one that nobody knows is left out.
              but={"broken-escape": FINE, "escaped-twice": FINE, "trailing-space": FINE}),
    # What a client says for itself comes back as it is.
    Parameter("state"),
    Parameter("code_challenge", absent=SENT, other=SENT),
    Parameter("code_challenge_method", absent=SENT, other=SENT),
    Parameter("prompt", "login", other=SENT, but={"trailing-space": FINE}),
    Parameter("max_age", "100", other=SENT, but={"number": FINE}),
    Parameter("login_hint"),
    Parameter("id_token_hint", other=SENT, long=SENT),
    Parameter("acr_values"),
    Parameter("amr_values"),
    Parameter("claims", "{}", other=SENT, but={"object": FINE, "trailing-space": FINE}),
    Parameter("ui_locales"),
    Parameter("display"),
    OBJECT,
    Parameter("request_uri", other=Sent("invalid_request_uri")),
    Parameter("registration", other=Sent("registration_not_supported")),
)  # fmt: skip
NONCE = Parameter("nonce")
# Who belongs where is nobody's business before the sign-in.
ORGANIZATION, NOT_A_MEMBER = (
    Parameter("org_id"),
    Parameter("org_id", other=Sent("access_denied"), absent=FINE),
)
RESPONSE = (
    Parameter("response_type", absent=SENT, other=Sent("unsupported_response_type"),
              but={"trailing-space": FINE}),
    Parameter("response_mode", "query", other=SENT),
)  # fmt: skip
TWICE = {"repeated-same": FINE, "repeated-empty": FINE}
APIS = (
    # RFC 8707 2 lets both be repeated; two different ones are one too many for us.
    Parameter("resource", API, other=Sent("invalid_target"), but=TWICE),
    Parameter("audience", API, other=Sent("invalid_target"), but=TWICE),
)


def _own(name: str, absent: Outcome, other: Outcome, **changes: Any) -> Parameter:
    """A field of our own form: what a page of ours does not send is told to the person."""
    said = {"control": other, "long": other, "repeated": ERROR_PAGE, **changes}
    return Parameter(name, absent=absent, other=other, **said)


INTERACTION = _own("interaction", ERROR_PAGE, ERROR_PAGE)
# A field that no page of ours has is nothing to us.
OWN = _own("foo", FINE, FINE, repeated=FINE)


def _csrf(main_id: str) -> Parameter:
    return _own("csrf", Shown(400, main_id), Shown(400, main_id))


def door(id: str, method: str, path: str, *parameters: Parameter, malformed: Outcome = ERROR_PAGE) -> Door:
    return Door(id, method, path, parameters, malformed, ERROR_PAGE)


def authorize(id: str, method: str, *parameters: Parameter) -> Door:
    return door(id, method, "/authorize", *AUTHORIZE, *APIS, *parameters, malformed=SENT)


WRONG_LOGIN = Shown(403, "page-login")
DOORS: dict[Door, Make] = {
    authorize("authorize", "GET", NONCE, ORGANIZATION, *RESPONSE): _authorize,
    authorize("authorize-post", "POST", NONCE, ORGANIZATION, *RESPONSE): _authorize,
    authorize("authorize-signed-in", "GET", NONCE, NOT_A_MEMBER, *RESPONSE): _authorize_signed_in,
    authorize("authorize-hybrid", "GET", Parameter("nonce", absent=SENT), NOT_A_MEMBER): _authorize_hybrid,
    door(
        "authorize-object", "GET", "/authorize",
        ANYTHING,
        OBJECT,
        Parameter("client_id", absent=NOBODY, other=NOBODY, malformed=NOBODY),
        # The object says it too, and goes before; but nothing is read twice, and nothing that is too long.
        Parameter("redirect_uri", malformed=NOWHERE),
        Parameter("response_type", other=NOT_AN_OBJECT, but={"trailing-space": FINE}),
        Parameter("scope"),
        Parameter("state"),
        malformed=SENT,
    ): _authorize_object,
    door("login-shown", "GET", "/login", OWN, INTERACTION): _login_shown,
    door(
        "login",
        "POST",
        "/login",
        OWN,
        INTERACTION,
        _csrf("page-login"),
        # Names count in any case, and phones add a space to a word.
        _own("username", WRONG_LOGIN, WRONG_LOGIN, but={"other-case": FINE, "trailing-space": FINE}),
        _own("password", WRONG_LOGIN, WRONG_LOGIN),
    ): _login,
    door(
        "account", "POST", "/login/account", OWN, INTERACTION, _csrf("page-account"),
        _own("decision", ERROR_PAGE, ERROR_PAGE),
    ): _account,
    door(
        "organization", "POST", "/login/organization", OWN, INTERACTION, _csrf("page-organization"),
        _own("org_id", ERROR_PAGE, ERROR_PAGE),
    ): _organization,
    door(
        "enrol", "POST", "/login/enrol", OWN, INTERACTION, _csrf("page-enrol"),
        _own("otp", Shown(403, "page-enrol"), Shown(403, "page-enrol"), but={"trailing-space": FINE}),
    ): _enrol,
    door(
        "otp", "POST", "/login/otp", OWN, INTERACTION, _csrf("page-otp"),
        _own("otp", Shown(403, "page-otp"), Shown(403, "page-otp"), but={"trailing-space": FINE}),
    ): _otp,
    door(
        "consent", "POST", "/consent", OWN, INTERACTION, _csrf("page-consent"),
        _own("decision", ERROR_PAGE, ERROR_PAGE),
        # Check boxes share a name, and a box that is not checked is not sent.
        _own("scope", FINE, ERROR_PAGE, but={"repeated-same": FINE, "repeated-empty": ERROR_PAGE,
                                             "empty": ERROR_PAGE}),
    ): _consent,
    door(
        "end", "GET", "/end_session",
        ANYTHING,
        Parameter("id_token_hint", long=FINE),
        Parameter("client_id"),
        Parameter("post_logout_redirect_uri"),
        Parameter("state"),
        Parameter("logout_hint"),
        Parameter("ui_locales"),
    ): _end,
    door(
        "end-post", "POST", "/end_session",
        ANYTHING,
        Parameter("id_token_hint", long=FINE),
        Parameter("client_id"),
        Parameter("post_logout_redirect_uri"),
        Parameter("state"),
    ): _end,
    door("end-confirm", "POST", "/end_session/confirm", OWN, INTERACTION, _csrf("page-logout")): _end_confirm,
    door("device-shown", "GET", "/device", OWN, _own("user_code", FINE, FINE)): _device_shown,
    door(
        "device", "POST", "/device", OWN, _csrf("page-device"),
        _own("user_code", Shown(403, "page-device"), Shown(403, "page-device"),
             but={"other-case": FINE, "trailing-space": FINE}),
    ): _device,
    door(
        "device-confirm", "POST", "/device/confirm", OWN, INTERACTION, _csrf("page-device-confirm"),
        _own("decision", ERROR_PAGE, ERROR_PAGE),
    ): _device_confirm,
    door("my-overview", "GET", MyPage.OVERVIEW, OWN, _own("done", FINE, FINE)): _my_overview,
    door(
        "my-profile", "POST", MyPage.PROFILE, OWN, _csrf("page-my-profile"),
        _own("of-nickname", FINE, FINE, control=refused(MyPage.PROFILE), long=refused(MyPage.PROFILE),
             but={"turned-around": refused(MyPage.PROFILE)}),
    ): _mine(MyPage.PROFILE),
    door(
        "my-password", "POST", MyPage.PASSWORD, OWN, _csrf("page-my-password"),
        _own("password", refused(MyPage.PASSWORD, 403), refused(MyPage.PASSWORD, 403)),
        _own("new_password", refused(MyPage.PASSWORD), refused(MyPage.PASSWORD)),
        _own("new_password_again", refused(MyPage.PASSWORD), refused(MyPage.PASSWORD)),
        _own("end_others", FINE, FINE),
    ): _mine(MyPage.PASSWORD),
    door(
        "my-authenticator", "POST", MyPage.AUTHENTICATOR, OWN, _csrf("page-my-authenticator"),
        _own("decision", ERROR_PAGE, ERROR_PAGE),
    ): _mine(MyPage.AUTHENTICATOR),
    door(
        "my-new-authenticator", "POST", MyPage.NEW_AUTHENTICATOR, OWN, _csrf("page-my-new-authenticator"),
        _own("otp", refused(MyPage.NEW_AUTHENTICATOR, 403), refused(MyPage.NEW_AUTHENTICATOR, 403),
             but={"trailing-space": FINE}),
        _own("waiting", refused(MyPage.NEW_AUTHENTICATOR), refused(MyPage.NEW_AUTHENTICATOR)),
    ): _mine(MyPage.NEW_AUTHENTICATOR),
    door(
        "my-sessions", "POST", MyPage.SESSIONS, OWN, _csrf("page-my-sessions"),
        _own("sid", ERROR_PAGE, ERROR_PAGE, but={"other-case": FINE}),
        _own("decision", FINE, FINE),
    ): _mine(MyPage.SESSIONS),
    door(
        "my-applications", "POST", MyPage.APPLICATIONS, OWN, _csrf("page-my-applications"),
        # Nobody's client has nothing, which is what was asked for.
        _own("client_id", ERROR_PAGE, FINE, long=ERROR_PAGE, but={"nul": ERROR_PAGE}),
    ): _mine(MyPage.APPLICATIONS),
    **{
        Door(path.strip("/") or "home", "GET", path, (ANYTHING,), FINE, FINE): _plain
        for path in (
            "/",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/check_session",
            "/jwks",
            "/healthz",
            "/readyz",
        )
    },
}  # fmt: skip

#: Where the answer to a good request goes, by door; the others show a page of ours.
GOOD: dict[str, str] = {
    "authorize": f"{ISSUER}/login?interaction=",
    "authorize-object": f"{ISSUER}/login?interaction=",
    "authorize-post": f"{ISSUER}/authorize?interaction=",
    "device": f"{ISSUER}/device/confirm?interaction=",
    "end-post": f"{ISSUER}/end_session?interaction=",
    **dict.fromkeys(
        ("login", "account", "organization", "enrol", "otp", "consent", "device-confirm"),
        f"{ISSUER}/authorize?interaction=",
    ),
    **{f"my-{page.name.lower().replace('_', '-')}": address for page, address in LEADS_TO.items()},
}


PUBLIC = {"jwks", ".well-known/openid-configuration", ".well-known/oauth-authorization-server"}
