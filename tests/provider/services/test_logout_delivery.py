"""Clients are told that a session has ended: each once, whatever others do, and whoever dies meanwhile."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from oidcgate.jose.jwt import unverified_claims, unverified_header, verify
from oidcgate.jose.keys import import_public_keys
from oidcgate.jose.shared_secret import verify_hmac
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.protocol.logout_token import LogoutTokenClaims, LogoutTokenRules, check_logout_token
from provider.services.logout import end_every_session, end_everything, end_named
from provider.services.logout_delivery import LogoutDelivery
from provider.services.outbound import Outbound
from provider.store import logout_notices
from provider.store.engine import StoreUnavailable
from provider.store.logout_notices import Notice
from provider.store.schema import browser_sessions, session_clients
from tests.provider.sign_in.place import BYE, CLIENT_SECRET, ISSUER, SECRET, Browser, World, claims, client
from tests.provider.world import SECRET as MADE_WITH
from tests.provider.world import copy_database

HOST = "https://app.example"
HOUR = 3600


@dataclass
class Receiver:
    """The applications' end: an answer for each path, and every logout token that came."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    heard: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        form = parse_qs(environ["wsgi.input"].read().decode())
        path = environ["PATH_INFO"]
        assert environ["REQUEST_METHOD"] == "POST"
        assert list(form) == ["logout_token"], "nothing but the token is sent"
        with self.lock:
            self.heard.append((path, form["logout_token"][0]))
            planned = self.answers.get(path, [])
            status = planned.pop(0) if len(planned) > 1 else planned[0] if planned else 200
        headers = [("Content-Type", "text/plain"), *([("Location", "/else")] if status == 302 else [])]
        start_response(f"{status} X", headers)
        return [b"as you like"]

    def tokens(self, path: str) -> list[str]:
        return [token for where, token in self.heard if where == path]

    def counted(self) -> Counter[str]:
        return Counter(path for path, _ in self.heard)


def told(client_id: str, **changes: Any) -> dict[str, Any]:
    return client(client_id, trusted=True, backchannel_logout_uri=f"{HOST}/out/{client_id}", **changes)


CLIENTS = [
    told("trusted"),
    told("second"),
    told("hmac", id_token_signed_response_alg="HS256"),
    client("quiet", trusted=True),
]


def make(url: str, receiver: Receiver, **changes: Any) -> World:
    fetcher = Fetcher(AddressRules(), adapter=WSGIAdapter(receiver))
    # The databases were made under another secret.
    secret = f"{SECRET}\n{MADE_WITH}"
    document = {"clients": CLIENTS, "further_signing_algorithms": ["HS256"], "secret": secret, **changes}
    return World.over(url, fetcher=fetcher, **document)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def file_url(made_database: Path, tmp_path: Path) -> str:
    """SQLite, for what is decided without the database."""
    return f"sqlite:///{copy_database(made_database, tmp_path / 'provider.db')}"


@pytest.fixture
def world(file_url: str, receiver: Receiver) -> Iterator[World]:
    made = make(file_url, receiver)
    yield made
    made.close()


@pytest.fixture
def world_on_both(url: str, receiver: Receiver) -> Iterator[World]:
    made = make(url, receiver)
    yield made
    made.close()


def delivery(world: World) -> LogoutDelivery:
    found = world.provider.parts.logout_delivery
    # Nothing comes by chance: each pause is as long as it may be.
    found.chance = lambda: 1.0
    return found


def signed_in(world: World, *client_ids: str, name: str = "alice") -> tuple[Browser, list[dict[str, Any]]]:
    """A browser with a session in which these clients got an ID token; its claims."""
    browser = world.browser()
    first, *more = client_ids
    pages = [browser.signed_in(first, name), *(browser.authorize(one) for one in more)]
    return browser, [
        claims(world.tokens(page, one)["id_token"]) for page, one in zip(pages, client_ids, strict=True)
    ]


def sign_out(browser: Browser) -> None:
    assert browser.submit(browser.go(f"{ISSUER}/end_session")).main_id == "page-logged-out"


def judged(world: World, token: str, client_id: str) -> LogoutTokenClaims:
    """What the client makes of a logout token, by the published keys."""
    document = world.browser().client.get("/jwks", base_url=ISSUER).get_json()
    header, said = verify(token, import_public_keys(document), ("RS256",))
    return check_logout_token(
        header, said, LogoutTokenRules(ISSUER, client_id, 0, sid_required=True), world.now
    )


def notices(world: World, *, failed: bool = False) -> list[Notice]:
    with world.provider.parts.store.read() as conn:
        return list(logout_notices.list_notices(conn, "default", failed=failed))


@pytest.mark.row("S-19", "P-33")
def test_each_client_of_the_session_is_told_which_one_has_ended(
    world_on_both: World, receiver: Receiver
) -> None:
    world = world_on_both
    browser, (id_token, *_) = signed_in(world, "trusted", "second", "quiet")
    assert delivery(world).deliver_due() == 0
    sign_out(browser)
    assert receiver.heard == []  # the answer waited for nobody

    assert delivery(world).deliver_due() == 2

    assert receiver.counted() == {"/out/trusted": 1, "/out/second": 1}
    (token,) = receiver.tokens("/out/trusted")
    said = judged(world, token, "trusted")
    assert (said.sid, said.sub) == (id_token["sid"], id_token["sub"])
    assert unverified_header(token)["typ"] == "logout+jwt"
    assert unverified_claims(token) == {
        "iss": ISSUER,
        "aud": "trusted",
        "sub": id_token["sub"],
        "sid": id_token["sid"],
        "iat": world.now,
        "exp": world.now + 120,
        "jti": said.jti,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    (other,) = receiver.tokens("/out/second")
    assert judged(world, other, "second").jti != said.jti
    assert delivery(world).deliver_due() == 0
    assert world.provider.parts.store is not None
    assert notices(world) == []
    sent = world.events("logout_notice_sent")
    assert sorted(event["client_id"] for event in sent) == ["second", "trusted"]
    assert {event["sid"] for event in sent} == {id_token["sid"]}
    assert token not in "".join(world.lines)


@pytest.mark.row("S-19")
def test_the_client_that_asks_is_told_like_the_others(world: World, receiver: Receiver) -> None:
    browser = world.browser()
    id_token = world.tokens(browser.signed_in())["id_token"]
    browser.go(f"{ISSUER}/end_session?id_token_hint={id_token}&post_logout_redirect_uri={BYE}")
    assert delivery(world).deliver_due() == 1
    assert receiver.counted() == {"/out/trusted": 1}


def test_who_has_id_tokens_by_its_secret_has_logout_tokens_so(world: World, receiver: Receiver) -> None:
    browser, _ = signed_in(world, "hmac")
    sign_out(browser)
    delivery(world).deliver_due()
    (token,) = receiver.tokens("/out/hmac")
    header, said = verify_hmac(token, [CLIENT_SECRET], ("HS256",))
    assert check_logout_token(header, said, LogoutTokenRules(ISSUER, "hmac", 0), world.now)


def test_a_logout_token_is_no_hint(world: World, receiver: Receiver) -> None:
    browser, _ = signed_in(world, "trusted")
    sign_out(browser)
    delivery(world).deliver_due()
    browser.signed_in()
    page = browser.go(
        f"{ISSUER}/end_session?id_token_hint={receiver.heard[0][1]}&post_logout_redirect_uri={BYE}"
    )
    assert page.main_id == "page-logout"


@pytest.mark.row("P-33")
def test_another_person_in_the_same_browser_ends_the_session_before(world: World, receiver: Receiver) -> None:
    browser, (id_token,) = signed_in(world, "trusted")
    browser.sign_in(browser.authorize("second", prompt="login"), "Bob")
    assert delivery(world).deliver_due() == 1
    assert judged(world, receiver.tokens("/out/trusted")[0], "trusted").sid == id_token["sid"]


def test_the_same_person_again_goes_on_in_the_same_session(world: World, receiver: Receiver) -> None:
    browser, (id_token,) = signed_in(world, "trusted")
    world.sleep(7 * HOUR)
    browser.sign_in(browser.authorize("trusted", prompt="login"))
    world.sleep(7 * HOUR)  # the first session would be over, and with it who took part
    world.provider.parts.housekeeping.sweep(world.now)
    assert delivery(world).deliver_due() == 0
    browser.go(f"{ISSUER}/end_session")
    with world.provider.parts.store.begin() as conn:
        assert end_named(conn, world.provider.parts.realms[0], id_token["sid"], world.now) is not None
    assert delivery(world).deliver_due() == 1


@pytest.mark.row("P-33")
@pytest.mark.parametrize("how", ["everywhere", "disabled"])
def test_everywhere_means_every_session_each_by_its_name(
    world_on_both: World, receiver: Receiver, how: str
) -> None:
    world = world_on_both
    sids = [signed_in(world, "trusted", "second")[1][0]["sid"] for _ in range(3)]
    bobs = signed_in(world, "trusted", name="Bob")
    parts = world.provider.parts
    with parts.store.begin() as conn:
        if how == "everywhere":
            ended = end_every_session(conn, parts.realms[0], "sub-alice", world.now)
        else:
            ended = end_everything(conn, parts.realms[0], "sub-alice", world.now, "user_disabled")
    assert sorted(ended) == sorted(sids)
    assert delivery(world).deliver_due() == 6
    for client_id in ("trusted", "second"):
        heard = [judged(world, token, client_id) for token in receiver.tokens(f"/out/{client_id}")]
        assert sorted(said.sid or "" for said in heard) == sorted(sids)
        assert len({said.jti for said in heard}) == 3
    sign_out(bobs[0])
    assert delivery(world).deliver_due() == 1


@pytest.mark.row("S-20", "S-21", "P-30")
def test_what_goes_on_and_what_ends_with_a_session(world: World) -> None:
    scope = "openid offline_access"
    browser = world.browser()
    mine = world.tokens(browser.signed_in(scope=scope))
    sid = claims(mine["id_token"])["sid"]
    parts = world.provider.parts
    with parts.store.begin() as conn:
        assert end_named(conn, parts.realms[0], sid, world.now, user_id="sub-bob") is None
    assert world.userinfo_status(mine["access_token"]) == 200
    with parts.store.begin() as conn:
        assert end_named(conn, parts.realms[0], sid, world.now, user_id="sub-alice") is not None
        assert end_named(conn, parts.realms[0], sid, world.now) is None
    # Who points at a session means whatever came of it.
    assert world.userinfo_status(mine["access_token"]) == 401
    assert world.refresh(mine["refresh_token"]).status_code == 400


@pytest.mark.row("P-30")
def test_a_code_of_a_session_that_was_signed_out_is_not_redeemed(world: World) -> None:
    """Its client was told of the end and would begin a session after that."""
    browser = world.browser()
    page = browser.signed_in()
    sign_out(browser)
    form = {"grant_type": "authorization_code", "code": page.answer["code"], "redirect_uri": f"{HOST}/cb",
            "code_verifier": "v" * 64}  # fmt: skip
    refused = world.post_token(form)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")
    assert "was signed out" in world.events("request_refused")[0]["detail"]


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
def test_what_is_no_answer_is_tried_again_with_the_same_jti(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.answers["/out/trusted"] = [status, status, 204]
    browser, _ = signed_in(world, "trusted", "second")
    sign_out(browser)
    sender = delivery(world)
    assert sender.deliver_due() == 2
    assert sender.deliver_due() == 0
    (waiting,) = notices(world)
    assert (waiting.due_at, waiting.attempts) == (world.now + 10, 1)
    assert waiting.reason is not None
    world.sleep(10)
    assert sender.deliver_due() == 1
    world.sleep(19)
    assert sender.deliver_due() == 0
    world.sleep(1)
    assert sender.deliver_due() == 1
    tokens = receiver.tokens("/out/trusted")
    assert len(tokens) == 3
    assert len({unverified_claims(token)["jti"] for token in tokens}) == 1
    # Signed when it is sent: each is good for two minutes from then.
    assert judged(world, tokens[-1], "trusted").expires_at == world.now + 120
    assert [
        event["attempts"] for event in world.events("logout_notice_sent") if event["client_id"] == "trusted"
    ] == [3]
    assert notices(world) == notices(world, failed=True) == []
    assert receiver.counted()["/else"] == 0


def test_a_client_that_will_not_have_it_is_listed_at_once(world: World, receiver: Receiver) -> None:
    receiver.answers["/out/trusted"] = [400]
    browser, (id_token,) = signed_in(world, "trusted")
    sign_out(browser)
    delivery(world).deliver_due()
    (failed,) = notices(world, failed=True)
    assert (failed.client_id, failed.reason, failed.attempts) == ("trusted", "status 400", 1)
    (event,) = world.events("logout_notice_failed")
    assert (event["client_id"], event["sid"], event["reason"]) == ("trusted", id_token["sid"], "status 400")
    world.sleep(10 * HOUR)
    assert delivery(world).deliver_due() == 0


def test_who_never_answers_is_listed_after_so_many_attempts(file_url: str, receiver: Receiver) -> None:
    world = make(file_url, receiver, logout={"attempts": 3})
    receiver.answers["/out/trusted"] = [500]
    browser, _ = signed_in(world, "trusted")
    sign_out(browser)
    for _ in range(5):
        delivery(world).deliver_due()
        world.sleep(HOUR)
    assert receiver.counted() == {"/out/trusted": 3}
    (failed,) = notices(world, failed=True)
    assert (failed.attempts, failed.reason) == (3, "status 500")
    world.close()


def test_what_waits_too_long_is_listed_without_being_sent(url: str, receiver: Receiver) -> None:
    """A client that hangs has one notice tried; the others of its queue do not wait for ever behind it."""
    world = make(url, receiver, logout={"give_up_hours": 2.0})
    receiver.answers["/out/trusted"] = [503]
    for _ in range(5):
        sign_out(signed_in(world, "trusted")[0])
    delivery(world).deliver_due()
    assert receiver.counted() == {"/out/trusted": 1}
    world.sleep(2 * HOUR + 1)
    delivery(world).deliver_due()
    failed = notices(world, failed=True)
    assert len(failed) == 5
    assert notices(world) == []
    assert len(world.events("logout_notice_failed")) == 5
    assert Counter(one.reason for one in failed) == {None: 4, "status 503": 1}
    # Kept for a month, then forgotten.
    world.sleep(31 * 86_400)
    world.provider.parts.housekeeping.sweep(world.now)
    assert notices(world, failed=True) == []
    world.close()


def test_a_failed_notice_is_sent_once_more_when_somebody_says_so(world: World, receiver: Receiver) -> None:
    receiver.answers["/out/trusted"] = [400, 200]
    browser, _ = signed_in(world, "trusted")
    sign_out(browser)
    delivery(world).deliver_due()
    world.sleep(48 * HOUR)
    with world.provider.parts.store.begin() as conn:
        assert logout_notices.retry_failed(conn, "default", world.now) == 1
    assert delivery(world).deliver_due() == 1
    first, second = (unverified_claims(token) for token in receiver.tokens("/out/trusted"))
    assert first["jti"] == second["jti"]
    assert notices(world) == notices(world, failed=True) == []


def test_a_client_in_trouble_has_one_notice_on_its_way_and_its_queue_is_put_off(
    world_on_both: World, receiver: Receiver
) -> None:
    world = world_on_both
    receiver.answers["/out/trusted"] = [503, 200]
    for _ in range(6):
        sign_out(signed_in(world, "trusted", "second")[0])
    assert delivery(world).deliver_due() == 7
    assert receiver.counted() == {"/out/trusted": 1, "/out/second": 6}
    world.sleep(9)
    assert delivery(world).deliver_due() == 0
    world.sleep(1)
    assert delivery(world).deliver_due() == 6
    assert len({unverified_claims(token)["jti"] for token in receiver.tokens("/out/trusted")}) == 6
    assert notices(world) == []


def test_what_dies_in_the_middle_is_sent_again_with_the_same_jti(url: str, receiver: Receiver) -> None:
    """The process ends between the answer of the client and the commit: nobody can say what happened."""
    world = make(url, receiver)
    browser, _ = signed_in(world, "trusted", "second")
    sign_out(browser)

    class Killed(BaseException):
        pass

    def die(_landed: object) -> None:
        raise Killed

    sender = delivery(world)
    sender._settle = die
    with pytest.raises(Killed):
        sender.deliver_due()
    first = receiver.counted()
    assert sum(first.values()) in (1, 2)
    world.close()

    again = make(url, receiver)
    again.time[0] = world.time[0] + 34
    # What was only leased and what was sent: both are somebody's until the lease is over.
    assert delivery(again).deliver_due() == 0
    again.sleep(1)
    delivery(again).deliver_due()
    delivery(again).deliver_due()
    for path in ("/out/trusted", "/out/second"):
        assert len({unverified_claims(token)["jti"] for token in receiver.tokens(path)}) == 1
        assert 1 <= len(receiver.tokens(path)) <= 2
    assert notices(again) == []
    again.close()


def test_two_processes_send_each_notice_once(url: str, receiver: Receiver) -> None:
    world, other = make(url, receiver), make(url, receiver)
    for _ in range(12):
        sign_out(signed_in(world, "trusted", "second", "hmac")[0])
    other.time[0] = world.time[0]
    with ThreadPoolExecutor(2) as pool:
        handled = list(pool.map(lambda one: delivery(one).deliver_due(), (world, other)))
    # One may have looked before the other had written anything.
    handled += [delivery(world).deliver_due()]
    assert sum(handled) == 36
    assert receiver.counted() == {"/out/trusted": 12, "/out/second": 12, "/out/hmac": 12}
    world.close()
    other.close()


@pytest.mark.parametrize(
    "clients",
    [
        pytest.param([told("trusted", enabled=False)], id="disabled"),
        pytest.param([client("trusted")], id="address-taken-away"),
        pytest.param([client("app")], id="gone"),
    ],
)
def test_who_can_no_longer_be_told_is_listed_at_once(
    file_url: str, receiver: Receiver, clients: list[dict[str, Any]]
) -> None:
    world = make(file_url, receiver)
    sign_out(signed_in(world, "trusted")[0])
    parts = world.provider.parts
    with parts.store.begin() as conn:
        logout_notices.write_due(
            conn, "default", "backchannel_logout_uri", ["trusted"], world.now, sessions=9
        )
    changed = make(file_url, receiver, clients=clients)
    assert delivery(changed).deliver_due() == 1
    assert receiver.heard == []
    assert notices(changed) == []
    (failed,) = notices(changed, failed=True)
    assert failed.reason is not None
    assert "backchannel_logout_uri" in failed.reason
    (event,) = changed.events("logout_notice_failed")
    assert event["reason"] == failed.reason
    world.close()
    changed.close()


@pytest.mark.row("P-33")
def test_a_client_that_was_disabled_before_is_not_told(file_url: str, receiver: Receiver) -> None:
    world = make(file_url, receiver)
    browser, _ = signed_in(world, "trusted", "second")
    world.close()
    changed = make(file_url, receiver, clients=[told("trusted", enabled=False), told("second")])
    browser.client.application = changed.provider
    sign_out(browser)
    assert delivery(changed).deliver_due() == 1
    assert receiver.counted() == {"/out/second": 1}
    changed.close()


def test_a_database_in_trouble_is_left_alone(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "provider")
    sender = delivery(world)
    working, sender.store = sender.store, type(sender.store)("sqlite:////nowhere/at/all.db")
    assert sender.deliver_due() == 0
    assert "clients were not told of sign-outs" in caplog.text
    sender.store = working
    sign_out(signed_in(world, "trusted")[0])
    assert sender.deliver_due() == 1


def test_who_is_told_to_stop_takes_nothing_more(world: World, receiver: Receiver) -> None:
    sign_out(signed_in(world, "trusted")[0])
    sender = delivery(world)
    sender.stopping.set()
    assert sender.deliver_due() == 0
    sender.stopping.clear()
    assert sender.deliver_due() == 1


def test_what_waits_for_a_thread_is_given_back_by_who_stops(file_url: str, receiver: Receiver) -> None:
    world = make(file_url, receiver, logout={"parallel": 2})
    sender = delivery(world)
    sign_out(signed_in(world, "trusted")[0])
    sender.deliver_due()
    for _ in range(4):
        sign_out(signed_in(world, "trusted")[0])
    sent = len(receiver.heard)
    both = threading.Barrier(2)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        both.wait(60)
        sender.stopping.set()
        return receiver(environ, start_response)

    sender.outbound = Outbound.through(Fetcher(AddressRules(), adapter=WSGIAdapter(app), total_seconds=60))
    assert sender.deliver_due() == 2
    assert len(receiver.heard) == sent + 2
    left = notices(world)
    assert [one.attempts for one in left] == [0, 0]

    # At once, and not when a lease is over.
    sender.stopping.clear()
    sender.outbound = Outbound.through(Fetcher(AddressRules(), adapter=WSGIAdapter(receiver)))
    assert sender.deliver_due() == 2
    assert len(receiver.heard) == sent + 4
    world.close()


def test_what_cannot_be_written_down_yet_is_kept_and_not_sent_again(
    world_on_both: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_on_both
    sign_out(signed_in(world, "trusted", "second")[0])
    settle_done, refused = logout_notices.settle_done, [1, 1]

    def in_trouble(*told: Any) -> None:
        if refused.pop() if refused else False:
            raise StoreUnavailable(TimeoutError("deadlock detected"))
        settle_done(*told)

    monkeypatch.setattr(logout_notices, "settle_done", in_trouble)
    assert delivery(world).deliver_due() == 2
    assert notices(world) == []
    assert receiver.counted() == {"/out/trusted": 1, "/out/second": 1}
    assert len(world.events("logout_notice_sent")) == 2
    world.sleep(HOUR)
    assert delivery(world).deliver_due() == 0


def test_while_a_client_is_waited_for_nothing_is_written(file_url: str, receiver: Receiver) -> None:
    """Its queue is due, and it may have one notice on its way: to look so is to read."""
    world = make(file_url, receiver)
    for _ in range(3):
        sign_out(signed_in(world, "trusted")[0])
    sender = delivery(world)
    looked = threading.Event()
    begun: list[int] = []
    begin, turns = sender.store.begin, sender._turns
    seen: list[int] = []

    def counted_begin() -> Any:
        begun.append(1)
        return begin()

    def counted_turns(*told: Any) -> Any:
        seen.append(len(begun))
        if len(seen) == 5:
            looked.set()
        return turns(*told)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert looked.wait(60)
        start_response("503 X", [])
        return [b""]

    sender.store.begin = counted_begin
    sender._turns = counted_turns
    sender.outbound = Outbound.through(Fetcher(AddressRules(), adapter=WSGIAdapter(app), total_seconds=60))
    assert sender.deliver_due() == 1
    assert len(set(seen[1:5])) == 1
    world.close()


def test_a_second_thread_of_a_process_leaves_it_to_the_first(world: World) -> None:
    sign_out(signed_in(world, "trusted")[0])
    sender = delivery(world)
    with sender.lock:
        assert sender.deliver_due() == 0
    assert sender.deliver_due() == 1


def test_realms_tell_their_own_clients_under_their_own_name(url: str, receiver: Receiver) -> None:
    world = make(url, receiver, realms=[{"name": "second", "clients": [told("trusted")]}])
    parts = world.provider.parts
    sign_out(signed_in(world, "trusted")[0])
    with parts.store.begin() as conn:
        row = {"realm_id": "second", "sid": "s", "client_id": "trusted", "expires_at": world.now + HOUR}
        conn.execute(session_clients.insert().values(row))
        conn.execute(
            browser_sessions.insert().values(
                realm_id="second", session_hash="h", sid="s", user_id="u", auth_time=0, acr="", amr=[],
                created_at=0, seen_at=0, expires_at=world.now + HOUR, ended_at=world.now,
            )
        )  # fmt: skip
    assert delivery(world).deliver_due() == 2
    said = [unverified_claims(token) for token in receiver.tokens("/out/trusted")]
    assert {one["iss"] for one in said} == {ISSUER, f"{ISSUER}/r/second"}
    assert len({one["jti"] for one in said}) == 2
    world.close()


def test_a_client_that_hangs_keeps_nobody_else_waiting(file_url: str, receiver: Receiver) -> None:
    """It lets go only when every other notice has arrived: a sender that waited for it would never end."""
    hanging = [told(f"hangs-{number}") for number in range(6)]
    world = make(
        file_url, receiver, clients=[*hanging, told("trusted"), told("second")], logout={"parallel": 4}
    )
    # Both have answered well before; of clients that never did, half of the threads is all there is.
    sign_out(signed_in(world, "trusted", "second")[0])
    assert delivery(world).deliver_due() == 2
    others = threading.Event()
    in_time: list[bool] = []
    answer = receiver.__call__

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if "hangs" in environ["PATH_INFO"]:
            in_time.append(others.wait(60))
            start_response("503 X", [])
            return [b""]
        said = answer(environ, start_response)
        if receiver.counted() == {"/out/trusted": 6, "/out/second": 6}:
            others.set()
        return said

    delivery(world).outbound = Outbound.through(
        Fetcher(AddressRules(), adapter=WSGIAdapter(app), total_seconds=60)
    )
    names = [*(f"hangs-{number}" for number in range(6)), "trusted", "second"]
    for _ in range(5):
        sign_out(signed_in(world, *names)[0])
    assert delivery(world).deliver_due() == 10 + 6
    assert in_time == [True] * 6
    assert len(notices(world)) == 6 * 5
    world.close()
