"""Telling clients that sessions have ended: whoever serves does it, beside its requests.

`deliver_due` sends what there is to send and returns; `background` next door calls it again and again. Any
number of processes and hosts do it over one database: a notice is leased before it is sent, and one whose
sender died is leased by another when that time is over. The client then hears of it twice, under the same
`jti` (decision 0024). What becomes of a notice is decided in `notice_rules`; rows are
`provider.store.logout_notices`; where a call may go and how long it may take is `oidcgate.net`.

Nobody waits for a client that hangs: until one has answered well it has one notice on its way and half of the
threads are not for it, and when it fails, everything for it is put off.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection

from oidcgate.audit import Audit, Event
from oidcgate.net.fetch import FetchError
from oidcgate.protocol.errors import OAuthError, ServerError
from oidcgate.protocol.logout_token import TYPE, logout_token_claims
from provider.config import ProviderSettings
from provider.events import LogoutNoticeFailed, LogoutNoticeSent
from provider.realm import Realm
from provider.services.client_tokens import ClientTokens
from provider.services.clients import Clients
from provider.services.logout import BACK_CHANNEL
from provider.services.minting import TokenSigner
from provider.services.notice_rules import GivenUp, Later, Limits, Sent, jti_of, verdict
from provider.services.outbound import Outbound
from provider.services.subjects import Subjects
from provider.store import logout_notices
from provider.store.clients import Client
from provider.store.engine import Store, StoreUnavailable
from provider.store.logout_notices import Notice

_log = logging.getLogger("provider")

#: How many notices of one client are on their way from one process, once it has answered well.
PER_CLIENT: Final = 4
#: How many notices are taken ahead for each thread, so that none waits for the database.
_AHEAD: Final = 4
#: Of how many sessions the notices are written before it is looked what is due.
_SESSIONS: Final = 10
#: How many clients are looked at in one transaction.
_VISITS: Final = 64
#: How long results are collected before they are written down together.
_COLLECT_SECONDS: Final = 0.05
#: How long a database in trouble is left alone while there is something to be written down.
_TROUBLE_SECONDS: Final = 0.5
#: How often notices that have become too old are looked for, and how many go in one transaction.
_OLD_EVERY_SECONDS: Final = 60
_OLD_AT_ONCE: Final = 500
_NOBODY: Final = Sent(
    None, "the client is gone, is disabled, or has no backchannel_logout_uri any more", final=True
)


class _Taken(NamedTuple):
    """A notice of ours, until `until`."""

    realm: Realm
    notice: Notice
    until: int

    @property
    def target(self) -> tuple[str, str]:
        """Whom it is for."""
        return self.realm.id, self.notice.client_id


class _Turn(NamedTuple):
    """A client that has a notice to be sent now, in the realm of that number."""

    number: int
    realm: Realm
    client_id: str

    @property
    def target(self) -> tuple[str, str]:
        """Who it is."""
        return self.realm.id, self.client_id


class _Ready(NamedTuple):
    """A notice with what is needed to send it."""

    taken: _Taken
    client: Client
    sub: str | None
    signer: TokenSigner


@dataclass
class LogoutDelivery:
    """The sending of one process.

    Attributes:
        chance: Numbers between 0 and 1.
        proven: Clients that have answered well since they last failed.
        place: The realm and the client that had their turn last.
        stopping: Set to end after what is on its way; what waits for a thread is given back.
    """

    store: Store
    realms: Sequence[Realm]
    clients: Clients
    client_tokens: ClientTokens
    subjects: Subjects
    outbound: Outbound
    settings: ProviderSettings
    audit: Audit
    clock: Callable[[], float]
    chance: Callable[[], float] = random.random
    proven: set[tuple[str, str]] = field(default_factory=set)
    place: tuple[int, str] = (0, "")
    old_at: int = 0
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def deliver_due(self) -> int:
        """Send everything that is due, and what becomes due meanwhile; returns how many were handled.

        One thread of a process does it at a time; to others it says 0. A database in trouble is left alone
        until the next time. What has become of a notice is kept until it can be written down, or until the
        lease is over and somebody sends it again.
        """
        if not self.lock.acquire(blocking=False):
            return 0
        try:
            self._give_up_old()
            if not self._has_work():
                return 0
            with ThreadPoolExecutor(self.settings.logout.parallel, "provider-logout") as pool:
                return self._deliver(pool)
        except StoreUnavailable as error:
            _log.info("clients were not told of sign-outs: %s", error.detail)
            return 0
        finally:
            self.lock.release()

    def _has_work(self) -> bool:
        now = int(self.clock())
        with self.store.read() as conn:
            return any(
                logout_notices.has_untold(conn, realm.id)
                or logout_notices.due_clients(conn, realm.id, "", now, limit=1)
                for realm in self.realms
            )

    def _deliver(self, pool: ThreadPoolExecutor) -> int:
        flying: dict[Future[Sent | None], _Taken] = {}
        landed: list[tuple[_Taken, Sent]] = []
        room = _AHEAD * self.settings.logout.parallel
        handled = 0
        while True:
            # Nothing more while what became of others could not be written down.
            if not landed and len(flying) <= room // 2 and not self.stopping.is_set():
                try:
                    taken = self._take(room - len(flying), list(flying.values()))
                    for ready in self._prepare(taken, landed):
                        flying[pool.submit(self._send, ready)] = ready.taken
                except StoreUnavailable:
                    if not flying and not landed:
                        raise
            if not flying and not landed:
                return handled
            done, _ = wait(flying, timeout=_COLLECT_SECONDS)
            unsent: list[_Taken] = []
            for future in done:
                taken_one, sent = flying.pop(future), future.result()
                if sent is None:
                    unsent.append(taken_one)
                else:
                    landed.append((taken_one, sent))
            self._give_back(unsent)
            left = self._settle(landed)
            handled += len(landed) - len(left)
            landed = left
            if landed and not flying and self.stopping.is_set():
                return handled
            if landed:
                self.stopping.wait(_TROUBLE_SECONDS)

    def _take(self, room: int, flying: Sequence[_Taken]) -> list[_Taken]:
        """Write the notices of sessions that have ended, and lease what is due.

        It is asked every few milliseconds while something is on its way, so it looks before it writes.
        """
        now = int(self.clock())
        for realm in self.realms:
            with self.store.read() as conn:
                if not logout_notices.has_untold(conn, realm.id):
                    continue
            configured = self.clients.configured_with(realm, BACK_CHANNEL)
            for _ in range(_SESSIONS):
                # One in each transaction: sign-outs wait for its lock, and no longer than that takes.
                with self.store.begin() as conn:
                    some = logout_notices.write_due(conn, realm.id, BACK_CHANNEL, configured, now, sessions=1)
                if not some:
                    break
        busy = Counter(taken.target for taken in flying)
        with self.store.read() as conn:
            turns = self._turns(conn, now)
        wanted = [turn for turn in turns if self._allowed(turn.target, busy) > 0]
        if turns:
            self.place = turns[-1].number, turns[-1].client_id
        if not wanted:
            return []
        with self.store.begin() as conn:
            return list(self._lease(conn, wanted, busy, room, now))

    def _turns(self, conn: Connection, now: int) -> list[_Turn]:
        """The clients whose turn it is, after the one that had it last: once around at most."""
        first, after = self.place
        turns: list[_Turn] = []
        for step in range(len(self.realms) + 1):
            number = (first + step) % len(self.realms)
            realm = self.realms[number]
            found = logout_notices.due_clients(
                conn, realm.id, "" if step else after, now, limit=_VISITS - len(turns)
            )
            around = step == len(self.realms)
            turns += [_Turn(number, realm, one) for one in found if not around or one <= after]
            if len(turns) == _VISITS:
                break
        return turns

    def _allowed(self, target: tuple[str, str], busy: Counter[tuple[str, str]]) -> int:
        """How many more notices of this client may be on their way."""
        if target in self.proven:
            return PER_CLIENT - busy[target]
        unproven = sum(count for one, count in busy.items() if one not in self.proven)
        return min(1 - busy[target], self.settings.logout.parallel // 2 - unproven)

    def _lease(
        self, conn: Connection, turns: Sequence[_Turn], busy: Counter[tuple[str, str]], room: int, now: int
    ) -> Iterator[_Taken]:
        until = now + self._lease_seconds
        for number, realm, client_id in turns:
            limit = min(self._allowed((realm.id, client_id), busy), room)
            if limit <= 0:
                continue
            found = logout_notices.lease(conn, realm.id, client_id, now, until=until, limit=limit)
            busy[realm.id, client_id] += len(found)
            room -= len(found)
            yield from (_Taken(realm, notice, until) for notice in found)
            if room <= 0:
                self.place = number, client_id
                break

    @property
    def _lease_seconds(self) -> int:
        # Each thread works off what was taken ahead for it, each of which may last until its time is over.
        return 5 + round((_AHEAD + 2) * self.settings.outbound.timeout_seconds)

    def _prepare(self, taken: Sequence[_Taken], landed: list[tuple[_Taken, Sent]]) -> Iterator[_Ready]:
        """What is needed to send each; what nobody can be told of lands at once."""
        if not taken:
            return
        now = int(self.clock())
        with self.store.read() as conn:
            found: dict[tuple[str, str], Client] = {}
            for realm in self.realms:
                ids = {one.notice.client_id for one in taken if one.realm.id == realm.id}
                for client in self.clients.find_all(conn, realm, sorted(ids)):
                    found[realm.id, client.client_id] = client
            for one in taken:
                told = found.get(one.target)
                if told is None or not told.enabled or not told.backchannel_logout_uri:
                    landed.append((one, _NOBODY))
                    continue
                try:
                    sub = self._sub(conn, one, told)
                    signer = self.client_tokens.id_token_signer(conn, one.realm, told, now)
                except ServerError as error:
                    landed.append((one, Sent(None, f"not signed: {error.detail}")))
                    continue
                yield _Ready(one, told, sub, signer)

    def _sub(self, conn: Connection, one: _Taken, told: Client) -> str | None:
        """As the client knows whose session it was; None for one that registered itself, which has `sid`.

        That one says where notices go, on whatever host, and may have moved to another sector since the
        person was there: it would be told by what name somebody else knows them.

        Spec: OIDC Back-Channel Logout 2.4.
        """
        if told.registered_itself:
            return None
        return self.subjects.of(conn, one.realm, told, one.notice.user_id)

    def _send(self, ready: _Ready) -> Sent | None:
        """One attempt, in a thread of the pool; None where it is not made: there is no time left for it."""
        (realm, notice, until), client, sub, signer = ready
        if self.stopping.is_set() or self.clock() + self.settings.outbound.timeout_seconds > until:
            return None
        try:
            self.client_tokens.prepare_id_tokens(client)
            encrypt = self.client_tokens.id_token_encrypter(client)
            claims = logout_token_claims(
                issuer=realm.issuer,
                client_id=client.client_id,
                sub=sub,
                sid=notice.sid,
                jti=jti_of(realm.id, notice.sid, notice.client_id),
                now=int(self.clock()),
            )
            token = signer.sign(claims, typ=TYPE)
            form = {"logout_token": token if encrypt is None else encrypt(token)}
            return Sent(self.outbound.of(client).post_form(client.backchannel_logout_uri, form))
        except FetchError as error:
            return Sent(error.status, f"{error.reason}: {error.detail}")
        except OAuthError as error:
            return Sent(None, f"not encrypted: {error.detail or error.description}")
        except Exception as error:
            # The others go on; what it was is for the log, and the notice is tried again as any other.
            _log.error("a logout notice was not sent", exc_info=error)
            return Sent(None, f"fault: {type(error).__name__}")

    def _give_back(self, unsent: Sequence[_Taken]) -> None:
        """Let others send what we did not; where that cannot be said, they wait for the end of the lease."""
        for realm in self.realms:
            mine = [taken.notice for taken in unsent if taken.realm.id == realm.id]
            try:
                if mine:
                    with self.store.begin() as conn:
                        logout_notices.give_back(conn, realm.id, mine)
            except StoreUnavailable as error:
                _log.info("logout notices were not given back: %s", error.detail)

    def _settle(self, landed: Sequence[tuple[_Taken, Sent]]) -> list[tuple[_Taken, Sent]]:
        """Write down what became of each, then report it; returns what is to be written down later."""
        left: list[tuple[_Taken, Sent]] = []
        for realm in self.realms:
            mine = [(taken, sent) for taken, sent in landed if taken.realm.id == realm.id]
            try:
                if mine:
                    self._settle_in(realm, mine)
            except StoreUnavailable as error:
                _log.info("what became of logout notices is not written down yet: %s", error.detail)
                now = self.clock()
                left += [(taken, sent) for taken, sent in mine if taken.until > now]
        return left

    def _settle_in(self, realm: Realm, landed: Sequence[tuple[_Taken, Sent]]) -> None:
        now = int(self.clock())
        events: list[Event] = []
        limits = Limits(self.settings.logout.attempts, self.settings.logout.give_up_seconds)
        done, later, failed = list[Notice](), list[tuple[Notice, str, int]](), list[tuple[Notice, str]]()
        for taken, sent in landed:
            notice = taken.notice
            # Nobody waits for one that is not there, either.
            well = sent.taken or sent.refused or sent.final
            (self.proven.add if well else self.proven.discard)(taken.target)
            outcome = verdict(
                sent,
                attempts=notice.attempts,
                created_at=notice.created_at,
                limits=limits,
                now=now,
                chance=self.chance(),
            )
            told = realm.id, notice.client_id, notice.sid, notice.attempts
            if isinstance(outcome, Later):
                later.append((notice, str(sent), outcome.due_at))
            elif isinstance(outcome, GivenUp):
                failed.append((notice, str(sent)))
                events.append(LogoutNoticeFailed(*told, str(sent)))
            else:
                done.append(notice)
                events.append(LogoutNoticeSent(*told))
        with self.store.begin() as conn:
            logout_notices.settle_done(conn, realm.id, done)
            logout_notices.settle_later(conn, realm.id, later)
            logout_notices.settle_failed(conn, realm.id, failed, now)
            # Whoever did not take this one will not take the next one now.
            logout_notices.put_off(conn, realm.id, {notice.client_id: due_at for notice, _, due_at in later})
        for event in events:
            self.audit.emit(event)

    def _give_up_old(self) -> None:
        """List as failed what nobody got around to in time: what a client that hangs has in its queue."""
        now = int(self.clock())
        if now < self.old_at:
            return
        self.old_at = now + _OLD_EVERY_SECONDS
        before = now - self.settings.logout.give_up_seconds
        for realm in self.realms:
            with self.store.read() as conn:
                if not logout_notices.has_older(conn, realm.id, before):
                    continue
            with self.store.begin() as conn:
                old = logout_notices.give_up_older(conn, realm.id, before, now, limit=_OLD_AT_ONCE)
            if len(old) == _OLD_AT_ONCE:
                self.old_at = now
            for notice in old:
                reason = notice.reason or "not sent in time"
                told = realm.id, notice.client_id, notice.sid, notice.attempts
                self.audit.emit(LogoutNoticeFailed(*told, reason))
