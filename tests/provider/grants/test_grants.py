"""What each grant hands on of a token request, and what it cannot do without."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import create_autospec, sentinel

import pytest

from oidcgate.protocol.errors import InvalidGrant, InvalidRequest
from oidcgate.protocol.token import TokenRequest
from provider.factors.password_attempt import PasswordAttempts
from provider.grants.authorization_code import AuthorizationCodeGrant
from provider.grants.base import Grant, TokenCall
from provider.grants.device_code import DeviceCodeGrant
from provider.grants.password import PasswordGrant
from provider.grants.refresh_token import RefreshTokenGrant
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.devices import Devices
from provider.services.tokens import Refusal, Tokens

NOW = 1_000_000
CLIENT = AuthenticatedClient(sentinel.client)
ANSWER = Refusal(InvalidGrant("unknown code"))


class OneTransaction:
    """A store with a single transaction."""

    @contextmanager
    def begin(self) -> Iterator[object]:
        yield sentinel.transaction


@pytest.fixture
def store() -> Any:
    return OneTransaction()


@pytest.fixture
def tokens() -> Any:
    return create_autospec(Tokens, instance=True)


def exchange(grant: Grant, **presented: Any) -> object:
    request = TokenRequest(grant.grant_type, **presented)
    return grant.exchange(TokenCall(sentinel.realm, CLIENT, request, "203.0.113.0/24", NOW))


@pytest.mark.parametrize("verifier", [pytest.param("v" * 43, id="pkce"), pytest.param(None, id="no-pkce")])
def test_a_code_is_redeemed_with_all_that_was_presented_for_it(
    store: Any, tokens: Any, verifier: str | None
) -> None:
    tokens.redeem_code.return_value = ANSWER
    grant = AuthorizationCodeGrant(store, tokens)
    presented = {
        "code": "code-1",
        "redirect_uri": "https://app.example/cb",
        "code_verifier": verifier,
        "api": "https://api.example",
    }
    assert exchange(grant, **presented) is ANSWER
    tokens.redeem_code.assert_called_once_with(
        sentinel.transaction, sentinel.realm, sentinel.client, **presented, now=NOW
    )


@pytest.mark.parametrize(
    "presented",
    [
        pytest.param({"code": "code-1"}, id="redirect-uri-missing"),
        pytest.param({"redirect_uri": "https://app.example/cb"}, id="code-missing"),
    ],
)
def test_nothing_is_redeemed_without_code_and_redirect_uri(
    store: Any, tokens: Any, presented: dict[str, str]
) -> None:
    with pytest.raises(InvalidRequest):
        exchange(AuthorizationCodeGrant(store, tokens), **presented)
    tokens.redeem_code.assert_not_called()


@pytest.mark.parametrize(
    "scope", [pytest.param(None, id="as-before"), pytest.param(("openid",), id="narrower")]
)
def test_a_refresh_token_is_exchanged_for_the_scope_asked_for(
    store: Any, tokens: Any, scope: tuple[str, ...] | None
) -> None:
    tokens.refresh.return_value = ANSWER
    presented = {"refresh_token": "token-1", "scope": scope, "api": "https://api.example"}
    assert exchange(RefreshTokenGrant(store, tokens), **presented) is ANSWER
    tokens.refresh.assert_called_once_with(
        sentinel.transaction, sentinel.realm, sentinel.client, **presented, now=NOW
    )


def test_nothing_is_refreshed_without_a_refresh_token(store: Any, tokens: Any) -> None:
    with pytest.raises(InvalidRequest):
        exchange(RefreshTokenGrant(store, tokens), scope=("openid",))
    tokens.refresh.assert_not_called()


@pytest.mark.parametrize("api", [pytest.param("https://api.example", id="for-an-api"), None])
def test_a_device_code_is_redeemed_for_the_api_asked_for(store: Any, api: str | None) -> None:
    devices = create_autospec(Devices, instance=True)
    devices.redeem.return_value = ANSWER
    assert exchange(DeviceCodeGrant(store, devices), device_code="code-1", api=api) is ANSWER
    devices.redeem.assert_called_once_with(
        sentinel.transaction, sentinel.realm, sentinel.client, device_code="code-1", api=api, now=NOW
    )


def test_nothing_is_redeemed_without_a_device_code(store: Any) -> None:
    devices = create_autospec(Devices, instance=True)
    with pytest.raises(InvalidRequest):
        exchange(DeviceCodeGrant(store, devices), code="code-1")
    devices.redeem.assert_not_called()


@pytest.mark.parametrize(
    "presented",
    [
        pytest.param({"username": "alice"}, id="password-missing"),
        pytest.param({"password": "demo-alice"}, id="username-missing"),
    ],
)
def test_no_password_is_looked_at_without_a_name_and_the_other_way_round(
    store: Any, presented: dict[str, str]
) -> None:
    attempts = create_autospec(PasswordAttempts, instance=True)
    with pytest.raises(InvalidRequest):
        exchange(PasswordGrant(store, attempts, sentinel.issuing, sentinel.audit), **presented)
    attempts.make.assert_not_called()
