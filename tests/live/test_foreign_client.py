"""Our provider serves a client nobody here wrote: npm `openid-client`, which is certified, its checks on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.live import peers
from tests.live.provider_for_clients import (
    API,
    ENCRYPTION,
    LOGGED_OUT,
    PASSWORD,
    REDIRECT,
    SCOPE_OF_API,
    SECRET,
    USER,
    ProviderForClients,
    answer_of,
)
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def process(peer_folder: Path) -> Iterator[peers.ForeignClient]:
    with peers.foreign_client(peer_folder) as started:
        yield started


@dataclass(frozen=True)
class Library:
    """`openid-client`, which can be one client after another."""

    provider: ProviderForClients
    process: peers.ForeignClient

    def ask(self, step: str, **values: Any) -> dict[str, Any]:
        """Have it do `step`, which has to succeed."""
        answer = self.process.ask(step, **values)
        assert "error" not in answer, answer
        return answer

    def become(self, client_id: str, *, method: str = "client_secret_basic", **settings: Any) -> None:
        """Read discovery as this client."""
        values = {
            "issuer": self.provider.issuer,
            "client_id": client_id,
            "client_secret": SECRET,
            "method": method,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email offline_access",
        }
        if method == "private_key_jwt":
            algorithm = settings.pop("algorithm", "RS256")
            values["signing_key"] = self.provider.keys.signing[algorithm].as_dict(private=True)
        self.ask("configure", **{**values, **settings})

    def sign_in(self, **parameters: str) -> dict[str, Any]:
        """Send Alice to the provider and take the answer."""
        url = self.provider.answer(self.ask("start", parameters=parameters)["url"])
        return self.ask("callback", url=url, max_age=parameters.get("max_age"))

    def token(self, name: str) -> str:
        """One of the tokens that came last."""
        return str(self.ask("token", name=name)["token"])


@pytest.fixture
def library(provider: ProviderForClients, process: peers.ForeignClient) -> Library:
    return Library(provider, process)


METHODS = [
    pytest.param("client_secret_basic", "client_secret_basic", id="client_secret_basic"),
    pytest.param("client_secret_post", "client_secret_post", id="client_secret_post"),
    pytest.param("client_secret_jwt", "client_secret_jwt", id="client_secret_jwt"),
    pytest.param("private_key_jwt-RS256", "private_key_jwt", id="private_key_jwt"),
    pytest.param("published_keys", "private_key_jwt", id="private_key_jwt-by-jwks_uri"),
    pytest.param("none", "none", id="none"),
]


@pytest.mark.row("E-01", "E-05", "E-08", "S-01", "S-02", "S-03", "S-13", "S-16", "S-17", "S-59", "F-14")
@pytest.mark.parametrize(("client_id", "method"), METHODS)
def test_code_flow_userinfo_and_refresh(library: Library, client_id: str, method: str) -> None:
    library.become(client_id, method=method)
    signed_in = library.sign_in()
    assert "refresh_token" in signed_in["members"]
    assert signed_in["claims"]["preferred_username"] == USER

    told = library.ask("userinfo")
    assert told["claims"]["sub"] == signed_in["claims"]["sub"]
    assert told["claims"]["email"] == "alice@id.example"
    for _ in range(2):
        refreshed = library.ask("refresh")
        assert refreshed["rotated"]
        assert refreshed["claims"]["sub"] == signed_in["claims"]["sub"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_what_is_asked_for_is_signed(library: Library, algorithm: str) -> None:
    key = library.provider.keys.signing[algorithm].as_dict(private=True)
    library.become(f"signs_requests-{algorithm}", request_key=key)
    url = library.ask("start", parameters={"max_age": "600", "claims": '{"userinfo":{"email":null}}'})["url"]
    assert parse_qs(urlsplit(url).query).keys() == {"client_id", "request"}
    signed_in = library.ask("callback", url=library.provider.answer(url), max_age="600")
    assert signed_in["claims"]["preferred_username"] == USER
    assert library.ask("userinfo")["claims"]["email"] == "alice@id.example"


@pytest.mark.row("E-23", "P-37")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
def test_a_client_that_registered_itself(library: Library, method: str) -> None:
    provider = library.provider
    metadata: dict[str, Any] = {
        "client_name": "Registered by itself",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": method,
        "jwks": provider.keys.public,
        "software_id": "nobody-asks",
    }
    told = library.ask(
        "register",
        issuer=provider.issuer,
        metadata=metadata,
        method=method,
        token=provider.registration_token,
        signing_key=provider.keys.signing["RS256"].as_dict(private=True),
        redirect_uri=REDIRECT,
        scope="openid profile email offline_access",
    )["told"]
    assert told.items() >= {
        name: value for name, value in metadata.items() if name != "software_id"
    }.items()  # fmt: skip
    assert "software_id" not in told
    assert ("client_secret" in told) == method.startswith("client_secret")
    signed_in = library.sign_in(prompt="consent")
    assert signed_in["claims"]["preferred_username"] == USER
    assert signed_in["claims"]["aud"] == told["client_id"]
    assert library.ask("refresh")["rotated"]

    own = {"Authorization": f"Bearer {told['registration_access_token']}"}
    address = told["registration_client_uri"]
    assert requests.get(address, headers=own, timeout=30).json()["client_name"] == "Registered by itself"
    assert requests.delete(address, headers=own, timeout=30).status_code == 204
    # The second is its word for a 401 with a challenge, which whoever came by the header is sent.
    refused = library.process.ask("refresh")["error"]
    assert refused in ("invalid_client", "OAUTH_WWW_AUTHENTICATE_CHALLENGE")


@pytest.mark.row("E-23")
def test_a_client_that_may_not_register_is_told_why(library: Library) -> None:
    asked = {"issuer": library.provider.issuer, "method": "none", "metadata": {"redirect_uris": [REDIRECT]}}
    nobody = library.process.ask("register", **asked)
    assert nobody["error"] == "OAUTH_WWW_AUTHENTICATE_CHALLENGE"
    token = library.provider.registration_token
    metadata = {"redirect_uris": ["http://client.example/"]}
    wrong = library.process.ask("register", **{**asked, "metadata": metadata}, token=token)
    assert wrong["error"] == "invalid_redirect_uri"


@pytest.mark.row("S-21", "E-08")
@pytest.mark.parametrize(("client_id", "method"), METHODS)
def test_a_revoked_refresh_token_ends_its_access_token(library: Library, client_id: str, method: str) -> None:
    library.become(client_id, method=method)
    library.sign_in()
    assert library.ask("userinfo")["claims"]["name"] == "Alice Example"

    library.ask("revoke", name="refresh_token")

    assert library.process.ask("userinfo")["error"] == "OAUTH_WWW_AUTHENTICATE_CHALLENGE"
    assert library.process.ask("refresh")["error"] == "invalid_grant"


@pytest.mark.row("S-20", "S-21")
def test_an_api_is_told_what_a_token_is_worth(library: Library) -> None:
    library.become("client_secret_post", method="client_secret_post")
    subject = library.sign_in()["claims"]["sub"]
    token = library.token("access_token")

    library.become("api")
    told = library.ask("introspect", token=token)
    assert {name: told[name] for name in ("active", "sub", "client_id", "iss")} == {
        "active": True,
        "sub": subject,
        "client_id": "client_secret_post",
        "iss": library.provider.issuer,
    }
    assert library.ask("introspect", token="nobody-gave-this") == {"active": False}

    library.become("client_secret_post", method="client_secret_post")
    assert library.process.ask("introspect", token=token)["error"] == "unauthorized_client"


@pytest.mark.row("S-06", "F-14")
@pytest.mark.parametrize("response_mode", [None, "form_post"])
def test_hybrid_flow(library: Library, response_mode: str | None) -> None:
    library.become("hybrid", response_type="code id_token")
    finished = library.sign_in() if response_mode is None else form_post(library)
    assert {"access_token", "id_token", "refresh_token"} <= set(finished["members"])
    assert finished["claims"]["preferred_username"] == USER
    assert library.ask("userinfo")["claims"]["name"] == "Alice Example"


@pytest.mark.row("E-02", "S-05", "F-14")
@pytest.mark.parametrize("response_mode", [None, "form_post"])
def test_implicit_flow(library: Library, response_mode: str | None) -> None:
    library.become("implicit", method="none", response_type="id_token", scope="openid profile")
    finished = library.sign_in() if response_mode is None else form_post(library)
    assert finished["claims"]["preferred_username"] == USER
    assert finished["claims"]["aud"] == "implicit"


@pytest.mark.row("E-25")
def test_form_post_answers_are_taken(library: Library) -> None:
    library.become("client_secret_basic")
    assert form_post(library)["claims"]["preferred_username"] == USER


def form_post(library: Library) -> dict[str, Any]:
    agent = library.provider.browser
    page = agent.open(library.ask("start", parameters={"response_mode": "form_post"})["url"])
    if page.main_id == "page-login":
        page = agent.press(page, "login", {"username": USER, "password": PASSWORD})
    [form] = page.forms
    assert (form.action, form.method) == (REDIRECT, "post")
    return library.ask("callback", url=REDIRECT, body=urlencode(form.fields))


@pytest.mark.row("E-12", "S-12", "E-09")
@pytest.mark.parametrize("discovery", ["oidc", "oauth2"])
def test_a_server_acts_for_itself_at_an_api(library: Library, discovery: str) -> None:
    library.become("robot", discovery=discovery)
    given = library.ask("client_credentials", parameters={"scope": SCOPE_OF_API, "resource": API})
    assert given["members"] == ["access_token", "expires_in", "scope", "token_type"]
    assert given["scope"] == SCOPE_OF_API

    read = library.ask("read_access_token", audience=API)
    claims = read["claims"]
    assert {name: claims[name] for name in ("sub", "client_id", "aud", "scope")} == {
        "sub": "robot",
        "client_id": "robot",
        "aud": API,
        "scope": SCOPE_OF_API,
    }
    refused = library.process.ask("read_access_token", audience="https://another.example")
    assert refused["error"] == "ERR_JWT_CLAIM_VALIDATION_FAILED"


@pytest.mark.row("E-09", "E-10")
def test_an_access_token_for_an_api_is_read_from_the_keys_alone(library: Library) -> None:
    library.become("client_secret_basic", scope=f"openid offline_access {SCOPE_OF_API}")
    subject = library.sign_in(resource=API)["claims"]["sub"]
    for claims in (
        library.ask("read_access_token", audience=API)["claims"],
        library.ask("refresh") and library.ask("read_access_token", audience=API)["claims"],
    ):
        assert (claims["sub"], claims["client_id"]) == (subject, "client_secret_basic")
        assert SCOPE_OF_API in claims["scope"].split()
    assert library.process.ask("userinfo")["error"] == "OAUTH_WWW_AUTHENTICATE_CHALLENGE"


@pytest.mark.row("S-11")
def test_a_password_is_exchanged_for_tokens(library: Library) -> None:
    library.become("password")
    whole = {"username": USER, "password": PASSWORD, "scope": "openid profile offline_access"}
    given = library.ask("grant", type="password", parameters=whole)
    assert "refresh_token" in given["members"]
    assert given["claims"]["preferred_username"] == USER
    assert library.ask("userinfo")["claims"]["sub"] == given["claims"]["sub"]
    assert library.ask("refresh")["rotated"]
    wrong = library.process.ask("grant", type="password", parameters={**whole, "password": "demo-bob"})
    assert wrong["error"] == "invalid_grant"


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_device_is_signed_in_elsewhere(library: Library, decision: str) -> None:
    library.become("television", method="none")
    shown = library.ask("device")
    agent = library.provider.browser
    page = agent.press(agent.open(shown["verification_uri_complete"]), "send")
    assert page.main_id == "page-device-confirm"
    page = agent.press(page, decision)
    if page.main_id == "page-login":
        page = agent.press(page, "login", {"username": USER, "password": PASSWORD})
    assert page.main_id == "page-device-done"

    if decision == "deny":
        assert library.process.ask("poll")["error"] == "access_denied"
    else:
        given = library.ask("poll")
        assert given["claims"]["preferred_username"] == USER
        assert library.ask("userinfo")["claims"]["sub"] == given["claims"]["sub"]
        assert library.ask("refresh")["rotated"]


@pytest.mark.row("S-02")
@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "Ed25519"])
def test_assertions_in_other_algorithms_are_taken(library: Library, algorithm: str) -> None:
    library.become(f"private_key_jwt-{algorithm}", method="private_key_jwt", algorithm=algorithm)
    assert library.sign_in()["claims"]["preferred_username"] == USER
    # The key is known there, and it is not the one of this client's algorithm.
    library.become("private_key_jwt-RS256", method="private_key_jwt", algorithm=algorithm)
    url = library.provider.answer(library.ask("start")["url"])
    assert library.process.ask("callback", url=url)["error"] == "invalid_client"


@pytest.mark.row("S-48", "S-16")
@pytest.mark.parametrize("response_type", ["code", "code id_token"])
@pytest.mark.parametrize("algorithm", ENCRYPTION)
def test_encrypted_answers_are_opened(library: Library, algorithm: str, response_type: str) -> None:
    library.become(
        algorithm,
        encryption_key=library.provider.keys.opening(algorithm),
        content_algorithms=[ENCRYPTION[algorithm]],
        metadata={"userinfo_signed_response_alg": "RS256"},
        response_type=response_type,
    )
    finished = library.sign_in()
    assert (finished["header"]["alg"], finished["header"]["enc"]) == (algorithm, ENCRYPTION[algorithm])
    assert finished["claims"]["preferred_username"] == USER
    assert library.ask("refresh")["header"]["enc"] == ENCRYPTION[algorithm]
    assert library.ask("userinfo")["claims"]["email"] == "alice@id.example"


@pytest.mark.row("S-48")
def test_an_encrypted_id_token_is_of_no_use_without_the_key(library: Library) -> None:
    library.become("RSA-OAEP-256")
    url = library.provider.answer(library.ask("start")["url"])
    assert library.process.ask("callback", url=url)["error"] == "OAUTH_UNSUPPORTED_OPERATION"


@pytest.mark.row("E-25")
def test_the_time_of_the_sign_in_is_told(library: Library) -> None:
    library.become("client_secret_basic")
    told = library.sign_in(max_age="600")["claims"]
    assert told["amr"] == ["pwd"]
    again = library.sign_in(prompt="none", max_age="600", id_token_hint=library.token("id_token"))
    assert again["claims"]["auth_time"] == told["auth_time"]


@pytest.mark.row("S-16")
def test_signed_userinfo_is_verified(library: Library) -> None:
    library.become("signed_userinfo", metadata={"userinfo_signed_response_alg": "RS256"})
    library.sign_in()
    told = library.ask("userinfo")["claims"]
    assert (told["name"], told["iss"], told["aud"]) == (
        "Alice Example", library.provider.issuer, "signed_userinfo",
    )  # fmt: skip


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "Ed25519"])
def test_id_tokens_in_other_algorithms_are_verified(library: Library, algorithm: str) -> None:
    library.become(algorithm, metadata={"id_token_signed_response_alg": algorithm})
    finished = library.sign_in()
    assert finished["header"]["alg"] == algorithm
    assert finished["claims"]["preferred_username"] == USER


@pytest.mark.row("S-19")
def test_end_session_returns_to_the_client_with_its_state(library: Library) -> None:
    library.become("client_secret_basic", scope="openid")
    agent = UserAgent()
    library.ask("callback", url=answer_of(agent, library.ask("start")["url"]))

    out = library.ask("logout", parameters={"post_logout_redirect_uri": LOGGED_OUT, "state": "s p+a%c"})
    response = agent.step(out["url"])

    assert response.headers["Location"].startswith(LOGGED_OUT + "?")
    assert parse_qs(urlsplit(response.headers["Location"]).query) == {"state": ["s p+a%c"]}
    silent = library.ask("start", parameters={"prompt": "none"})
    refused = library.process.ask("callback", url=agent.step(silent["url"]).headers["Location"])
    assert refused["error"] == "login_required", refused
