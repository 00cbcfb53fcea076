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
#: How often notices that have become too old are looked for, and how many go in one transaction.
_OLD_EVERY_SECONDS: Final = 60
_OLD_AT_ONCE: Final = 500
_NOBODY: Final = Sent(None, "the client is gone, is disabled, or has no backchannel_logout_uri any more")


class _Taken(NamedTuple):
    """A notice of ours, until `until`."""

    realm: Realm
    notice: Notice
    until: int

    @property
    def target(self) -> tuple[str, str]:
        """Whom it is for."""
        return self.realm.id, self.notice.client_id


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
        stopping: Set to end after what is on its way.
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
        until the next time: what was on its way is sent again when its lease is over.
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
            return any(logout_notices.has_work(conn, realm.id, now) for realm in self.realms)

    def _deliver(self, pool: ThreadPoolExecutor) -> int:
        flying: dict[Future[Sent | None], _Taken] = {}
        room = _AHEAD * self.settings.logout.parallel
        handled = 0
        while True:
            landed: list[tuple[_Taken, Sent]] = []
            if len(flying) <= room // 2 and not self.stopping.is_set():
                taken = self._take(room - len(flying), list(flying.values()))
                for ready in self._prepare(taken, landed):
                    flying[pool.submit(self._send, ready)] = ready.taken
            if not flying and not landed:
                return handled
            done, _ = wait(flying, timeout=_COLLECT_SECONDS)
            for future in done:
                taken_one, sent = flying.pop(future), future.result()
                if sent is not None:
                    landed.append((taken_one, sent))
            handled += len(landed)
            self._settle(landed)

    def _take(self, room: int, flying: Sequence[_Taken]) -> list[_Taken]:
        """Write the notices of sessions that have ended, and lease what is due."""
        now = int(self.clock())
        until = now + self._lease_seconds
        for realm in self.realms:
            configured = self.clients.configured_with(realm, BACK_CHANNEL)
            for _ in range(_SESSIONS):
                # One in each transaction: sign-outs wait for its lock, and no longer than that takes.
                with self.store.begin() as conn:
                    some = logout_notices.write_due(conn, realm.id, BACK_CHANNEL, configured, now, sessions=1)
                if not some:
                    break
        with self.store.begin() as conn:
            return list(self._lease(conn, room, flying, now, until))

    def _lease(
        self, conn: Connection, room: int, flying: Sequence[_Taken], now: int, until: int
    ) -> Iterator[_Taken]:
        busy = Counter(taken.target for taken in flying)
        unproven = sum(count for target, count in busy.items() if target not in self.proven)
        index, after = self.place
        rounds = 0
        for _ in range(_VISITS):
            realm = self.realms[index]
            client_id = logout_notices.next_client(conn, realm.id, after, now)
            if client_id is None:
                index, after, rounds = (index + 1) % len(self.realms), "", rounds + 1
                if rounds > len(self.realms):
                    break
                continue
            after = client_id
            target = (realm.id, client_id)
            if target in self.proven:
                limit = PER_CLIENT - busy[target]
            else:
                limit = min(1 - busy[target], self.settings.logout.parallel // 2 - unproven)
            limit = min(limit, room)
            if limit > 0:
                found = logout_notices.lease(conn, realm.id, client_id, now, until=until, limit=limit)
                busy[target] += len(found)
                room -= len(found)
                unproven += 0 if target in self.proven else len(found)
                yield from (_Taken(realm, notice, until) for notice in found)
            if room <= 0:
                break
        self.place = index, after

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
        """One attempt, in a thread of the pool; None where somebody else may have the notice by now."""
        (realm, notice, until), client, sub, signer = ready
        if self.clock() + self.settings.outbound.timeout_seconds > until:
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

    def _settle(self, landed: Sequence[tuple[_Taken, Sent]]) -> None:
        """Write down what became of each, then report it."""
        now = int(self.clock())
        events: list[Event] = []
        limits = Limits(self.settings.logout.attempts, self.settings.logout.give_up_seconds)
        for realm in self.realms:
            done, later, failed = list[Notice](), list[tuple[Notice, str, int]](), list[tuple[Notice, str]]()
            for taken, sent in landed:
                notice = taken.notice
                if taken.realm.id != realm.id:
                    continue
                (self.proven.add if sent.taken or sent.refused else self.proven.discard)(taken.target)
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
            if done or later or failed:
                with self.store.begin() as conn:
                    logout_notices.settle_done(conn, realm.id, done)
                    logout_notices.settle_later(conn, realm.id, later)
                    logout_notices.settle_failed(conn, realm.id, failed, now)
                    # Whoever did not take this one will not take the next one now.
                    held = {notice.client_id: due_at for notice, _, due_at in later}
                    logout_notices.put_off(conn, realm.id, held)
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
