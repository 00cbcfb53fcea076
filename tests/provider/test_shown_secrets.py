"""What holds a password or a cookie does not show it: objects end up in logs by their `repr`."""

import pytest

from provider.factors.password import PasswordVerdict
from provider.factors.password_attempt import Attempt, Right
from provider.services.browser_session import Browser
from provider.services.users import Users
from provider.store.users import User

CANARY = "canary-6f0d"
PERSON = User("sub-1", "alice", "alice", CANARY, True, {"email": CANARY}, 0)


@pytest.mark.row("P-15")
@pytest.mark.parametrize(
    "holder",
    [
        pytest.param(Attempt("alice", CANARY, "app", "unknown"), id="attempt"),
        pytest.param(PERSON, id="person"),
        pytest.param(PasswordVerdict(PERSON, "ok", CANARY), id="verdict"),
        pytest.param(Right(PERSON, (), CANARY, CANARY, Users({}, {})), id="right"),
        pytest.param(Browser(CANARY, is_new=True), id="browser"),
    ],
)
def test_what_holds_a_secret_does_not_show_it(holder: object) -> None:
    assert CANARY not in repr(holder)
