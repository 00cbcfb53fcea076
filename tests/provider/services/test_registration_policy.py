"""What an application that registered itself may be: each rule over the whole client, as a table."""

from dataclasses import fields, replace
from typing import Any

import pytest

from oidcgate.settings import Problem, parse
from provider.client_settings import ClientSettings
from provider.registration_settings import RegistrationSettings
from provider.services.registration_policy import allowed_scopes, policy_checks, policy_powers

REALM_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access", "orders")
PLAIN = ClientSettings(client_id="x", redirect_uris=("https://a.example/cb",))
NATIVE: dict[str, Any] = {"application_types": ["web", "native"]}
THIS_MACHINE = "http://localhost:8000/cb"
ISSUER = "https://id.example/r/one"


def found(client: ClientSettings, **policy: Any) -> list[Problem]:
    settings = parse(RegistrationSettings, policy)
    return [problem for check in policy_checks(settings, REALM_SCOPES, ISSUER) for problem in check(client)]


def keys(client: ClientSettings, **policy: Any) -> list[str]:
    return [problem.key for problem in found(client, **policy)]


def test_a_plain_client_is_what_everybody_may_be() -> None:
    assert found(PLAIN) == []


FORBIDDEN = [
    *(
        pytest.param({"flows": (flow,)}, "flows", id=flow)
        for flow in ("implicit", "hybrid", "client_credentials", "password", "device_code", "introspection")
    ),
    pytest.param({"flows": ("authorization_code", "implicit")}, "flows", id="one-flow-of-two"),
    pytest.param({"scopes": ("openid", "orders")}, "scopes", id="scope"),
    pytest.param({"scopes": ("*",)}, "scopes", id="every-scope"),
    pytest.param({"application_type": "native"}, "application_type", id="native"),
    pytest.param({"trusted": True}, "trusted", id="trusted"),
    pytest.param(
        {"insecure_token_endpoint_audience": True}, "insecure_token_endpoint_audience", id="insecure"
    ),
    pytest.param({"redirect_uris": ("https://a.example/", THIS_MACHINE)}, "redirect_uris[1]", id="loopback"),
    pytest.param({"redirect_uris": ("https://localhost/",)}, "redirect_uris[0]", id="loopback-by-https"),
    pytest.param({"redirect_uris": ("https://127.0.0.1/",)}, "redirect_uris[0]", id="loopback-address"),
    pytest.param(
        {"post_logout_redirect_uris": (THIS_MACHINE,)}, "post_logout_redirect_uris[0]", id="loopback-bye"
    ),
    pytest.param({"jwks_uri": THIS_MACHINE}, "jwks_uri", id="loopback-keys"),
    pytest.param({"backchannel_logout_uri": THIS_MACHINE}, "backchannel_logout_uri", id="loopback-notice"),
    pytest.param({"request_uris": (THIS_MACHINE,)}, "request_uris[0]", id="loopback-request"),
    pytest.param({"redirect_uris": ("https://a.example/",) * 21}, "redirect_uris", id="many-uris"),
    pytest.param({"request_uris": ("https://a.example/",) * 21}, "request_uris", id="many-requests"),
    pytest.param({"jwks_uri": "https://a.example/" + "x" * 2031}, "jwks_uri", id="long-uri"),
    pytest.param({"redirect_uris": ("https://a.example/" + "x" * 2031,)}, "redirect_uris", id="long-one"),
    pytest.param({"name": "x" * 201}, "name", id="long-name"),
    pytest.param({"name": "a\nb"}, "name", id="name-of-two-lines"),
    pytest.param({"name": "\u202eknaB ruoY"}, "name", id="name-from-right-to-left"),
]  # fmt: skip


@pytest.mark.row("P-13")
@pytest.mark.parametrize(("changes", "key"), FORBIDDEN)
def test_what_nobody_registers_by_default(changes: dict[str, Any], key: str) -> None:
    problems = found(replace(PLAIN, **changes))
    assert [problem.key for problem in problems] == [key]
    assert all(problem.message and problem.fix == "ask whoever runs the provider" for problem in problems)


ALLOWED = [
    pytest.param({"flows": ("revocation", "refresh_token", "authorization_code")}, {}, id="flows"),
    pytest.param({"flows": ("introspection",)}, {"flows": ["introspection"]}, id="introspection-by-policy"),
    pytest.param({"scopes": ("orders",)}, {"scopes": ["*"]}, id="scope-of-the-realm"),
    pytest.param({"scopes": ("orders",)}, {"scopes": ["orders"]}, id="scope-by-name"),
    pytest.param(
        {"application_type": "native", "redirect_uris": ("http://127.0.0.1/", "com.example.a:/cb")},
        NATIVE,
        id="native-on-its-machine",
    ),
    pytest.param(
        {"redirect_uris": (THIS_MACHINE,), "jwks_uri": THIS_MACHINE},
        {"insecure_allow_http_loopback": True},
        id="loopback-by-the-switch",
    ),
    pytest.param({"redirect_uris": ("https://a.example/",) * 20}, {}, id="as-many-as-may-be"),
    pytest.param({"redirect_uris": ("https://a.example/",) * 30}, {"max_uris": 30}, id="more-by-policy"),
    pytest.param({"jwks_uri": "https://a.example/" + "x" * 2030}, {}, id="as-long-as-may-be"),
    pytest.param({"name": "K\u00e4seladen \u4e16\u754c \U0001f6d2" + "x" * 180}, {}, id="a-name"),
    pytest.param({"name": "x" * 200}, {}, id="as-long-a-name-as-may-be"),
    pytest.param({"name": ""}, {}, id="no-name"),
    pytest.param({"require_pkce": True, "restricted_scopes": ("email",)}, {}, id="what-an-operator-took"),
]


@pytest.mark.parametrize(("changes", "policy"), ALLOWED)
def test_what_may_be(changes: dict[str, Any], policy: dict[str, Any]) -> None:
    assert found(replace(PLAIN, **changes), **policy) == []


STILL_FORBIDDEN = [
    pytest.param({"scopes": ("*",)}, {"scopes": ["*"]}, "scopes", id="every-scope"),
    pytest.param({"auth_method": "none"}, {"auth_methods": ["private_key_jwt"]}, "auth_method", id="method"),
    pytest.param({"flows": ("revocation",)}, {"flows": ["refresh_token"]}, "flows", id="revocation"),
    pytest.param({"application_type": "web"}, {"application_types": ["native"]}, "application_type", id="w"),
    pytest.param(
        {"application_type": "native", "jwks_uri": "http://127.0.0.1/"}, NATIVE, "jwks_uri", id="native-keys"
    ),
    pytest.param({"redirect_uris": ("https://a.example/",) * 2}, {"max_uris": 1}, "redirect_uris", id="two"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "policy", "key"), STILL_FORBIDDEN)
def test_what_may_not_be(changes: dict[str, Any], policy: dict[str, Any], key: str) -> None:
    assert keys(replace(PLAIN, **changes), **policy) == [key]


HOSTS = {"redirect_hosts": ["app.example.com", "*.apps.example"], **NATIVE}


@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        pytest.param("https://app.example.com/cb", True, id="named"),
        pytest.param("https://APP.example.com:8443/cb", True, id="any-port-any-case"),
        pytest.param("https://x.apps.example/cb", True, id="below"),
        pytest.param("https://a.b.apps.example/cb", True, id="far-below"),
        pytest.param("https://apps.example/cb", False, id="not-below-but-itself"),
        pytest.param("https://xapps.example/cb", False, id="ends-alike"),
        pytest.param("https://evilpp.example.com/cb", False, id="ends-like-the-named-one"),
        pytest.param("https://app.example.com.evil.example/cb", False, id="begins-alike"),
        pytest.param("https://evil.example/app.example.com", False, id="elsewhere"),
        pytest.param("https://app.example.com@evil.example/", True, id="no-url-which-others-refuse"),
        pytest.param("com.example.app:/cb", True, id="a-scheme-of-its-own"),
        pytest.param("http://127.0.0.1/cb", True, id="its-machine"),
        pytest.param("http://[::1]:9/cb", True, id="its-machine-by-ipv6"),
    ],
)
def test_hosts_of_redirects(uri: str, fine: bool) -> None:
    client = replace(PLAIN, application_type="native", redirect_uris=(), post_logout_redirect_uris=(uri,))
    assert keys(client, **HOSTS) == ([] if fine else ["post_logout_redirect_uris[0]"])
    assert keys(replace(client, redirect_uris=(uri,), post_logout_redirect_uris=()), **HOSTS) == (
        [] if fine else ["redirect_uris[0]"]
    )


def test_this_machine_is_no_host_of_a_web_application() -> None:
    client = replace(PLAIN, redirect_uris=(THIS_MACHINE,))
    assert keys(client, **HOSTS, insecure_allow_http_loopback=True) == ["redirect_uris[0]"]


def test_every_switch_that_is_insecure_is_an_operators() -> None:
    insecure = {entry.name for entry in fields(ClientSettings) if entry.name.startswith("insecure_")}
    assert insecure
    for name in insecure:
        assert keys(replace(PLAIN, **{name: True})) == [name]


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        pytest.param(("openid", "orders"), ("openid", "orders"), id="some"),
        pytest.param(("*",), REALM_SCOPES, id="all"),
        pytest.param(("*", "email"), REALM_SCOPES, id="all-and-one"),
        pytest.param((), (), id="none"),
    ],
)
def test_scopes_that_may_be_asked_for(said: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    assert allowed_scopes(RegistrationSettings(scopes=said), REALM_SCOPES) == allowed


def test_what_is_not_among_the_allowed_is_named() -> None:
    assert [problem.value for problem in found(replace(PLAIN, scopes=("openid", "orders")))] == ["orders"]


def test_one_insecure_switch_is_the_policys_to_give() -> None:
    client = replace(PLAIN, insecure_token_endpoint_audience=True)
    policy = RegistrationSettings(insecure_token_endpoint_audience=True)
    assert policy_powers(policy) == ("insecure_token_endpoint_audience",)
    assert policy_powers(RegistrationSettings()) == ()
    assert found(client, insecure_token_endpoint_audience=True) == []
    assert keys(replace(client, trusted=True), insecure_token_endpoint_audience=True) == ["trusted"]


def test_every_address_is_looked_at_and_the_wrong_one_is_named() -> None:
    uris = ("com.example.app:/cb", "https://evil.example/")
    client = replace(PLAIN, application_type="native", redirect_uris=uris)
    (problem,) = found(client, **HOSTS)
    assert (problem.key, problem.value) == ("redirect_uris[1]", "https://evil.example/")
    assert problem.message
    assert problem.fix == "ask whoever runs the provider"
    (problem,) = found(replace(PLAIN, redirect_uris=(THIS_MACHINE,)))
    assert problem.value == THIS_MACHINE


COLLECTING = {"flows": ("device_code",), "subject_type": "pairwise"}
LISTED = {"sector_identifier_uri": "https://a.example/sector"}
SECTORS = [
    pytest.param({**COLLECTING}, ["subject_type"], id="collected-and-nothing-lists-it"),
    pytest.param({**COLLECTING, "flows": ("password",)}, ["subject_type"], id="password"),
    pytest.param({**COLLECTING, **LISTED}, ["subject_type"], id="named-an-array-that-lists-it"),
    pytest.param({**COLLECTING, **LISTED, "redirect_uris": ()}, ["subject_type"], id="lists-nothing"),
    pytest.param(
        {**COLLECTING, "flows": ("authorization_code", "device_code")}, ["subject_type"], id="among-others"
    ),
    pytest.param({**COLLECTING, "flows": ("authorization_code",)}, [], id="answered-at-its-host"),
    pytest.param({**COLLECTING, "subject_type": "public"}, [], id="public"),
]


@pytest.mark.parametrize(("changes", "problems"), SECTORS)
def test_a_pairwise_client_is_answered_at_the_host_of_its_sector_alone(
    changes: dict[str, Any], problems: list[str]
) -> None:
    policy = {"flows": ["authorization_code", "device_code", "password"]}
    assert keys(replace(PLAIN, **changes), **policy) == problems


def test_the_problem_of_a_pairwise_client_that_collects_names_how() -> None:
    client = replace(PLAIN, subject_type="pairwise", flows=("password", "authorization_code", "device_code"))
    (problem,) = found(client, flows=["authorization_code", "device_code", "password"])
    assert (problem.key, problem.value) == ("subject_type", "pairwise")
    assert problem.message == (
        "is not for applications that register themselves with device_code and password"
    )
    assert problem.fix == "ask whoever runs the provider"


@pytest.mark.row("P-13")
@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        pytest.param("https://id.example/login", False, id="a-page"),
        pytest.param(
            "https://ID.example:443/r/other/end_session", False, id="of-another-realm-written-otherwise"
        ),
        pytest.param("https://id.example", False, id="bare"),
        pytest.param("https://id.example:8443/", True, id="another-port"),
        pytest.param("https://id.example.evil.example/", True, id="begins-alike"),
        pytest.param("https://app.id.example/", True, id="below"),
    ],
)
def test_no_address_of_the_provider_is_an_applications(uri: str, fine: bool) -> None:
    for name in (
        "redirect_uris",
        "post_logout_redirect_uris",
        "request_uris",
        "frontchannel_logout_uri",
        "backchannel_logout_uri",
        "jwks_uri",
        "initiate_login_uri",
        "logo_uri",
    ):
        one = (uri,) if name.endswith("uris") else uri
        key = f"{name}[0]" if name.endswith("uris") else name
        problems = found(replace(PLAIN, **{name: one}))
        assert [(problem.key, problem.value) for problem in problems] == ([] if fine else [(key, uri)])
        assert all("the provider itself" in problem.message and problem.fix for problem in problems)


def test_on_this_machine_another_port_is_another_application() -> None:
    policy = RegistrationSettings(insecure_allow_http_loopback=True)
    checks = policy_checks(policy, REALM_SCOPES, "http://localhost:9000")
    for port, keys_found in ((8000, []), (9000, ["redirect_uris[0]"])):
        client = replace(PLAIN, redirect_uris=(f"http://localhost:{port}/cb",))
        assert [problem.key for check in checks for problem in check(client)] == keys_found
