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
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter

from oidcgate.audit import Audit
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.backchannel import BackChannel
from oidcgate.gate.break_glass import BreakGlass
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import Contexts
from oidcgate.gate.directories import directory_of
from oidcgate.gate.fragments import Fragments
from oidcgate.gate.frontchannel import FrontChannel, Misses
from oidcgate.gate.guesses import Guesses
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
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.refusals import Refusals
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
        gate_id: what tells this gate from every other, as part of each seal.
        trusted: whose word on where a request came from is believed.
    """

    config: GateConfig
    gate_id: str
    names: CookieNames
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
        # The first provider's client id: cookies and seals must not change when a second provider is added.
        client_id = config.identity_providers[0].client_id
        gate_id = f"{config.public_url}\0{client_id}"
        return cls(
            config,
            gate_id,
            CookieNames.of(config.public_url, client_id),
            KeyRing([key.reveal() for key in config.session.secrets]),
            state_store(config, gate_id, clock),
            parse_trusted_peers(config.proxy.trusted_proxies),
            audit,
            clock,
            random_bytes,
        )

    def sealer(self, purpose: str) -> Sealer:
        return Sealer(self.ring, purpose, self.gate_id, random_bytes=self.random_bytes)


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
    audit = audit or Audit(clock=clock)
    base = _Base.of(config, audit, clock, random_bytes)
    adapter = WSGIAdapter(provider_app) if provider_app is not None else transport
    parties = relying_parties(config, adapter, clock, random_bytes)
    token_revocation = TokenRevocation(parties, audit)
    sessions = _sessions(base)
    users = directory or directory_of(config.users, clock)
    known_users = KnownUsers(
        users,
        recheck_seconds=config.users.recheck_seconds,
        max_stale_seconds=config.users.max_stale_seconds,
    )
    pins = Pins(base.state)
    policy = _policy(config)
    contexts = Contexts(config, audit)
    last_sign_ins = LastSignIns(base.state, base.sealer("last-sign-in"), sessions.limits.absolute_seconds)
    pages = gate_pages(config.pages.folder)
    answers = Answers(pages, config.public_url, urlsplit(config.public_url).netloc, _targets(config))
    forms = KeptForms(
        base.state,
        base.sealer("form"),
        base.names,
        policy.origins,
        config.login.keep_form_bytes,
        sessions.person_behind,
        clock,
        random_bytes,
    )
    refusals = Refusals(
        answers,
        audit,
        forms,
        lambda: secrets.token_hex(_INCIDENT_BYTES),
        break_glass=config.break_glass is not None,
    )
    transactions = Transactions(
        base.sealer("transaction"),
        base.names,
        cross_site_post=any(entry.response_mode == "form_post" for entry in config.identity_providers),
    )
    fragments = Fragments(answers, config.login.keep_fragment, random_bytes)
    session_frame = SessionFrame(
        relying_parties=parties,
        transactions=transactions,
        sessions=sessions,
        answers=answers,
        audit=audit,
        clock=clock,
        public_url=config.public_url,
        random_bytes=random_bytes,
    )
    routes = Routes(
        config=config,
        sign_in_start=LoginStart(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            cookies=LoginCookies(base.names),
            sessions=sessions,
            policy=policy,
            fragments=fragments,
            answers=answers,
            refusals=refusals,
            audit=audit,
            clock=clock,
            random_bytes=random_bytes,
        ),
        sign_in=Login(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            cookies=LoginCookies(base.names),
            sessions=sessions,
            users=known_users,
            pins=None if config.users.insecure_unpinned else pins,
            policy=policy,
            contexts=contexts,
            last_sign_ins=last_sign_ins,
            fragments=fragments,
            session_frame=session_frame,
            answers=answers,
            refusals=refusals,
            audit=audit,
            clock=clock,
        ),
        break_glass=_break_glass(base, users, sessions, answers),
        sign_out=Logout(
            config=config,
            relying_parties=parties,
            transactions=transactions,
            sessions=sessions,
            answers=answers,
            audit=audit,
            clock=clock,
            sealer=base.sealer("logout"),
            token_revocation=token_revocation,
        ),
        back_channel=BackChannel(
            relying_parties=parties,
            sessions=sessions,
            state=base.state,
            answers=answers,
            audit=audit,
            clock=clock,
            new_incident=refusals.new_incident,
        ),
        front_channel=FrontChannel(
            relying_parties=parties,
            sessions=sessions,
            answers=answers,
            audit=audit,
            clock=clock,
            misses=Misses(),
            trusted=base.trusted,
            new_incident=refusals.new_incident,
        ),
        frame=session_frame,
        sessions=sessions,
        known_users=known_users,
        users=users,
        state=base.state,
        answers=answers,
        refusals=refusals,
        clock=clock,
    )
    _tell(config)
    if answers_from_memory(users):
        # It reads its users now and tells the log what is wrong with them, not at the first sign-in.
        users.problems()
    return GateParts(
        config=config,
        names=base.names,
        policy=policy,
        state=base.state,
        sessions=sessions,
        token_revocation=token_revocation,
        users=users,
        known_users=known_users,
        pins=pins,
        relying_parties=parties,
        contexts=contexts,
        last_sign_ins=last_sign_ins,
        routes=routes,
        refusals=refusals,
        audit=audit,
        clock=clock,
        refresher=_refresher(base, sessions, parties, wait),
    )


def _break_glass(
    base: _Base, users: UserDirectory, sessions: Sessions, answers: Answers
) -> BreakGlass | None:
    config = base.config
    if config.break_glass is None:
        return None
    entries, _ = entries_of(config.break_glass.users.reveal())
    return BreakGlass(
        public_url=config.public_url,
        local_users=LocalUsers(entries),
        guesses=Guesses(base.state, base.gate_id),
        users=users,
        sessions=sessions,
        csrf=CsrfTokens(base.ring.derive(f"break-glass {base.gate_id}"), "gate.break_glass"),
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
    store = session_store(config, base.gate_id, base.state, base.clock)
    return StoredSessions(*about, store=store, **more)


def _refresher(
    base: _Base,
    sessions: Sessions,
    parties: Mapping[str, RelyingParty],
    wait: Callable[[float], object],
) -> Refresher | None:
    if not base.config.session.keep_tokens:
        return None
    return Refresher(
        sessions,
        parties,
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
    for provider in config.identity_providers:
        # What has to be registered there, to the byte; most first sign-ins fail on it.
        log.info("redirect URI to register at %s: %s", provider.expected_issuer, config.callback_url)
        log.info("post-logout redirect URI: %s", config.logged_out_url)
        log.info("back-channel logout URI: %s", config.backchannel_logout_url)
    if (warning := unpinned_line(config.users)) is not None:
        log.warning("%s", warning)


def _speak_up() -> None:
    """Let the audit log be seen where nobody has configured logging: a refusal must not vanish."""
    top = logging.getLogger("oidcgate")
    if not top.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        top.addHandler(handler)
        top.setLevel(logging.INFO)
