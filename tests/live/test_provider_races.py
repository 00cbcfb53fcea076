"""Everything that is good once, used over many connections at the same instant, on both databases.

The connections reach several processes of `oidcgate-provider serve`, and the store's own log shows that they
met there. In `make test` 24 connections over 2 processes, in `make test-heavy` 100 over 4; the outcomes of
the latter are in docs/races-and-kills.md. What has no endpoint (keys, secrets of clients) is used in as many
processes and threads. The same in process, without sockets, is `tests/provider/services/test_races.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from provider.app import Provider
from provider.build import Parts
from provider.services.client_secrets import secret_hash
from provider.services.keyring import RotationPending
from tests.live.at_once import Reply, ask, get, post
from tests.live.conftest import BUILD
from tests.live.figures import Figures
from tests.live.raced_provider import (
    FULL,
    SMALL,
    STRICT,
    OpenPage,
    RacedProvider,
    cookies_of,
    polling,
    refreshing,
    secret_in,
    started_at_once,
    target_of,
)
from tests.live.served_provider import BASIC
from tests.provider.store_log import VARIABLE, LoggedStore
from tests.support.postgresql import Postgresql

pytestmark = [pytest.mark.live, pytest.mark.slow]

SIZES = [
    pytest.param((kind, size), id=f"{kind}-{size.connections}", marks=marks)
    for size, marks in ((SMALL, []), (FULL, [pytest.mark.heavy]))
    for kind in ("sqlite", "postgresql")
]


@pytest.fixture(scope="module", params=SIZES)
def raced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RacedProvider]:
    """One served provider for all tests over one database."""
    kind, size = request.param
    folder = tmp_path_factory.mktemp("raced")
    figures = Figures(BUILD / "figures.jsonl", kind)
    with (
        database(request, kind, folder) as url,
        RacedProvider.served(folder, url, size, figures) as served,
    ):
        yield served


@contextmanager
def database(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    """One without tables."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'provider.db'}"
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.database() as name:
        yield server.url(name)


@pytest.fixture
def logged(raced: RacedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process does at the database is in the same log."""
    monkeypatch.setenv(VARIABLE, str(raced.log))
    monkeypatch.setattr("provider.build.Store", LoggedStore)


def one_won(replies: Sequence[Reply], lost: tuple[int, str]) -> dict[str, Any]:
    """What the one got that was answered 200; all others got that error."""
    (won,) = (reply for reply in replies if reply.status == 200)
    assert [reply.error for reply in replies if reply is not won] == [lost] * (len(replies) - 1)
    return won.document


def again(request: bytes, raced: RacedProvider) -> list[bytes]:
    return [request] * raced.size.connections


@pytest.mark.row("E-01", "P-04")
@pytest.mark.parametrize("response_type", ["code", "code id_token token"])
def test_a_code(raced: RacedProvider, response_type: str) -> None:
    given = raced.answer(raced.authorize_url("app", response_type=response_type))
    replies = raced.at_once(f"code of `{response_type}`", again(raced.redeeming(given["code"]), raced))
    won = one_won(replies, (400, "invalid_grant"))
    # The second use stopped what the first one got, and what came with the code.
    assert not raced.works(won["access_token"])
    assert not raced.works(won["refresh_token"])
    if "access_token" in given:
        assert not raced.works(given["access_token"])
    assert raced.ask(refreshing(won["refresh_token"])).error == (400, "invalid_grant")


@pytest.mark.row("S-13", "P-06", "P-21", "P-23", "P-25")
def test_a_refresh_token_inside_the_grace(raced: RacedProvider) -> None:
    token = raced.tokens()["refresh_token"]
    replies = raced.at_once("refresh token, with a grace", again(refreshing(token), raced))
    assert {reply.status for reply in replies} == {200}
    pairs = {(reply.document["refresh_token"], reply.document["access_token"]) for reply in replies}
    ((successor, access),) = pairs
    assert successor != token
    assert raced.works(access)
    assert raced.ask(refreshing(successor)).status == 200


@pytest.mark.row("S-13", "P-06", "P-22")
def test_a_refresh_token_without_a_grace(raced: RacedProvider) -> None:
    token = raced.tokens(STRICT)["refresh_token"]
    replies = raced.at_once("refresh token, no grace", again(refreshing(token, STRICT), raced))
    won = one_won(replies, (400, "invalid_grant"))
    assert not raced.works(won["access_token"], STRICT)
    assert raced.ask(refreshing(won["refresh_token"], STRICT)).error == (400, "invalid_grant")


@pytest.mark.row("P-06")
def test_a_refresh_token_that_is_given_back_while_it_is_used(raced: RacedProvider) -> None:
    tokens = raced.tokens()
    giving_back = post("/revoke", {"token": tokens["refresh_token"]}, authorization=BASIC)
    requests = [refreshing(tokens["refresh_token"]), giving_back] * (raced.size.connections // 2)
    replies = raced.at_once("refresh token, half give it back", requests)
    assert {reply.status for reply in replies[1::2]} == {200}
    refreshed = [reply for reply in replies[::2] if reply.status == 200]
    assert {reply.error for reply in replies[::2] if reply not in refreshed} <= {(400, "invalid_grant")}
    # Whoever was first: what was given before, then or after does not outlive it.
    given = [tokens, *(reply.document for reply in refreshed)]
    assert not any(raced.works(one["access_token"]) for one in given)
    assert {raced.ask(refreshing(one["refresh_token"])).status for one in given} == {400}


@pytest.mark.row("P-07")
def test_a_client_assertion(raced: RacedProvider) -> None:
    form = {"grant_type": "client_credentials", "scope": "jobs", **raced.assertion()}
    replies = raced.at_once("client assertion", again(post("/token", form), raced))
    won = one_won(replies, (401, "invalid_client"))
    assert raced.works(won["access_token"])
    assert len(raced.rows("access_tokens", client_id="signer")) == 1


@pytest.mark.row("S-50", "P-04")
def test_the_answer_to_a_device(raced: RacedProvider) -> None:
    """In as many tabs of one browser: half of them say yes, the others no."""
    started = raced.start_device()
    agent, _ = raced.signed_in(raced.authorize_url("app"))
    yes = raced.size.connections // 2

    def request(number: int) -> bytes:
        if number < yes:
            return get(target_of(raced.confirmed(agent, started["user_code"])), cookies=cookies_of(agent))
        page = raced.typed(agent, started["user_code"])
        form = page.form_with("deny")
        return post(target_of(form.action), {**form.fields, "decision": "deny"}, cookies=cookies_of(agent))

    requests = [request(number) for number in range(raced.size.connections)]
    replies = raced.at_once("answer to a device, half say no", requests)
    (won,) = (number for number, reply in enumerate(replies) if reply.status == 200)
    assert {reply.status for number, reply in enumerate(replies) if number != won} == {400}
    assert 'id="page-device-done"' in replies[won].text
    grants = raced.rows("grants", client_id="tv", revoked_at=None)
    assert len(grants) == (1 if won < yes else 0)
    polled = raced.ask(polling(started["device_code"]))
    assert polled.status == 200 if won < yes else polled.error == (400, "access_denied")


@pytest.mark.row("S-50", "P-04")
def test_a_device_code(raced: RacedProvider) -> None:
    started = raced.start_device()
    agent, _ = raced.signed_in(raced.authorize_url("app"))
    assert "page-device-done" in agent.open(raced.confirmed(agent, started["user_code"])).text
    replies = raced.at_once("device code", again(polling(started["device_code"]), raced))
    won = one_won(replies, (400, "invalid_grant"))
    assert not raced.works(won["access_token"])
    assert not raced.works(won["refresh_token"])


@pytest.mark.row("E-28", "P-04")
def test_a_code_of_an_authenticator(raced: RacedProvider) -> None:
    phone = raced.authenticator("sub-otto")
    pages = raced.pages(raced.authorize_url("strong"), "otto")
    assert {page.main_id for page in pages} == {"page-otp"}
    # Of half a minute ahead: good for longer than this test takes.
    code = phone.at(int(time.time()) + 30)
    replies = raced.at_once("code of an authenticator", [page.sent(otp=code) for page in pages])
    (won,) = (reply for reply in replies if reply.status == 303)
    assert "set-cookie" in won.headers
    lost = [(reply.status, "used already" in reply.text) for reply in replies if reply is not won]
    assert lost == [(403, True)] * (raced.size.connections - 1)
    # The browsers that lost are asked again.
    led = [
        raced.ask(page.next).location for page, reply in zip(pages, replies, strict=True) if reply is not won
    ]
    assert {urlsplit(location).path for location in led} == {"/login/otp"}


@pytest.mark.row("E-28")
def test_a_new_authenticator(raced: RacedProvider) -> None:
    """As many browsers of one person set one up, each another."""
    pages = raced.pages(raced.authorize_url("strong"), "erin")
    assert {page.main_id for page in pages} == {"page-enrol"}
    assert len({page.phone.secret for page in pages}) == len(pages)
    requests = [page.sent(otp=page.phone.now()) for page in pages]
    replies = raced.at_once("new authenticator", requests)
    assert {reply.status for reply in replies} == {303}
    (won,) = (number for number, reply in enumerate(replies) if "set-cookie" in reply.headers)
    assert len(raced.rows("totp", user_id="sub-erin")) == 1
    # It is that of the one, and the others are asked for a code of it.
    lost = next(page for number, page in enumerate(pages) if number != won)
    asked = raced.ask(get(target_of(raced.ask(lost.next).location), cookies=lost.cookies))
    assert 'id="page-otp"' in asked.text


@pytest.mark.row("E-28")
def test_the_page_for_a_new_authenticator(raced: RacedProvider) -> None:
    """Opened in many tabs at once it shows one secret in all, so that whichever was scanned is good."""
    url = raced.authorize_url("strong")
    agent, _ = raced.signed_in(raced.authorize_url("app"))
    request = get(target_of(agent.step(url).headers["Location"]), cookies=cookies_of(agent))
    replies = raced.at_once("page for a new authenticator", again(request, raced))
    assert {reply.status for reply in replies} == {200}
    assert len({secret_in(reply.text) for reply in replies}) == 1


@pytest.mark.row("E-01", "A-13", "P-04", "P-11")
def test_the_form_of_one_consent(raced: RacedProvider) -> None:
    url = raced.authorize_url(f"asks-{raced.size.connections}", scope="openid")
    open_page = OpenPage.of(*raced.signed_in(url))
    assert open_page.main_id == "page-consent"
    replies = raced.at_once("form of a consent", again(open_page.sent(decision="allow"), raced))
    assert {reply.status for reply in replies} == {303}
    before = len(raced.rows("codes"))
    replies = raced.at_once("answer to the client after it", again(open_page.next, raced))
    codes = [parse_qs(urlsplit(reply.location).query)["code"] for reply in replies if reply.status == 303]
    assert len(codes) == 1
    assert Counter(reply.status for reply in replies)[400] == raced.size.connections - 1
    assert len(raced.rows("codes")) == before + 1


@pytest.mark.row("A-13", "P-04")
def test_one_answer_to_the_question_for_consent_counts(raced: RacedProvider) -> None:
    """Half of the tabs say yes, the others no: what is remembered is what the client is told."""
    client_id = f"asks-{raced.size.connections + 1}"
    page = OpenPage.of(*raced.signed_in(raced.authorize_url(client_id, scope="openid")))
    assert page.main_id == "page-consent"
    requests = [page.sent(decision=word) for word in ("deny", "allow")] * (raced.size.connections // 2)
    replies = raced.at_once("form of a consent, half say no", requests)
    assert {reply.status for reply in replies} == {303}
    answered = raced.events("consent_answered", client_id)
    assert len(answered) == 1
    allowed = "code=" in raced.ask(page.next).location
    assert allowed == answered[0]["allowed"]
    assert (client_id in raced.consents("sub-alice")) == allowed


@pytest.mark.row("A-13", "C-13")
def test_consents_in_many_tabs_are_all_kept(raced: RacedProvider) -> None:
    agent, _ = raced.signed_in(raced.authorize_url("app"))
    pages = [
        OpenPage.of(agent, agent.open(raced.authorize_url(f"asks-{number}", scope="openid")))
        for number in range(raced.size.connections)
    ]
    assert {page.main_id for page in pages} == {"page-consent"}
    replies = raced.at_once("consents of one person", [page.sent(decision="allow") for page in pages])
    assert {reply.status for reply in replies} == {303}
    assert {f"asks-{number}" for number in range(raced.size.connections)} <= raced.consents("sub-alice")


@pytest.mark.row("A-14")
def test_a_consent_that_is_withdrawn_while_codes_are_given(raced: RacedProvider, logged: None) -> None:
    """Each tab gets a code that is dead, or is asked anew: no grant outlives the withdrawal."""
    url = raced.authorize_url("asks-0", scope="openid")
    agent, page = raced.signed_in(url)
    if page.main_id == "page-consent":
        page = agent.press(page, "allow")
    request = get(target_of(url), cookies=cookies_of(agent))

    def withdraw(made: Provider) -> None:
        realm, now = made.parts.realms[0], int(time.time())
        with made.parts.store.begin() as conn:
            made.parts.consents.withdraw(conn, realm, "sub-alice", "asks-0", now, by="person")

    replies = raced.at_once_beside(
        "codes while a consent is withdrawn", again(request, raced), withdraw, after=raced.size.workers * 2
    )
    assert {reply.status for reply in replies} == {303}
    assert raced.rows("grants", client_id="asks-0", revoked_at=None) == []
    assert "/consent" in raced.ask(request).location


@pytest.mark.row("S-47")
def test_the_secret_of_a_client_is_replaced_while_it_is_used(raced: RacedProvider, logged: None) -> None:
    before = raced.add_client("worker")
    form = {"grant_type": "client_credentials", "scope": "jobs", "client_id": "worker"}
    request = post("/token", {**form, "client_secret": before})
    made: list[str] = []

    def renew(overlap_seconds: int) -> Callable[[Provider], None]:
        return lambda provider: made.append(renewed(provider.parts, "worker", overlap_seconds))

    replies = raced.at_once_beside(
        "secret replaced with an overlap", again(request, raced), renew(3600), after=raced.size.workers * 2
    )
    assert {reply.status for reply in replies} == {200}
    replies = raced.at_once_beside("secret replaced at once", again(request, raced), renew(0), after=0)
    assert {reply.kind for reply in replies} <= {"200", "401 invalid_client"}
    statuses = [raced.ask(post("/token", {**form, "client_secret": one})).status for one in (before, *made)]
    assert statuses == [401, 401, 200]


def renewed(parts: Parts, client_id: str, overlap_seconds: int) -> str:
    with parts.store.begin() as conn:
        made = parts.clients.renew_secret(
            conn, parts.realms[0], client_id, int(time.time()), overlap_seconds=overlap_seconds
        )
    assert made.secret is not None
    return made.secret.reveal()


@pytest.mark.row("S-47")
def test_secrets_made_at_once_follow_each_other(raced: RacedProvider, logged: None) -> None:
    first = raced.add_client("renewed")
    said = raced.in_processes(lambda made: renewed(made.parts, "renewed", 3600))
    raced.met("secrets of one client", ["made"] * len(said))
    assert len(set(said)) == raced.size.connections
    (row,) = raced.rows("clients", client_id="renewed")
    hashes = {secret_hash(secret) for secret in said}
    assert row["secret_hash"] in hashes
    assert row["old_secret_hash"] in hashes - {row["secret_hash"], secret_hash(first)}


@pytest.mark.row("P-25", "S-28")
def test_keys_made_at_once_are_one(raced: RacedProvider, logged: None) -> None:
    def rotate(made: Provider) -> str:
        parts = made.parts
        try:
            return parts.keys.rotate(parts.store, parts.realms[0], "ES256", int(time.time())).state
        except RotationPending:
            return "pending"

    said = raced.in_processes(rotate)
    # Who makes its key slowly comes when the others are gone.
    raced.met("rotation of a key", said, apart=True)
    assert Counter(said) == {"next": 1, "pending": raced.size.connections - 1}
    rows = raced.rows("keys", realm_id="default", alg="ES256")
    assert sorted(row["state"] for row in rows) == ["current", "next"]


@pytest.mark.row("P-25")
def test_servers_that_start_at_once_make_one_first_key(
    raced: RacedProvider, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Over a database without tables."""
    with (
        database(request, raced.figures.database, tmp_path) as url,
        started_at_once(tmp_path, url, raced.size) as ports,
    ):
        key_sets = [ask(port, get("/jwks")).document["keys"] for port in ports]
    kids = [[key["kid"] for key in keys if key["alg"] == "RS256"] for keys in key_sets]
    assert len(kids) == raced.size.workers
    assert {len(found) for found in kids} == {1}
    assert len({kid for (kid,) in kids}) == 1
