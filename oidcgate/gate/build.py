"""From settings to parts: the one place that knows what a gate is made of.

Here the settings choose stores, directory and transports, and every part gets its few collaborators. `Gate`,
the commands and every other front call `build`, and get `GateParts`. Nothing is decided here and nobody is
asked: no IdP, no store; the file of known users is read, so that what is wrong with it is told at start.
"""

import dataclasses
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

from requests.adapters import BaseAdapter

from oidcgate.audit import Audit
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.backchannel import BackChannel
from oidcgate.gate.break_glass import BreakGlass, issuer_of
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import Contexts
from oidcgate.gate.directories import directory_of
from oidcgate.gate.fragments import Fragments
from oidcgate.gate.frontchannel import FrontChannel, Misses
from oidcgate.gate.guesses import Guesses
from oidcgate.gate.hosts import host_of
from oidcgate.gate.installed import uninstalled
from oidcgate.gate.kept_forms import KeptForms
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.last_sign_ins import LastSignIns
from oidcgate.gate.local_users import LocalUsers, entries_of
from oidcgate.gate.login import Login
from oidcgate.gate.login_cookies import LoginCookies
from oidcgate.gate.login_start import LoginStart
from oidcgate.gate.logout import Logout
from oidcgate.gate.pages import gate_pages
from oidcgate.gate.parts import GateParts
from oidcgate.gate.pins import Pins, unpinned_line
from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.gate.readiness import Readiness
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.refusals import Refusals
from oidcgate.gate.registration import registration_lines
from oidcgate.gate.relying_parties import relying_parties
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.routes import Routes
from oidcgate.gate.session import SessionLimits
from oidcgate.gate.session_frame import SessionFrame
from oidcgate.gate.sessions import MoreOfSessions, SealedSessions, Sessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.gate.stores import session_store, state_store
from oidcgate.gate.token_revocation import TokenRevocation
from oidcgate.gate.transaction import Transactions
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.settings import SettingsError
from oidcgate.storage.records import RecordStore
from oidcgate.web.cookies import CookieNames
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import TrustedPeers, parse_trusted_peers
from oidcgate.web.pages import Pages
from oidcgate.web.sealing import KeyRing, Sealer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("oidcgate.gate")

_INCIDENT_BYTES: Final = 5
_CLAIM_BYTES: Final = 8


@dataclasses.dataclass(frozen=True)
class _Base:
    """What parts of every kind are given.

    Attributes:
        config: of the whole gate, or what holds at one of its hosts.
        gate_id: as part of the seal of what lies in stores: whose that is. Like the name under which a store
            has it, it does not move with the order of hosts or providers, or what has ended would be lost.
        seal_id: as part of the seal of what browsers carry: at which host it was given.
        trusted: whose word on where a request came from is believed.
    """

    config: GateConfig
    gate_id: str
    seal_id: str
    ring: KeyRing
    state: RecordStore
    trusted: TrustedPeers
    audit: Audit
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    @classmethod
    def of(
        cls,
        config: GateConfig,
        audit: Audit,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> Self:
        return cls(
            config,
            config.state.namespace,
            config.state.namespace,
            KeyRing([key.reveal() for key in config.session.secrets]),
            state_store(config, clock),
            parse_trusted_peers(config.proxy.trusted_proxies),
            audit,
            clock,
            random_bytes,
        )

    def at(self, here: GateConfig) -> Self:
        """The same at one host."""
        return dataclasses.replace(self, config=here, seal_id=here.public_url)

    @property
    def names(self) -> CookieNames:
        return CookieNames.of(self.config.origins[0])

    def sealer(self, purpose: str) -> Sealer:
        return Sealer(self.ring, purpose, self.seal_id, random_bytes=self.random_bytes)


@dataclasses.dataclass(frozen=True)
class _Shared:
    """What all hosts of a gate have in common; see `GateParts`.

    Attributes:
        sessions: those of every host, at none; see `Sessions.at`.
        relying_parties: all, each for the first host.
    """

    config: GateConfig
    sessions: Sessions
    token_revocation: TokenRevocation
    users: UserDirectory
    known_users: KnownUsers
    pins: Pins
    relying_parties: Mapping[str, RelyingParty]
    contexts: Contexts
    last_sign_ins: LastSignIns
    pages: Pages
    misses: Misses
    readiness: Readiness
    refresher: Refresher | None
    local_users: LocalUsers | None


def build(
    config: GateConfig,
    *,
    clock: Callable[[], float] = time.time,
    directory: UserDirectory | None = None,
    provider_app: "WSGIApplication | None" = None,
    transport: BaseAdapter | None = None,
    audit: Audit | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    wait: Callable[[float], object] = time.sleep,
) -> GateParts:
    """Put a gate together.

    Returns:
        Its parts at the first host, which name those at the others.

    Raises:
        SettingsError: what the settings ask for is not installed.

    Args:
        config: right as a whole.
        directory: knows the users, in place of what `users.source` names.
        provider_app: the IdP as a WSGI app of this process, called without a socket: one worker that waits
            for itself would wait for ever.
        transport: carries calls to the IdP in place of sockets.
        audit: where events go, in place of the logger `oidcgate.audit`.
        wait: lets so many seconds pass, in threads that may wait.
    """
    _speak_up()
    if missing := list(uninstalled(config)):
        raise SettingsError(missing)
    base = _Base.of(config, audit or Audit(clock=clock), clock, random_bytes)
    adapter = WSGIAdapter(provider_app) if provider_app is not None else transport
    shared = _shared(base, directory, adapter, wait)
    first, *others = (_at_host(base.at(here), shared) for here in config.at_each_host)
    _tell(config)
    if answers_from_memory(shared.users):
        # It reads its users now and tells the log what is wrong with them, not at the first sign-in.
        shared.users.problems()
    return dataclasses.replace(first, elsewhere=tuple(others))


def _shared(
    base: _Base,
    directory: UserDirectory | None,
    adapter: BaseAdapter | None,
    wait: Callable[[float], object],
) -> _Shared:
    config = base.config
    sessions = _sessions(base)
    users = directory or directory_of(config.users, base.clock)
    known_users = KnownUsers(
        users,
        recheck_seconds=config.users.recheck_seconds,
        max_stale_seconds=config.users.max_stale_seconds,
    )
    parties = relying_parties(config, adapter, base.clock, base.random_bytes)
    token_revocation = TokenRevocation(parties, base.audit)
    return _Shared(
        config=config,
        sessions=sessions,
        token_revocation=token_revocation,
        users=users,
        known_users=known_users,
        pins=Pins(base.state),
        relying_parties=parties,
        contexts=Contexts(config, base.audit),
        last_sign_ins=LastSignIns(base.state, base.sealer("last-sign-in"), sessions.limits.absolute_seconds),
        pages=gate_pages(config.pages.folder),
        misses=Misses(),
        readiness=Readiness(),
        refresher=_refresher(base, sessions, token_revocation, wait) if config.session.keep_tokens else None,
        local_users=_local_users(config),
    )


def _at_host(base: _Base, shared: _Shared) -> GateParts:
    """The gate at one host.

    Args:
        base: that of this host.
    """
    config, audit, clock, names = base.config, base.audit, base.clock, base.names
    parties = {
        entry.expected_issuer: shared.relying_parties[entry.expected_issuer].at(
            config.callback_url(entry), shares_callback=config.shares_callback(entry)
        )
        for entry in config.identity_providers
    }
    issuers = {*parties, *([issuer_of(config.public_url)] if config.break_glass is not None else [])}
    sessions = shared.sessions.at(config.public_url, names, base.seal_id, issuers)
    policy = _policy(config)
    answers = Answers(shared.pages, config.public_url, host_of(config.public_url), _targets(config))
    forms = KeptForms(
        base.state,
        base.sealer("form"),
        names,
        policy.origins,
        config.login.keep_form_bytes,
        sessions.person_behind,
        clock,
        base.random_bytes,
    )
    refusals = Refusals(
        answers,
        audit,
        forms,
        lambda: secrets.token_hex(_INCIDENT_BYTES),
        break_glass=config.break_glass is not None,
    )
    transactions = Transactions(base.sealer("transaction"), names)
    fragments = Fragments(answers, config.login.keep_fragment, base.random_bytes)
    session_frame = SessionFrame(
        relying_parties=parties,
        transactions=transactions,
        sessions=sessions,
        answers=answers,
        audit=audit,
        clock=clock,
        public_url=config.public_url,
        random_bytes=base.random_bytes,
    )
    routes = Routes(
        # Of the whole gate: its keys are published at each host.
        config=shared.config,
        sign_in_start=LoginStart(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            cookies=LoginCookies(names),
            sessions=sessions,
            policy=policy,
            fragments=fragments,
            answers=answers,
            refusals=refusals,
            audit=audit,
            clock=clock,
            random_bytes=base.random_bytes,
        ),
        sign_in=Login(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            cookies=LoginCookies(names),
            sessions=sessions,
            token_revocation=shared.token_revocation,
            users=shared.known_users,
            pins=None if config.users.insecure_unpinned else shared.pins,
            policy=policy,
            contexts=shared.contexts,
            last_sign_ins=shared.last_sign_ins,
            fragments=fragments,
            session_frame=session_frame,
            answers=answers,
            refusals=refusals,
            audit=audit,
            clock=clock,
        ),
        break_glass=_break_glass(base, shared, sessions, answers),
        sign_out=Logout(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            sessions=sessions,
            answers=answers,
            audit=audit,
            clock=clock,
            sealer=base.sealer("logout"),
            token_revocation=shared.token_revocation,
        ),
        # Of the whole gate: an IdP knows one address of each, and tells the end of all sessions there.
        back_channel=BackChannel(
            relying_parties=shared.relying_parties,
            sessions=sessions,
            state=base.state,
            answers=answers,
            audit=audit,
            clock=clock,
            new_incident=refusals.new_incident,
        ),
        front_channel=FrontChannel(
            relying_parties=shared.relying_parties,
            sessions=sessions,
            answers=answers,
            audit=audit,
            clock=clock,
            misses=shared.misses,
            trusted=base.trusted,
            new_incident=refusals.new_incident,
        ),
        frame=session_frame,
        sessions=sessions,
        known_users=shared.known_users,
        users=shared.users,
        state=base.state,
        answers=answers,
        refusals=refusals,
        clock=clock,
        readiness=shared.readiness,
    )
    return GateParts(
        config=config,
        names=names,
        policy=policy,
        state=base.state,
        sessions=sessions,
        token_revocation=shared.token_revocation,
        users=shared.users,
        known_users=shared.known_users,
        pins=shared.pins,
        relying_parties=parties,
        contexts=shared.contexts,
        last_sign_ins=shared.last_sign_ins,
        routes=routes,
        refusals=refusals,
        audit=audit,
        clock=clock,
        refresher=shared.refresher,
    )


def _local_users(config: GateConfig) -> LocalUsers | None:
    if config.break_glass is None:
        return None
    entries, _ = entries_of(config.break_glass.users.reveal())
    return LocalUsers(entries)


def _break_glass(base: _Base, shared: _Shared, sessions: Sessions, answers: Answers) -> BreakGlass | None:
    config = base.config
    if config.break_glass is None or shared.local_users is None:
        return None
    return BreakGlass(
        public_url=config.public_url,
        local_users=shared.local_users,
        guesses=Guesses(base.state, base.gate_id),
        users=shared.users,
        sessions=sessions,
        csrf=CsrfTokens(base.ring.derive(f"break-glass {base.seal_id}"), "gate.break_glass"),
        names=base.names,
        trusted=base.trusted,
        session_seconds=round(config.break_glass.session_minutes * 60),
        answers=answers,
        audit=base.audit,
        clock=base.clock,
        random_bytes=base.random_bytes,
    )


def _policy(config: GateConfig) -> Policy:
    issuers = {entry.name: entry.expected_issuer for entry in config.identity_providers if entry.name}
    rules = (
        Rule(
            rule.path,
            Access(rule.allow),
            rule.methods,
            rule.max_age_seconds,
            rule.acr_values,
            issuers[rule.provider] if rule.provider else "",
            rule.prompt,
        )
        for rule in config.rules
    )
    return Policy(rules, origins=(config.public_url,))


def _sessions(base: _Base) -> Sessions:
    config, audit = base.config, base.audit
    limits = SessionLimits.of(
        idle_seconds=round(config.session.idle_minutes * 60),
        absolute_seconds=round(config.session.absolute_minutes * 60),
    )
    more: MoreOfSessions = {
        "revocation_max_stale_seconds": config.state.max_stale_seconds,
        "max_per_user": config.session.max_per_user,
        # Their tokens are deleted and the IdP is not told (decision 0042): its user goes on with others.
        "displaced": lambda record: audit.emit(
            events.SessionDisplaced(record.user_name, record.sub, record.iss, record.created_at)
        ),
    }
    about = base.names, base.ring, base.gate_id, base.state, limits
    if config.session.store == "sealed":
        return SealedSessions(*about, **more)
    store = session_store(config, base.state, base.clock)
    return StoredSessions(*about, store=store, **more)


def _refresher(
    base: _Base,
    sessions: Sessions,
    token_revocation: TokenRevocation,
    wait: Callable[[float], object],
) -> Refresher:
    return Refresher(
        sessions,
        token_revocation.relying_parties,
        token_revocation,
        base.audit,
        base.clock,
        before_seconds=base.config.session.refresh_before_seconds,
        new_claim=lambda: secrets.token_hex(_CLAIM_BYTES),
        wait=wait,
    )


def _targets(config: GateConfig) -> tuple[str, ...]:
    """Where a sign-out form may lead: to any https origin, for an IdP sends people on, or this machine."""
    urls = [config.public_url]
    for provider in config.identity_providers:
        urls += [provider.expected_issuer, *filter(None, [provider.logout_url])]
    return ("https:", *(url for url in urls if url.startswith("http:")))


def _tell(config: GateConfig) -> None:
    """Say what an operator needs to know before the first sign-in."""
    for line in registration_lines(config):
        log.info("%s", line)
    if (warning := unpinned_line(config.users, len(config.identity_providers))) is not None:
        log.warning("%s", warning)


def _speak_up() -> None:
    """Let the audit log be seen where nobody has configured logging: a refusal must not vanish."""
    top = logging.getLogger("oidcgate")
    if not top.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        top.addHandler(handler)
        top.setLevel(logging.INFO)
