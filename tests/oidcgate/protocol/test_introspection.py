"""What introspection says of a token."""

import json

import pytest

from oidcgate.protocol.introspection import INACTIVE, introspection_document


@pytest.mark.row("S-20")
def test_nothing_is_said_of_a_token_that_is_not_good() -> None:
    assert json.loads(json.dumps(INACTIVE)) == {"active": False}


@pytest.mark.row("S-20")
def test_what_is_not_there_is_left_out() -> None:
    bare = introspection_document(client_id="app", iss="https://id.example.com", exp=20, iat=10)
    assert bare == {
        "active": True,
        "client_id": "app",
        "iss": "https://id.example.com",
        "exp": 20,
        "iat": 10,
    }


@pytest.mark.row("S-20")
def test_everything_that_is_known_is_said() -> None:
    whole = introspection_document(
        client_id="app",
        iss="https://id.example.com",
        exp=20,
        iat=10,
        scope=("openid", "read"),
        sub="alice",
        username="al",
        token_type="Bearer",
        aud="https://api.example.com",
        auth_time=0,
        acr="2",
        amr=("pwd", "otp"),
        org_id="org-1",
    )
    assert json.loads(json.dumps(whole)) == {
        "active": True,
        "client_id": "app",
        "iss": "https://id.example.com",
        "exp": 20,
        "iat": 10,
        "scope": "openid read",
        "sub": "alice",
        "username": "al",
        "token_type": "Bearer",
        "aud": "https://api.example.com",
        "auth_time": 0,
        "acr": "2",
        "amr": ["pwd", "otp"],
        "org_id": "org-1",
    }
