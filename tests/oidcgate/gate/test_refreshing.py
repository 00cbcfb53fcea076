"""Tokens of sessions renewed by workers that share a state store, at a provider that revokes on reuse.

The gates are whole, the store is SQLite, the provider answers through requests-mock. What happens while it
answers is nested in its answer, so that each test says exactly who does what when. The same with processes,
threads and a served provider is `tests/live/test_refresh_race.py`.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
from werkzeug.test import Client, TestResponse

from oidcgate.gate import refreshing
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.kept_tokens import KeptTokens
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.revocations import Revocations
from oidcgate.jose.keys import generate_key
from oidcgate.net.errors import FetchError, FetchFailure
from oidcgate.settings import SettingsError
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    ISSUER,
    NAVIGATION,
    SAME_ORIGIN,
    SCRIPT,
    SECRET,
    Clock,
    Scene,
)
from tests.support.rotating_provider import RotatingProvider


class Killed(BaseException):
    """The process ends here, as far as anybody else can see."""


class Workers:
    """Two gates that share a state store, and a browser that is signed in; `here` unless said otherwise."""

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None) -> None:
        self.clock = Clock()
        self.provider = RotatingProvider(self.clock)
        self.settings = {
            "state": {"store": f"sqlite:///{folder / 'state.db'}"},
            "session": {"secret": SECRET, "keep_tokens": True},
            **(settings or {}),
        }
        self.here, self.there = self.worker(), self.worker()
        self.browser = self.here.browser()

    def worker(self) -> Scene:
        return Scene.set(self.settings, self.provider)

    def sign_in(self) -> None:
        assert self.browser.sign_in().status_code == 303

    def ask(self, worker: Scene, *, path: str = "/private", script: bool = False) -> TestResponse:
        """A request of the signed-in browser to either of them."""
        self.browser.client.application = worker.gate
        return self.browser.get(path, SCRIPT if script else NAVIGATION)

    def passes(self, worker: Scene, **more: Any) -> bool:
        """Whether the app is reached."""
        before = len(worker.visitors)
        answer = self.ask(worker, **more)
        reached = worker.visitors[before:] == ["Alice"]
        assert reached == (answer.status_code == 200)
        return reached

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for scene in (self.here, self.there) for line in scene.audit if line["event"] == name]

    def restart(self) -> None:
        """As after a kill: nothing is remembered but what the store and the browser have."""
        self.here, self.there = self.worker(), self.worker()

    def silently(self, worker: Scene) -> str:
        """Where a navigation is sent that is to sign in silently: the authorization request."""
        answer = self.ask(worker)
        assert answer.status_code == 302
        target = urlsplit(answer.headers["Location"])
        assert (target.path, parse_qs(target.query)["prompt"]) == ("/.oidcgate/login", ["none"])
        answer = self.ask(worker, path=answer.headers["Location"])
        assert answer.status_code == 303
        asked = answer.headers["Location"]
        assert parse_qs(urlsplit(asked).query)["prompt"] == ["none"]
        return asked


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    made = Workers(tmp_path)
    made.sign_in()
    return made


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often tokens are looked at."""
    looks: list[int] = []
    look = Refresher.look

    def noted(self: Refresher, found: Any, now: int, *, ask: bool) -> Any:
        looks.append(now)
        return look(self, found, now, ask=ask)

    monkeypatch.setattr(Refresher, "look", noted)
    return looks


@pytest.mark.row("G-04", "T-03")
def test_tokens_are_renewed_once_for_all_workers(workers: Workers) -> None:
    for _ in range(3):
        workers.clock.now += 250
        for worker in (workers.here, workers.there, workers.here):
            assert workers.passes(worker)
    assert workers.provider.sent_tokens == ["refresh-0", "refresh-1", "refresh-2"]
    assert workers.provider.calls("/token") == 4
    assert not workers.provider.ended


@pytest.mark.row("T-03")
def test_a_request_that_needs_none_looks_at_nothing(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counted(monkeypatch)
    for _ in range(5):
        assert workers.passes(workers.here)
    assert len(looks) == 1, "once, for this worker had not seen the session before"
    workers.clock.now += 239
    assert workers.passes(workers.here)
    assert len(looks) == 1
    workers.clock.now += 1
    assert workers.passes(workers.here)
    assert workers.passes(workers.here)
    assert len(looks) == 2


def test_nothing_is_asked_or_kept_unless_it_is_switched_on(tmp_path: Path) -> None:
    workers = Workers(tmp_path, {"session": {"secret": SECRET}})
    workers.sign_in()
    workers.clock.now += 4000
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []
    assert workers.here.parts.refresher is None
    kept = workers.here.parts.sessions.kept_tokens
    (name,) = (name for name in workers.browser.cookies() if name.startswith("__Host-oidcgate-"))
    found = workers.here.parts.sessions.load(
        f"{name}={workers.browser.cookies()[name]}", int(workers.clock.now)
    )
    held = kept.find(found.record.session_id, int(workers.clock.now))  # type: ignore[union-attr]
    assert held is not None
    assert (held.kept.refresh_token, held.kept.access_token, held.kept.renew_at) == (None, None, 0)


def test_a_token_that_has_no_successor_is_used_again(workers: Workers) -> None:
    workers.provider.rotates = False
    for _ in range(3):
        workers.clock.now += 250
        assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == ["refresh-0"] * 3


@pytest.mark.row("G-04", "G-05")
def test_the_providers_no_ends_the_session_everywhere(workers: Workers) -> None:
    assert workers.passes(workers.there)
    workers.provider.ended = True
    workers.clock.now += 250
    answer = workers.ask(workers.here)
    assert answer.status_code == 302
    assert urlsplit(answer.headers["Location"]).query == "rd=%2Fprivate", "an ordinary sign-in"
    assert workers.ask(workers.there).status_code == 302
    assert workers.ask(workers.there, script=True).status_code == 401
    assert workers.provider.sent_tokens == ["refresh-0"]
    (event,) = workers.events("session.ended_at_provider")
    assert (event["user_name"], event["issuer"]) == ("Alice", ISSUER)


@pytest.mark.row("G-04", "G-05")
@pytest.mark.parametrize("stored", [True, False], ids=["in a store", "sealed"])
def test_the_providers_no_is_written_later_where_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    kept = {"store": f"sqlite:///{tmp_path / 'sessions.db'}"} if stored else {}
    workers = Workers(tmp_path, {"session": {"secret": SECRET, "keep_tokens": True, **kept}})
    # Two sessions under one grant: the provider of the tests has but one.
    workers.provider.rotates = False
    workers.sign_in()
    others = workers.here.browser()
    assert others.sign_in().status_code == 303
    assert workers.passes(workers.there)
    workers.provider.ended = True
    workers.clock.now += 250

    def away(self: Revocations, session_id: str, now: int, until: int) -> None:
        raise StoreUnavailable(StoreFailure.LOCKED, "the test says so")

    with monkeypatch.context() as patched:
        patched.setattr(Revocations, "revoke_session", away)
        for _ in range(3):
            assert workers.ask(workers.here).status_code == 302
            workers.clock.now += 1
    # Somebody else's tokens are looked at: the person themselves need not come to this worker again.
    workers.provider.ended = False
    assert others.get("/private").status_code == 200
    assert workers.ask(workers.there, script=True).status_code == 401
    assert workers.ask(workers.here).status_code == 302


# -- in doubt

DOUBTS = [
    pytest.param({"exc": requests.exceptions.ReadTimeout}, id="no answer in time"),
    pytest.param({"exc": requests.exceptions.ConnectionError}, id="the connection broke"),
    *(pytest.param({"status_code": status}, id=str(status)) for status in (500, 502, 503, 504)),
    pytest.param({"status_code": 429, "text": "<html>slow down"}, id="429, a page"),
    pytest.param({"status_code": 302, "headers": {"Location": "/"}}, id="a redirect"),
    pytest.param({"status_code": 400, "json": {"error": "invalid_client"}}, id="invalid_client"),
    pytest.param({"status_code": 400, "json": {"error": "temporarily_unavailable"}}, id="later"),
    pytest.param({"status_code": 400, "json": {}}, id="400 without a code"),
    pytest.param({"status_code": 200, "json": {}}, id="an empty object"),
    pytest.param({"status_code": 200, "text": "{"}, id="no JSON"),
    pytest.param(
        {"status_code": 200, "text": '{"access_token":"a","access_token":"b"}'}, id="a member twice"
    ),
]
LIES = [
    pytest.param({"sub": "sub-of-mallory"}, "id_token_sub", id="sub"),
    pytest.param({"sub": GONE}, "id_token_sub", id="no sub"),
    pytest.param({"iss": "https://evil.example"}, "id_token_iss", id="iss"),
    pytest.param({"iss": GONE}, "id_token_iss", id="no iss"),
    pytest.param({"aud": "another"}, "id_token_aud", id="aud"),
    pytest.param({"azp": "another"}, "id_token_azp", id="azp"),
    pytest.param({"exp": 1}, "id_token_exp", id="exp"),
    pytest.param({"iat": 1}, "id_token_iat", id="iat"),
    pytest.param({"nonce": "of another sign-in"}, "id_token_nonce", id="nonce"),
    pytest.param({"nonce": 7}, "id_token_malformed", id="nonce that is a number"),
    pytest.param({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "id_token_at_hash", id="at_hash"),
]


def goes_on_without_tokens(workers: Workers) -> None:
    """The session is good here and there, the token is never sent again, a browser signs in silently."""
    sent = list(workers.provider.sent_tokens)
    for worker in (workers.here, workers.there):
        assert workers.passes(worker)
        assert workers.passes(worker, script=True)
    workers.clock.now += 120
    for worker in (workers.here, workers.there):
        assert workers.passes(worker, script=True)
    assert workers.provider.sent_tokens == sent
    asked = workers.silently(workers.there)
    assert workers.provider.sent_tokens == sent
    workers.provider.ended = False
    workers.provider.tokens |= {"refresh_token": workers.provider.next_token() + "-again"}
    workers.provider.good += "-again"  # type: ignore[operator]
    answer = workers.ask(workers.here, path=workers.provider.answer(asked))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{APP}/private")
    workers.clock.now += 250
    assert workers.passes(workers.here)
    assert len(workers.provider.sent_tokens) == len(sent) + 1
    assert not workers.provider.ended


@pytest.mark.row("G-04", "G-05")
@pytest.mark.parametrize("answer", DOUBTS)
def test_what_is_no_clear_answer_ends_nothing(workers: Workers, answer: dict[str, Any]) -> None:
    workers.clock.now += 250
    workers.provider.breaks("/token", **answer)
    assert workers.passes(workers.here)
    assert workers.provider.calls("/token") == 2
    workers.provider.mend("/token")
    goes_on_without_tokens(workers)
    assert len(workers.events("tokens.not_renewed")) == 1


@pytest.mark.row("G-04")
@pytest.mark.parametrize(("lies", "reason"), LIES)
def test_tokens_that_cannot_be_believed_are_refused(
    workers: Workers, lies: dict[str, Any], reason: str
) -> None:
    workers.provider.refreshed_claims = lies
    workers.clock.now += 250
    assert workers.passes(workers.here)
    assert [event["reason"] for event in workers.events("tokens.not_renewed")] == [reason]
    goes_on_without_tokens(workers)


def test_a_provider_that_cannot_be_found_is_told_as_one_that_does_not_answer(workers: Workers) -> None:
    workers.clock.now += 250
    workers.restart()
    workers.provider.breaks("/.well-known/openid-configuration", status_code=503)
    workers.passes(workers.here)
    (event,) = workers.events("tokens.not_renewed")
    assert event["reason"] == "provider_unavailable"
    assert event["detail"].startswith("the discovery document cannot be used")


@pytest.mark.row("G-04")
def test_tokens_under_another_key_are_refused(workers: Workers) -> None:
    true, workers.provider.key = workers.provider.key, generate_key("ES256")
    workers.clock.now += 250
    assert workers.passes(workers.here)
    assert [event["reason"] for event in workers.events("tokens.not_renewed")] == ["id_token_signature"]
    workers.provider.key = true
    goes_on_without_tokens(workers)


@pytest.mark.parametrize("lies", [{}, {"auth_time": 5}, {"acr": "other"}], ids=str)
def test_what_an_id_token_may_leave_out_or_change(workers: Workers, lies: dict[str, Any]) -> None:
    workers.provider.refreshed_claims = lies
    workers.clock.now += 250
    assert workers.passes(workers.here)
    assert workers.events("tokens.not_renewed") == []


def test_an_answer_needs_no_id_token(workers: Workers) -> None:
    workers.provider.refreshed = {"id_token": GONE}
    for _ in range(2):
        workers.clock.now += 250
        assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == ["refresh-0", "refresh-1"]


@pytest.mark.row("G-04")
def test_what_was_certainly_not_sent_is_sent_later(workers: Workers) -> None:
    workers.clock.now += 250
    workers.provider.breaks("/token", exc=FetchError(FetchFailure.CONNECTION, "x", "refused", sent=False))
    for worker in (workers.here, workers.there):
        assert workers.passes(worker)
        assert workers.passes(worker)
    # Each worker has tried once, and then leaves it alone for a while.
    assert workers.provider.calls("/token") == 3
    workers.provider.mend("/token")
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []
    workers.clock.now += 5
    assert workers.passes(workers.here)
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0"]


@pytest.mark.row("G-04", "G-17")
def test_a_provider_that_fails_is_left_alone_longer_and_longer(workers: Workers) -> None:
    workers.clock.now += 250
    workers.provider.breaks("/token", exc=FetchError(FetchFailure.CONNECTION, "x", "refused", sent=False))
    tried: list[int] = []
    for second in range(200):
        before = workers.provider.calls("/token")
        assert workers.passes(workers.here)
        if workers.provider.calls("/token") > before:
            tried.append(second)
        workers.clock.now += 1
    assert tried == [0, 5, 15, 35, 75, 135, 195]


@pytest.mark.row("G-04")
@pytest.mark.parametrize(
    ("path", "asked_again_seconds"),
    [
        pytest.param("/.well-known/openid-configuration", 10, id="endpoints"),
        pytest.param("/jwks", 60, id="keys"),
    ],
)
def test_a_provider_of_which_something_is_not_known_is_sent_nothing(
    workers: Workers, path: str, asked_again_seconds: int
) -> None:
    workers.restart()
    workers.clock.now += 250
    workers.provider.breaks(path, status_code=500)
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []
    workers.provider.mend(path)
    workers.clock.now += asked_again_seconds
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == ["refresh-0"]


@pytest.mark.row("T-03")
@pytest.mark.parametrize(
    ("answer", "lies", "pauses"),
    [
        pytest.param(
            {"status_code": 400, "json": {"error": "interaction_required"}}, {}, 0, id="person-wanted"
        ),
        pytest.param({}, {"sub": "somebody-else"}, 0, id="somebody-else"),
        pytest.param({"status_code": 401, "json": {"error": "invalid_client"}}, {}, 1, id="client"),
        pytest.param({"status_code": 502}, {}, 1, id="provider"),
    ],
)
def test_what_is_said_of_one_person_keeps_nobody_else_waiting(
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    lies: dict[str, Any],
    pauses: int,
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(refreshing._Pause, "begin", lambda _, now: begun.append(now))
    workers.provider.refreshed_claims = lies
    if answer:
        workers.provider.breaks("/token", **answer)
    workers.clock.now += 250
    assert workers.passes(workers.here)
    assert len(workers.events("tokens.not_renewed")) == 1
    assert len(begun) == pauses


# -- killed, late, overtaken


@pytest.mark.row("G-04")
def test_killed_before_anything_is_written(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.clock.now += 250
    with monkeypatch.context() as patched:
        patched.setattr(KeptTokens, "change", killing)
        with pytest.raises(Killed):
            workers.ask(workers.here)
    workers.restart()
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0"]
    assert not workers.provider.ended


@pytest.mark.row("G-04")
def test_killed_before_the_send(workers: Workers) -> None:
    workers.clock.now += 250
    workers.provider.breaks("/token", exc=Killed)
    with pytest.raises(Killed):
        workers.ask(workers.here)
    workers.provider.mend("/token")
    workers.restart()
    goes_on_without_tokens(workers)


@pytest.mark.row("G-04")
def test_killed_before_the_answer(workers: Workers) -> None:
    workers.clock.now += 250
    workers.provider.while_refreshing = killing
    with pytest.raises(Killed):
        workers.ask(workers.here)
    workers.provider.while_refreshing = nothing
    workers.restart()
    goes_on_without_tokens(workers)
    assert workers.provider.sent_tokens[0] == "refresh-0"


@pytest.mark.row("G-04")
def test_killed_before_the_store(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.clock.now += 250
    with monkeypatch.context() as patched:
        workers.provider.while_refreshing = lambda: patched.setattr(KeptTokens, "change", killing)
        with pytest.raises(Killed):
            workers.ask(workers.here)
    workers.provider.while_refreshing = nothing
    workers.restart()
    goes_on_without_tokens(workers)


def killing(*_: Any, **__: Any) -> Any:
    raise Killed


def nothing() -> None:
    """What happens usually."""


@pytest.mark.row("G-04")
def test_others_go_on_with_a_good_access_token_while_one_asks(workers: Workers) -> None:
    assert workers.passes(workers.there)
    workers.clock.now += 250
    met: list[float] = []

    def meanwhile() -> None:
        started = workers.clock.now
        assert workers.passes(workers.there)
        met.append(workers.clock.now - started)

    workers.provider.while_refreshing = meanwhile
    assert workers.passes(workers.here)
    assert met == [0], "nobody waited"
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0"]


@pytest.mark.row("G-04")
def test_others_wait_while_one_asks_when_there_is_nothing_to_go_on_with(workers: Workers) -> None:
    workers.clock.now += 400
    met: list[float] = []

    def meanwhile() -> None:
        started = workers.clock.now
        # The answer cannot come while this waits, so it waits for as long as anybody does.
        assert workers.passes(workers.there, script=True)
        met.append(workers.clock.now - started)
        # And once only.
        assert workers.passes(workers.there, script=True)
        met.append(workers.clock.now - started - met[0])

    workers.provider.while_refreshing = meanwhile
    assert workers.passes(workers.here)
    assert 15 <= met[0] < 16.5
    assert met[1] == 0
    # The answer that came later than anybody waited is kept all the same.
    workers.clock.now += 250
    workers.provider.while_refreshing = nothing
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0", "refresh-1"]
    assert not workers.provider.ended


@pytest.mark.row("G-04")
def test_an_answer_that_takes_longer_than_anybody_waits(workers: Workers) -> None:
    """Whoever finds nothing after the time has no token to send: latency beyond the lease."""
    workers.clock.now += 250

    def meanwhile() -> None:
        workers.clock.now += 100
        for _ in range(3):
            assert workers.passes(workers.there, script=True)

    workers.provider.while_refreshing = meanwhile
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == ["refresh-0"]
    workers.provider.while_refreshing = nothing
    workers.clock.now += 250
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0", "refresh-1"]


class Revoking:
    """The provider has an endpoint for revocation; `tokens` came there."""

    def __init__(self, workers: Workers) -> None:
        self.tokens: list[str] = []
        workers.provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
        workers.provider.adapter.register_uri("POST", f"{ISSUER}/revoke", text=self._revoked)

    def _revoked(self, request: Any, context: Any) -> str:
        self.tokens.append(dict(parse_qsl(request.text))["token"])
        return ""


def sign_out(workers: Workers) -> None:
    workers.browser.client.application = workers.there.gate
    assert workers.browser.post("/.oidcgate/logout", {}, SAME_ORIGIN).status_code == 303


@pytest.mark.row("G-04", "G-08")
@pytest.mark.parametrize(
    ("rotates", "token"), [(True, "refresh-1"), (False, "refresh-0")], ids=["a successor", "none"]
)
def test_what_comes_for_a_session_that_has_ended_is_revoked(
    tmp_path: Path, rotates: bool, token: str
) -> None:
    workers = Workers(tmp_path)
    revoking = Revoking(workers)
    workers.provider.rotates = rotates
    workers.sign_in()
    workers.clock.now += 300
    workers.provider.while_refreshing = lambda: sign_out(workers)
    assert workers.ask(workers.here).status_code == 302
    assert revoking.tokens == [token]
    (told,) = workers.events("logout.tokens_not_revoked")
    assert (told["issuer"], told["kind"]) == (ISSUER, "refresh_token")
    assert "sent for new ones" in told["detail"]


@pytest.mark.row("G-04", "G-08")
def test_so_is_what_was_not_sent_after_all(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    revoking = Revoking(workers)
    workers.sign_in()
    workers.clock.now += 300

    def unsent(request: Any, context: Any) -> str:
        sign_out(workers)
        raise FetchError(FetchFailure.CONNECTION, "x", "refused", sent=False)

    workers.provider.breaks("/token", text=unsent)
    assert workers.ask(workers.here).status_code == 302
    assert revoking.tokens == ["refresh-0"]


@pytest.mark.row("G-04", "G-08")
def test_nobody_waits_long_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    workers = Workers(tmp_path)
    Revoking(workers)
    workers.sign_in()
    revocation = workers.here.parts.token_revocation
    monkeypatch.setattr(type(revocation), "revoke", lambda self, ended, seconds: waited.append(seconds))
    for seconds in (0, 14, 60):
        workers.clock.now += 300

        def late(by: int = seconds) -> None:
            sign_out(workers)
            workers.clock.now += by

        workers.provider.while_refreshing = late
        workers.ask(workers.here)
        workers.provider.ended, workers.provider.sent_tokens = False, []
        workers.provider.tokens["refresh_token"] = workers.provider.next_token()
        workers.sign_in()
    # Each time the sign-out first, and then who has the answer: of 15 seconds so much is left.
    assert waited == [2, 2, 2, 1, 2, 0]


@pytest.mark.row("G-04", "G-08")
def test_a_token_in_doubt_is_told_at_the_sign_out(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    revoking = Revoking(workers)
    workers.sign_in()
    workers.clock.now += 250
    workers.provider.breaks("/token", status_code=502)
    assert workers.passes(workers.here)
    sign_out(workers)
    assert revoking.tokens == []
    (told,) = workers.events("logout.tokens_not_revoked")
    assert told["kind"] == "refresh_token"


@pytest.mark.row("G-04")
def test_signed_out_while_one_asks(workers: Workers) -> None:
    workers.clock.now += 250

    def meanwhile() -> None:
        workers.browser.client.application = workers.there.gate
        answer = workers.browser.post("/.oidcgate/logout", {}, SAME_ORIGIN)
        assert answer.status_code == 303

    kept = dict(workers.browser.cookies())
    workers.provider.while_refreshing = meanwhile
    answer = workers.ask(workers.here)
    assert answer.status_code == 302
    for name, value in kept.items():
        workers.browser.client.set_cookie(name, value, domain=urlsplit(APP).hostname or "", path="/")
    assert workers.ask(workers.here).status_code == 302
    assert workers.ask(workers.there).status_code == 302


@pytest.mark.row("G-04")
def test_many_threads_of_one_process(workers: Workers) -> None:
    workers.clock.now += 400
    workers.provider.while_refreshing = lambda: wait.wait(30)
    wait, gathered, statuses = threading.Event(), threading.Barrier(16), []
    cookies = "; ".join(f"{name}={value}" for name, value in workers.browser.cookies().items())

    def visit() -> None:
        client = Client(workers.here.gate, use_cookies=False)
        gathered.wait()
        answer = client.get("/private", base_url=APP, headers={**NAVIGATION, "Cookie": cookies})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=visit) for _ in range(16)]
    # Real seconds for those who wait: the clock stands still.
    workers.here.parts.refresher._wait = lambda seconds: wait.set() or threading.Event().wait(seconds)  # type: ignore[union-attr]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 16
    assert workers.provider.sent_tokens == ["refresh-0"]


# -- the store


class Failing:
    """A method of the kept tokens that fails when its turn comes, before it does anything or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, turns: set[int], *, after: bool) -> None:
        self.inner: Callable[..., Any] = getattr(KeptTokens, name)
        self.turns = turns
        self.after = after
        self.turn = 0
        monkeypatch.setattr(KeptTokens, name, lambda *args: self(*args))

    def __call__(self, *args: Any) -> Any:
        self.turn += 1
        fails = self.turn in self.turns
        answer = self.inner(*args) if self.after or not fails else None
        if fails:
            raise StoreUnavailable(StoreFailure.LOCKED, "the test says so")
        return answer


@pytest.mark.row("G-04", "G-05")
@pytest.mark.parametrize("after", [False, True])
def test_the_store_fails_when_the_token_is_taken_out(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    workers.clock.now += 250
    Failing(monkeypatch, "change", {1}, after=after)
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []
    workers.clock.now += 20
    if after:
        goes_on_without_tokens(workers)
        return
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0"]


@pytest.mark.row("G-04", "G-05")
@pytest.mark.parametrize(("turns", "after"), [({2, 3, 4}, False), ({2}, True)])
def test_the_store_fails_for_a_moment_when_the_answer_is_written(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, turns: set[int], after: bool
) -> None:
    workers.clock.now += 250
    Failing(monkeypatch, "change", turns, after=after)
    assert workers.passes(workers.here)
    workers.clock.now += 250
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0", "refresh-1"]
    assert not workers.provider.ended


@pytest.mark.row("G-04", "G-05")
def test_the_store_is_gone_when_the_answer_is_to_be_written(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.clock.now += 250
    with monkeypatch.context() as patched:
        Failing(patched, "change", set(range(2, 20)), after=False)
        assert workers.passes(workers.here)
    workers.clock.now += 20
    goes_on_without_tokens(workers)


@pytest.mark.row("G-04", "G-05")
def test_the_store_fails_when_it_is_looked_into(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.clock.now += 250
    with monkeypatch.context() as patched:
        Failing(patched, "find", {1}, after=False)
        assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []
    assert workers.passes(workers.there)
    assert workers.provider.sent_tokens == ["refresh-0"]


# -- silently


@pytest.fixture
def in_doubt(workers: Workers) -> Workers:
    """A session whose token is in doubt, and whose access token has ended."""
    workers.clock.now += 250
    workers.provider.breaks("/token", status_code=502)
    assert workers.passes(workers.here)
    workers.provider.mend("/token")
    workers.clock.now += 120
    return workers


@pytest.mark.row("G-04")
def test_one_browser_window_is_sent_to_sign_in_silently_and_nothing_else(in_doubt: Workers) -> None:
    assert in_doubt.passes(in_doubt.here, script=True)
    in_doubt.silently(in_doubt.there)
    # Others of the same browser go on meanwhile, and so does this one when it comes back with nothing.
    for worker in (in_doubt.here, in_doubt.there):
        assert in_doubt.passes(worker)
    in_doubt.clock.now += 59
    assert in_doubt.passes(in_doubt.here)
    in_doubt.clock.now += 6
    in_doubt.silently(in_doubt.here)


@pytest.mark.row("G-04")
@pytest.mark.parametrize(
    "error", ["login_required", "interaction_required", "consent_required", "account_selection_required"]
)
def test_where_the_provider_wants_to_see_the_person_they_sign_in(in_doubt: Workers, error: str) -> None:
    asked = in_doubt.silently(in_doubt.here)
    answer = in_doubt.ask(in_doubt.here, path=in_doubt.provider.answer(asked, code=GONE, error=error))
    assert answer.status_code == 303
    login = urlsplit(answer.headers["Location"])
    assert (login.path, parse_qs(login.query)) == ("/.oidcgate/login", {"rd": ["/private"]})
    # Until they have, they are who they were.
    assert in_doubt.passes(in_doubt.here)
    asked = in_doubt.ask(in_doubt.here, path=answer.headers["Location"]).headers["Location"]
    assert "prompt" not in parse_qs(urlsplit(asked).query)


@pytest.mark.row("G-04", "G-17")
@pytest.mark.parametrize(
    "error", ["server_error", "temporarily_unavailable", "access_denied", "invalid_scope"]
)
def test_a_silent_sign_in_that_fails_ends_nothing(in_doubt: Workers, error: str) -> None:
    asked = in_doubt.silently(in_doubt.here)
    answer = in_doubt.ask(in_doubt.here, path=in_doubt.provider.answer(asked, code=GONE, error=error))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{APP}/private")
    assert in_doubt.passes(in_doubt.here)
    assert in_doubt.here.reasons() == ["provider_error"]


@pytest.mark.row("G-04", "G-17")
def test_a_provider_that_fails_at_the_silent_sign_in_ends_nothing(in_doubt: Workers) -> None:
    asked = in_doubt.silently(in_doubt.here)
    answer = in_doubt.provider.answer(asked)
    in_doubt.provider.breaks("/token", status_code=502)
    response = in_doubt.ask(in_doubt.here, path=answer)
    assert (response.status_code, response.headers["Location"]) == (303, f"{APP}/private")
    assert in_doubt.passes(in_doubt.here)


@pytest.mark.row("G-04")
def test_a_silent_sign_in_of_somebody_else_is_none(in_doubt: Workers) -> None:
    in_doubt.provider.claims = {"sub": "sub-of-bob"}
    answer = in_doubt.provider.answer(in_doubt.silently(in_doubt.here))
    response = in_doubt.ask(in_doubt.here, path=answer)
    assert urlsplit(response.headers["Location"]).path == "/.oidcgate/login"
    assert "prompt" not in response.headers["Location"]
    assert in_doubt.passes(in_doubt.here)


def test_a_stranger_who_asks_for_silence_signs_in_as_usual(workers: Workers) -> None:
    answer = workers.there.browser().get("/.oidcgate/login?rd=/private&prompt=none")
    assert "prompt" not in parse_qs(urlsplit(answer.headers["Location"]).query)


@pytest.mark.row("G-04")
def test_without_refresh_tokens_a_browser_signs_in_silently_when_its_access_token_ends(
    tmp_path: Path,
) -> None:
    workers = Workers(tmp_path)
    workers.provider.tokens = {"expires_in": 300}
    workers.sign_in()
    workers.clock.now += 299
    assert workers.passes(workers.here)
    workers.clock.now += 1
    asked = workers.silently(workers.here)
    workers.ask(workers.here, path=workers.provider.answer(asked))
    assert workers.passes(workers.here)
    assert workers.provider.sent_tokens == []


# -- what the app is given


def told(worker: Scene, seen: list[dict[str, Any]]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        worker.visitors.append(environ["REMOTE_USER"])
        seen.append(environ)
        start_response("200 OK", [])
        return [b""]

    worker.gate.app = app


@pytest.fixture
def given(tmp_path: Path) -> tuple[Workers, list[dict[str, Any]]]:
    """Workers whose app is given the access token, in a header too, and what it is told."""
    workers = Workers(tmp_path, {"forward": {"access_token": True, "preset": "oauth2-proxy"}})
    seen: list[dict[str, Any]] = []
    for worker in (workers.here, workers.there):
        told(worker, seen)
    workers.sign_in()
    return workers, seen


def test_the_app_is_given_the_access_token_that_is_good(given: tuple[Workers, list[dict[str, Any]]]) -> None:
    workers, seen = given
    for worker in (workers.here, workers.there):
        assert workers.passes(worker)
    workers.clock.now += 250
    for worker in (workers.here, workers.there):
        assert workers.passes(worker)
    names = ("oidcgate.access_token", "HTTP_X_FORWARDED_ACCESS_TOKEN")
    assert [tuple(environ[name] for name in names) for environ in seen] == [
        *[("the-access-token",) * 2] * 2,
        *[("access-1",) * 2] * 2,
    ]


def test_the_app_is_given_no_access_token_that_has_ended(given: tuple[Workers, list[dict[str, Any]]]) -> None:
    workers, seen = given
    workers.clock.now += 250
    workers.provider.breaks("/token", status_code=502)
    assert workers.passes(workers.here)
    assert seen[-1]["oidcgate.access_token"] == "the-access-token"
    workers.clock.now += 50
    assert workers.passes(workers.here, script=True)
    assert "oidcgate.access_token" not in seen[-1]
    assert "HTTP_X_FORWARDED_ACCESS_TOKEN" not in seen[-1]


def test_the_app_is_given_none_unless_it_is_configured(workers: Workers) -> None:
    seen: list[dict[str, Any]] = []
    told(workers.here, seen)
    assert workers.passes(workers.here)
    assert not [name for name in seen[0] if "access_token" in name.lower()]


# -- settings


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        pytest.param(
            {"session": {"keep_tokens": True}, "state": {"store": "memory"}},
            "session.keep_tokens",
            id="tokens in the memory of one process",
        ),
        pytest.param({"provider": {"scopes": ["openid", "offline_access"]}}, "provider.scopes", id="unused"),
        pytest.param({"forward": {"access_token": True}}, "forward.access_token", id="not kept"),
    ],
)
def test_settings_that_do_not_go_together(tables: dict[str, Any], key: str) -> None:
    usual: dict[str, Any] = {
        "public_url": APP,
        "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "users": {"source": "any"},
        "session": {"secret": SECRET},
    }
    data = {**usual, **{name: {**usual.get(name, {}), **table} for name, table in tables.items()}}
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(data)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_one_process_may_keep_all_in_its_memory() -> None:
    config = config_from_mapping(
        {
            "public_url": APP,
            "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
            "users": {"source": "any"},
            "session": {"secret": SECRET, "keep_tokens": True, "store": "memory"},
            "state": {"store": "memory"},
        }
    )
    assert config.session.keep_tokens
