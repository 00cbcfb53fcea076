"""When kept tokens are renewed and what becomes of them on the way: the pure rules."""

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from oidcgate.gate import refresh
from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.refresh import NEVER, Next, Step, next_step
from oidcgate.protocol.token import RefreshedTokens, Tokens
from tests.oidcgate.gate.parts import NOW

KEPT = Kept("s1", "id-1", "nonce", "refresh-1", "access-1", NOW + 240, NOW + 300)
TAKEN = Kept("s1", "id-1", "nonce", None, "access-1", NOW + 240, NOW + 300, "a", NOW + 255)
ASKED = Kept("s1", "id-1", "nonce", None, "access-1", NOW + 240, NOW + 300, "a", NOW + 255, NOW + 360)


def but(kept: Kept, **changes: Any) -> Kept:
    return msgspec.structs.replace(kept, **changes)


@pytest.mark.row("G-04")
@pytest.mark.parametrize(
    ("kept", "now", "step"),
    [
        pytest.param(None, 0, Step(Next.GO_ON, NEVER), id="nothing is kept"),
        pytest.param(Kept("s1", "id"), 0, Step(Next.GO_ON, NEVER), id="only an ID token"),
        pytest.param(KEPT, 0, Step(Next.GO_ON, NOW + 240), id="good"),
        pytest.param(KEPT, 239, Step(Next.GO_ON, NOW + 240), id="good for one more second"),
        pytest.param(KEPT, 240, Step(Next.REFRESH, NOW + 240), id="due"),
        pytest.param(KEPT, 9000, Step(Next.REFRESH, NOW + 9000), id="long due"),
        pytest.param(TAKEN, 241, Step(Next.GO_ON, NOW + 255), id="sent, the old access token is good"),
        pytest.param(
            but(TAKEN, answer_by=NOW + 310), 299, Step(Next.GO_ON, NOW + 300), id="sent, good for a second"
        ),
        pytest.param(
            but(TAKEN, answer_by=NOW + 310), 300, Step(Next.WAIT, NOW + 310), id="sent, nothing to go on with"
        ),
        pytest.param(TAKEN, 255, Step(Next.GO_ON, NOW + 300), id="in doubt, the old access token is good"),
        pytest.param(TAKEN, 300, Step(Next.SIGN_IN, NOW + 300), id="in doubt, and needed"),
        pytest.param(ASKED, 300, Step(Next.GO_ON, NOW + 360), id="asked silently"),
        pytest.param(ASKED, 360, Step(Next.SIGN_IN, NOW + 360), id="once again"),
        pytest.param(
            but(KEPT, refresh_token=None), 299, Step(Next.GO_ON, NOW + 300), id="none was given, good"
        ),
        pytest.param(
            but(KEPT, refresh_token=None), 300, Step(Next.SIGN_IN, NOW + 300), id="none was given, needed"
        ),
        pytest.param(but(TAKEN, answer_by=0), 250, Step(Next.GO_ON, NOW + 300), id="no answer will come"),
    ],
)
def test_what_is_next(kept: Kept | None, now: int, step: Step) -> None:
    assert next_step(kept, NOW + now) == step


def test_what_a_sign_in_leaves() -> None:
    tokens = Tokens("access-1", "id-1", "refresh-1", 300)
    assert refresh.begun("s1", tokens, "nonce", NOW, 60, with_access_token=True) == KEPT


def test_a_refresh_token_is_taken_out_and_put_back() -> None:
    assert refresh.claimed(KEPT, "a", NOW + 255) == TAKEN
    assert refresh.given_back(TAKEN, "refresh-1") == KEPT
    assert refresh.in_doubt(TAKEN) == but(TAKEN, answer_by=0)
    assert refresh.asked_silently(TAKEN, NOW + 300) == ASKED


@pytest.mark.parametrize(
    ("expires_in", "before", "renew_in", "ends_in"),
    [
        pytest.param(300, 60, 240, 300, id="before its end"),
        pytest.param(300, 0, 300, 300, id="at its end"),
        pytest.param(60, 60, 30, 60, id="never in the first half of its life"),
        pytest.param(61, 60, 31, 61, id="in whole seconds"),
        pytest.param(0, 60, 5, 10, id="a life that is none"),
        pytest.param(None, 60, 3540, 3600, id="not said"),
    ],
)
def test_when_it_is_due(expires_in: int | None, before: int, renew_in: int, ends_in: int) -> None:
    tokens = Tokens("access", "id", "refresh", expires_in)
    kept = refresh.begun("s1", tokens, "nonce", NOW, before, with_access_token=True)
    assert (kept.renew_at, kept.expires_at) == (NOW + renew_in, NOW + ends_in)
    again = refresh.renewed(
        TAKEN, "refresh-1", RefreshedTokens("access-2", expires_in=expires_in), NOW, before
    )
    assert (again.renew_at, again.expires_at) == (NOW + renew_in, NOW + ends_in)


def test_what_comes_takes_the_place_of_what_was() -> None:
    tokens = RefreshedTokens("access-2", "id-2", "refresh-2", 300)
    kept = refresh.renewed(TAKEN, "refresh-1", tokens, NOW, 60)
    assert (kept.id_token, kept.refresh_token, kept.access_token) == ("id-2", "refresh-2", "access-2")
    assert (kept.claim, kept.answer_by, kept.nonce) == ("", 0, "nonce")
    # Spec: RFC 6749 6; OIDC Core 12.2: both may be left out.
    kept = refresh.renewed(TAKEN, "refresh-1", RefreshedTokens("access-2"), NOW, 60)
    assert (kept.id_token, kept.refresh_token) == ("id-1", "refresh-1")


def test_an_access_token_that_nobody_is_given_is_not_kept() -> None:
    kept = refresh.begun("s1", Tokens("access", "id", "refresh"), "n", NOW, 60, with_access_token=False)
    assert kept.access_token is None
    kept = refresh.renewed(kept, "refresh", RefreshedTokens("access-2"), NOW, 60)
    assert kept.access_token is None


def test_an_access_token_is_used_while_it_is_good() -> None:
    assert refresh.usable_access_token(KEPT, NOW + 299) == "access-1"
    assert refresh.usable_access_token(KEPT, NOW + 300) is None
    assert refresh.usable_access_token(None, NOW) is None


@pytest.mark.row("G-04")
class OneSession(RuleBasedStateMachine):
    """Workers that look, take, send, hear and die in any order, at a provider that revokes on reuse.

    Each worker holds what it read, however old that is; writing is the store's compare-and-swap.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.kept, self.version = KEPT, 0
        self.good, self.made, self.revoked = "refresh-1", 1, False
        self.sent: list[str] = []
        self.read: dict[int, tuple[Kept, int]] = {}
        self.holds: dict[int, str] = {}
        self.heard: dict[int, RefreshedTokens] = {}

    def swap(self, version: int, kept: Kept) -> bool:
        if version != self.version:
            return False
        self.kept, self.version = kept, self.version + 1
        return True

    def claim(self, worker: int) -> str:
        return f"{worker}/{self.holds[worker]}"

    @rule(seconds=st.integers(0, 400))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(worker=st.integers(0, 3))
    def look(self, worker: int) -> None:
        self.read[worker] = (self.kept, self.version)

    @precondition(lambda self: self.read)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.read)))
        kept, version = self.read.pop(worker)
        if worker in self.holds or next_step(kept, self.now).next is not Next.REFRESH:
            return
        token = kept.refresh_token
        assert token is not None
        if self.swap(version, refresh.claimed(kept, f"{worker}/{token}", self.now + 15)):
            self.holds[worker] = token

    @precondition(lambda self: self.holds.keys() - self.heard.keys())
    @rule(data=st.data(), answered=st.booleans())
    def send(self, data: st.DataObject, answered: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.holds.keys() - self.heard.keys())))
        token = self.holds[worker]
        self.revoked = self.revoked or token in self.sent or token != self.good
        self.sent.append(token)
        self.made += 1
        self.good = f"refresh-{self.made}"
        if answered:
            self.heard[worker] = RefreshedTokens("access", None, self.good, 300)
        else:
            del self.holds[worker]

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.heard)))
        if self.kept.claim == self.claim(worker):
            token = self.holds[worker]
            assert self.swap(
                self.version, refresh.renewed(self.kept, token, self.heard[worker], self.now, 60)
            )
        del self.heard[worker], self.holds[worker]

    @precondition(lambda self: self.holds.keys() - self.heard.keys())
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.holds.keys() - self.heard.keys())))
        if self.kept.claim == self.claim(worker):
            assert self.swap(self.version, refresh.given_back(self.kept, self.holds[worker]))
        del self.holds[worker]

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.holds)))
        del self.holds[worker]
        self.heard.pop(worker, None)

    @rule()
    def send_a_browser(self) -> None:
        if next_step(self.kept, self.now).next is Next.SIGN_IN:
            self.swap(self.version, refresh.asked_silently(self.kept, self.now))

    @invariant()
    def each_token_is_sent_once(self) -> None:
        assert not self.revoked
        assert len(set(self.sent)) == len(self.sent)

    @invariant()
    def one_hand_holds_it(self) -> None:
        held = [*self.holds.values(), *filter(None, [self.kept.refresh_token])]
        assert len(set(held)) == len(held)

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        step = next_step(self.kept, self.now)
        assert step.at >= self.now
        assert step.next is not Next.WAIT or step.at <= self.now + 15


TestOneSession = OneSession.TestCase
