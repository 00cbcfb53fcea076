"""What follows from the settings of a client alone."""

from typing import Any

import pytest

from provider.store.clients import Client


def client(auth_method: str = "none", scopes: tuple[str, ...] = (), **changes: Any) -> Client:
    return Client("app", True, 0, "The app", auth_method, (), (), (), scopes, False, **changes)


@pytest.mark.parametrize(
    ("auth_method", "public"),
    [("none", True), ("client_secret_basic", False), ("private_key_jwt", False), ("", False)],
)
def test_public_is_who_proves_nothing(auth_method: str, public: bool) -> None:
    assert client(auth_method).public is public


@pytest.mark.row("S-52")
@pytest.mark.parametrize(
    ("scopes", "restricted", "expected"),
    [
        pytest.param(("openid", "read"), (), True, id="listed"),
        pytest.param(("*",), (), True, id="all"),
        pytest.param(("openid", "*"), (), True, id="all-among-others"),
        pytest.param(("openid",), (), False, id="another"),
        pytest.param((), (), False, id="none"),
        pytest.param(("*",), ("read",), False, id="all-but-this"),
        pytest.param(("read",), ("read",), False, id="listed-and-restricted"),
        pytest.param(("read",), ("openid",), True, id="another-is-restricted"),
        # Restricted is what is named, so the star means nothing there.
        pytest.param(("read",), ("*",), True, id="star-restricts-nothing"),
    ],
)
def test_which_scopes_a_client_may_have(
    scopes: tuple[str, ...], restricted: tuple[str, ...], expected: bool
) -> None:
    assert client(scopes=scopes, restricted_scopes=restricted).may_have("read") is expected
