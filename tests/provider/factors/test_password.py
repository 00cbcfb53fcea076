"""The password factor: what matches, what it costs, and how many run at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from provider.factors.password import Busy, PasswordFactor, _unmatched_hash
from provider.store.users import User

TODAY = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1)
BEFORE = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def user(password_hash: str | None, *, active: bool = True, read_only: bool = False) -> User:
    return User("sub", "alice", "alice", password_hash, active, {}, 0, read_only)


@pytest.mark.parametrize(
    ("person", "password", "reason"),
    [
        pytest.param(user(TODAY.hash("right")), "right", "ok", id="right"),
        pytest.param(user(TODAY.hash("pässwörd 😀")), "pässwörd 😀", "ok", id="any-character"),
        pytest.param(user(TODAY.hash("x" * 1024)), "x" * 1024, "ok", id="longest"),
        pytest.param(user(TODAY.hash("right")), "Right", "wrong_password", id="other-case"),
        pytest.param(user(TODAY.hash("right")), "right ", "wrong_password", id="with-a-space"),
        pytest.param(user(TODAY.hash("right")), "", "wrong_password", id="empty"),
        pytest.param(user(TODAY.hash("")), "", "wrong_password", id="empty-is-never-right"),
        pytest.param(
            user(TODAY.hash("x" * 1025)), "x" * 1025, "wrong_password", id="too-long-is-never-right"
        ),
        pytest.param(user(TODAY.hash("right"), active=False), "right", "inactive", id="inactive"),
        pytest.param(user(None), "right", "no_password", id="no-password"),
        pytest.param(user("!"), "right", "unusable_hash", id="unusable-hash"),
        pytest.param(user("$argon2id$v=19$m=8,t=1,p=1$x$x"), "right", "unusable_hash", id="broken-hash"),
        pytest.param(None, "right", "unknown_user", id="nobody"),
    ],
)
def test_verdict(person: User | None, password: str, reason: str) -> None:
    verdict = PasswordFactor(TODAY).check(person, password)
    assert verdict.reason == reason
    assert verdict.user is (person if reason == "ok" else None)
    assert verdict.new_hash is None


def test_a_hash_of_other_parameters_is_renewed_once_it_was_right() -> None:
    factor = PasswordFactor(TODAY)
    verdict = factor.check(user(BEFORE.hash("right")), "right")
    assert verdict.new_hash is not None
    assert TODAY.verify(verdict.new_hash, "right")
    assert not TODAY.check_needs_rehash(verdict.new_hash)
    assert factor.check(user(BEFORE.hash("right")), "wrong").new_hash is None
    assert factor.check(user(BEFORE.hash("right"), read_only=True), "right").new_hash is None


def test_the_hash_for_nobody_is_well_formed_has_todays_cost_and_no_password() -> None:
    nobody = _unmatched_hash(TODAY)
    assert not TODAY.check_needs_rehash(nobody)
    with pytest.raises(VerifyMismatchError):
        TODAY.verify(nobody, "")
    assert nobody != _unmatched_hash(TODAY)


class Slow(PasswordHasher):
    """Holds every check until it is let go, and counts those inside."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.go.wait(30)
        with self.lock:
            self.inside -= 1
        return True


def test_only_so_many_run_at_once_the_rest_wait_and_beyond_that_nobody() -> None:
    hasher = Slow()
    factor = PasswordFactor(hasher, slots=2, queue=3, patience_seconds=30)
    with ThreadPoolExecutor(20) as pool:
        running = [pool.submit(factor.check, None, "x") for _ in range(20)]
        refused = [done for done in running if isinstance(done.exception() if done.done() else None, Busy)]
        assert hasher.entered.acquire(timeout=30)
        assert hasher.entered.acquire(timeout=30)
        hasher.go.set()
    refused = [done for done in running if isinstance(done.exception(), Busy)]
    assert hasher.most == 2
    assert len(refused) <= 15
    assert len(running) - len(refused) >= 5


def test_a_full_queue_refuses_at_once_and_an_impatient_wait_ends() -> None:
    hasher = Slow()
    factor = PasswordFactor(hasher, slots=1, queue=0, patience_seconds=30)
    holder = threading.Thread(target=factor.check, args=(None, "x"))
    holder.start()
    assert hasher.entered.acquire(timeout=30)
    with pytest.raises(Busy):
        factor.check(None, "x")
    hasher.go.set()
    holder.join()
    assert factor.check(None, "x").reason == "unknown_user"

    hasher = Slow()
    factor = PasswordFactor(hasher, slots=1, queue=1, patience_seconds=0.01)
    holder = threading.Thread(target=factor.check, args=(None, "x"))
    holder.start()
    assert hasher.entered.acquire(timeout=30)
    with pytest.raises(Busy):
        factor.check(None, "x")
    hasher.go.set()
    holder.join()
    assert factor.check(None, "x").reason == "unknown_user"
