"""From settings to parts: the one place that knows what a gate is made of.

Here the settings choose stores, directory and transports, and every part gets its few collaborators. `Gate`,
the commands and every other front call `build`. Nothing is decided here and nobody is asked: no IdP, no
store; the file of known users is read, so that what is wrong with it is told at start.
"""

import dataclasses
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter

from oidcgate.audit import Audit
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.backchannel import BackChannel
from oidcgate.gate.break_glass import BreakGlass
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import Contexts, hook_problems
from oidcgate.gate.directories import directory_of, directory_uninstalled
from oidcgate.gate.fragments import Fragments
from oidcgate.gate.frontchannel import FrontChannel, Misses
from oidcgate.gate.guesses import Guesses
from oidcgate.gate.kept_forms import KeptForms
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.last_sign_ins import LastSignIns
from oidcgate.gate.local_users import LocalUsers, entries_of
from oidcgate.gate.login import Login
from oidcgate.gate.login_cookies import LoginCookies
from oidcgate.gate.login_start import LoginStart
from oidcgate.gate.logout import Logout
from oidcgate.gate.page_settings import page_problems
from oidcgate.gate.pages import gate_pages
from oidcgate.gate.pins import Pins, unpinned_line
from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.refusals import Refusals
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.routes import Routes
from oidcgate.gate.session import SessionLimits
from oidcgate.gate.session_frame import SessionFrame
from oidcgate.gate.sessions import MoreOfSessions, SealedSessions, Sessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.gate.stores import session_store, state_store, stores_uninstalled
from oidcgate.gate.token_revocation import TokenRevocation
from oidcgate.gate.transaction import Transactions
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.settings import Problem, SettingsError
from oidcgate.storage.records import RecordStore
from oidcgate.web.cookies import CookieNames
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import parse_trusted_peers
from oidcgate.web.sealing import KeyRing, Sealer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("oidcgate.gate")

_INCIDENT_BYTES: Final = 5
_CLAIM_BYTES: Final = 8


@dataclasses.dataclass(frozen=True)
class GateParts:
    """A gate, taken apart.

    Attributes:
        routes: answers everything under `/.oidcgate/`.
        refusals: turns decisions into answers.
        refresher: renews the tokens of sessions; None where none are kept.
    """

    config: GateConfig
    names: CookieNames
    policy: Policy
    sessions: Sessions
    users: UserDirectory
    known_users: KnownUsers
    routes: Routes
    refusals: Refusals
    audit: Audit
    clock: Callable[[], float]
    refresher: Refresher | None = None


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
    # The first provider's client id: cookies and seals must not change when a second provider is added.
    client_id = config.identity_providers[0].client_id
    gate_id = f"{config.public_url}\0{client_id}"
    names = CookieNames.of(config.public_url, client_id)
    ring = KeyRing([key.reveal() for key in config.session.secrets])
    audit = audit or Audit(clock=clock)
    state = state_store(config, gate_id, clock)
    sessions = _sessions(config, names, ring, gate_id, state, audit, clock)
    users = directory or directory_of(config.users, clock)
    known_users = KnownUsers(
        users,
        recheck_seconds=config.users.recheck_seconds,
        max_stale_seconds=config.users.max_stale_seconds,
    )
    policy = _policy(config)
    pages = gate_pages(config.pages.folder)
    answers = Answers(pages, config.public_url, urlsplit(config.public_url).netloc, _targets(config))
    forms = KeptForms(
        state,
        Sealer(ring, "form", gate_id, random_bytes=random_bytes),
        names,
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
        Sealer(ring, "transaction", gate_id, random_bytes=random_bytes),
        names,
        cross_site_post=any(entry.response_mode == "form_post" for entry in config.identity_providers),
    )
    adapter = WSGIAdapter(provider_app) if provider_app is not None else transport
    parties = {
        provider.expected_issuer: RelyingParty.of(
            provider,
            redirect_uri=config.callback_url,
            user_claim=config.users.match,
            fetcher=_fetcher(provider, adapter),
            clock=clock,
            random_bytes=random_bytes,
        )
        for provider in config.identity_providers
    }
    fragments = Fragments(answers, config.login.keep_fragment, random_bytes)
    sign_in_start = LoginStart(
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
        random_bytes=random_bytes,
    )
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
    sign_in = Login(
        config=config,
        relying_parties=parties,
        transactions=transactions,
        cookies=LoginCookies(names),
        sessions=sessions,
        users=known_users,
        pins=None if config.users.insecure_unpinned else Pins(state),
        policy=policy,
        contexts=Contexts(config, audit),
        last_sign_ins=LastSignIns(
            state,
            Sealer(ring, "last-sign-in", gate_id, random_bytes=random_bytes),
            sessions.limits.absolute_seconds,
        ),
        fragments=fragments,
        session_frame=session_frame,
        answers=answers,
        refusals=refusals,
        audit=audit,
        clock=clock,
    )
    sign_out = Logout(
        config=config,
        relying_parties=parties,
        transactions=transactions,
        sessions=sessions,
        answers=answers,
        audit=audit,
        clock=clock,
        sealer=Sealer(ring, "logout", gate_id, random_bytes=random_bytes),
        token_revocation=TokenRevocation(audit),
    )
    back_channel = BackChannel(
        relying_parties=parties,
        sessions=sessions,
        state=state,
        answers=answers,
        audit=audit,
        clock=clock,
        new_incident=refusals.new_incident,
    )
    front_channel = FrontChannel(
        relying_parties=parties,
        sessions=sessions,
        answers=answers,
        audit=audit,
        clock=clock,
        misses=Misses(),
        new_incident=refusals.new_incident,
    )
    break_glass = _break_glass(
        config, gate_id, names, ring, state, users, sessions, answers, audit, clock, random_bytes
    )
    routes = Routes(
        sign_in_start=sign_in_start,
        sign_in=sign_in,
        break_glass=break_glass,
        sign_out=sign_out,
        back_channel=back_channel,
        front_channel=front_channel,
        frame=session_frame,
        sessions=sessions,
        known_users=known_users,
        users=users,
        state=state,
        answers=answers,
        refusals=refusals,
        clock=clock,
    )
    for provider in config.identity_providers:
        # What has to be registered there, to the byte; most first sign-ins fail on it.
        log.info("redirect URI to register at %s: %s", provider.expected_issuer, config.callback_url)
        log.info("post-logout redirect URI: %s", config.logged_out_url)
        log.info("back-channel logout URI: %s", config.backchannel_logout_url)
    if (warning := unpinned_line(config.users)) is not None:
        log.warning("%s", warning)
    if answers_from_memory(users):
        # It reads its users now and tells the log what is wrong with them, not at the first sign-in.
        users.problems()
    refresher = None
    if config.session.keep_tokens:
        refresher = Refresher(
            sessions,
            parties,
            audit,
            clock,
            before_seconds=config.session.refresh_before_seconds,
            new_claim=lambda: secrets.token_hex(_CLAIM_BYTES),
            wait=wait,
        )
    return GateParts(
        config, names, policy, sessions, users, known_users, routes, refusals, audit, clock, refresher
    )


def uninstalled(config: GateConfig) -> Iterator[Problem]:
    """What the settings ask for and is not installed: at the first request it would be too late to say."""
    yield from stores_uninstalled(config)
    yield from hook_problems(config)
    yield from directory_uninstalled(config.users)
    yield from page_problems(config.pages)
    if config.break_glass is not None and find_spec("argon2") is None:
        yield Problem("break_glass", None, "needs argon2-cffi", "pip install 'oidcgate[break-glass]'")


def _break_glass(
    config: GateConfig,
    gate_id: str,
    names: CookieNames,
    ring: KeyRing,
    state: RecordStore,
    users: UserDirectory,
    sessions: Sessions,
    answers: Answers,
    audit: Audit,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
) -> BreakGlass | None:
    if config.break_glass is None:
        return None
    entries, _ = entries_of(config.break_glass.users.reveal())
    return BreakGlass(
        public_url=config.public_url,
        local_users=LocalUsers(entries),
        guesses=Guesses(state, gate_id),
        users=users,
        sessions=sessions,
        csrf=CsrfTokens(ring.derive(f"break-glass {gate_id}"), "gate.break_glass"),
        names=names,
        trusted=parse_trusted_peers(config.proxy.trusted_proxies),
        session_seconds=round(config.break_glass.session_minutes * 60),
        answers=answers,
        audit=audit,
        clock=clock,
        random_bytes=random_bytes,
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


def _sessions(
    config: GateConfig,
    names: CookieNames,
    ring: KeyRing,
    gate_id: str,
    state: RecordStore,
    audit: Audit,
    clock: Callable[[], float],
) -> Sessions:
    limits = SessionLimits.of(
        idle_seconds=round(config.session.idle_minutes * 60),
        absolute_seconds=round(config.session.absolute_minutes * 60),
    )
    more: MoreOfSessions = {
        "revocation_max_stale_seconds": config.state.max_stale_seconds,
        "max_per_user": config.session.max_per_user,
        "displaced": lambda record: audit.emit(
            events.SessionDisplaced(record.user_name, record.sub, record.iss, record.created_at)
        ),
    }
    if config.session.store == "sealed":
        return SealedSessions(names, ring, gate_id, state, limits, **more)
    store = session_store(config, gate_id, state, clock)
    return StoredSessions(names, ring, gate_id, state, limits, store=store, **more)


def _fetcher(provider: ProviderSettings, adapter: BaseAdapter | None) -> Fetcher:
    issuer = urlsplit(provider.discovery_url)
    rules = AddressRules(
        # The operator typed this host; where it is, is theirs to say. Any other host is named by a document
        # (P-09).
        trusted_hosts=frozenset({issuer.hostname or ""}),
        allow_private=provider.allow_networks,
        insecure_allow_http_loopback=provider.on_loopback,
    )
    return Fetcher(rules, total_seconds=provider.timeout_seconds, adapter=adapter, ca_file=provider.ca_file)


def _targets(config: GateConfig) -> tuple[str, ...]:
    """Where a sign-out form may lead: to any https origin, for an IdP sends people on, or this machine."""
    urls = [config.public_url]
    for provider in config.identity_providers:
        urls += [provider.expected_issuer, *filter(None, [provider.logout_url])]
    return ("https:", *(url for url in urls if url.startswith("http:")))


def _speak_up() -> None:
    """Let the audit log be seen where nobody has configured logging: a refusal must not vanish."""
    top = logging.getLogger("oidcgate")
    if not top.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        top.addHandler(handler)
        top.setLevel(logging.INFO)
