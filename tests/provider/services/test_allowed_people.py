"""Whom an application is for, by tables."""

from typing import Any

import pytest

from provider.services.allowed_people import may_use
from provider.store.clients import Client
from provider.store.users import User


def client(**changes: Any) -> Client:
    return Client("app", True, 0, "The app", "none", (), (), (), (), False, **changes)


def user(**attributes: Any) -> User:
    return User("sub-1", "Alice", "alice", None, True, attributes, 0)


@pytest.mark.row("E-27")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, True, id="for-everybody"),
        pytest.param({"allowed_users": ("bob", "alice")}, True, id="named"),
        pytest.param({"allowed_users": ("bob",)}, False, id="another-named"),
        # What is compared is the folded name, on both sides.
        pytest.param({"allowed_users": ("Alice",)}, False, id="not-by-the-name-as-it-is-written"),
        pytest.param({"allowed_groups": ("admins", "staff")}, True, id="member"),
        pytest.param({"allowed_groups": ("admins",)}, False, id="no-member"),
        pytest.param({"allowed_users": ("bob",), "allowed_groups": ("staff",)}, True, id="only-a-member"),
        pytest.param({"allowed_users": ("alice",), "allowed_groups": ("admins",)}, True, id="only-named"),
        pytest.param({"allowed_users": ("bob",), "allowed_groups": ("admins",)}, False, id="neither"),
    ],
)
def test_whom_a_client_is_for(settings: dict[str, Any], expected: bool) -> None:
    assert may_use(client(**settings), user(groups=["others", "staff"])) is expected


@pytest.mark.row("E-27")
@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(["staff"], True, id="member"),
        pytest.param(("x", "staff"), True, id="tuple"),
        pytest.param(["STAFF"], False, id="other-case"),
        pytest.param("staff", False, id="no-list"),
        pytest.param([{"staff": 1}, ["staff"]], False, id="no-names"),
        pytest.param([], False, id="none"),
        pytest.param(None, False, id="null"),
        pytest.param({"staff": True}, False, id="object"),
    ],
)
def test_only_a_name_in_a_list_is_a_membership(groups: Any, expected: bool) -> None:
    assert may_use(client(allowed_groups=("staff",)), user(groups=groups)) is expected


@pytest.mark.row("E-27")
def test_who_has_no_groups_is_no_member() -> None:
    assert not may_use(client(allowed_groups=("staff",)), user(roles=["staff"]))
