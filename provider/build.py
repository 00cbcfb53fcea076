"""From settings to parts: the one place that knows them all.

`provider.app`, the commands and the server call it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from oidcgate.audit import Audit
from oidcgate.net.fetch import Fetcher
from oidcgate.settings import Problem, SettingsError
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, parse_networks
from oidcgate.web.sealing import KeyRing
from provider.config import ProviderSettings
from provider.endpoints.account import AccountPage
from provider.endpoints.authorize import Authorize
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.consent import Consent
from provider.endpoints.device import CONFIRM, DevicePages
from provider.endpoints.device_authorization import DeviceAuthorizationEndpoint
from provider.endpoints.device_end import DeviceEnd
from provider.endpoints.discovery import Discovery
from provider.endpoints.end_session import EndSession
from provider.endpoints.enrol import EnrolPage
from provider.endpoints.factor_visit import FactorDesk
from provider.endpoints.health import Alive, Ready
from provider.endpoints.home import Home
from provider.endpoints.introspect import Introspect
from provider.endpoints.jwks import Jwks
from provider.endpoints.login import Login
from provider.endpoints.no_factor import NoFactorPage
from provider.endpoints.organization import OrganizationPage
from provider.endpoints.otp import OtpPage
from provider.endpoints.revoke import Revoke
from provider.endpoints.screens import Screens
from provider.endpoints.token import TokenEndpoint
from provider.endpoints.userinfo import UserInfo
from provider.factors.password import PasswordFactor
from provider.factors.password_attempt import PasswordAttempts
from provider.factors.totp import TotpSecrets
from provider.grants.authorization_code import AuthorizationCodeGrant
from provider.grants.base import Grant
from provider.grants.client_credentials import ClientCredentialsGrant
from provider.grants.device_code import DeviceCodeGrant
from provider.grants.password import PasswordGrant
from provider.grants.refresh_token import RefreshTokenGrant
from provider.pages import provider_pages
from provider.realm import Realm, realms_of
from provider.routes import Face, Route
from provider.services.authenticate_client import ClientAuthentication
from provider.services.authorization import Authorizations
from provider.services.authorization_requests import AuthorizationRequests
from provider.services.client_keys import ClientKeys, client_fetcher
from provider.services.client_secrets import ClientSecrets
from provider.services.client_tokens import ClientTokens
from provider.services.clients import Clients
from provider.services.consents import Consents
from provider.services.devices import PATH as DEVICE_PATH
from provider.services.devices import Devices
from provider.services.housekeeping import INTERVAL_SECONDS, Housekeeping
from provider.services.id_token_hint import IdTokenHints
from provider.services.introspection import Introspection
from provider.services.issuing import Issuing
from provider.services.key_care import CARE_SECONDS, KeyCare
from provider.services.keyring import SigningKeys
from provider.services.passwords import Passwords
from provider.services.people import People
from provider.services.responses import ResponseWriter
from provider.services.revocation import Revocation
from provider.services.token_checks import TokenChecks
from provider.services.tokens import Tokens
from provider.services.users import Users, UserStore
from provider.store.engine import Store
from provider.store.migrations import upgrade


@dataclass(frozen=True)
class Parts:
    """Everything the application and the commands are made of."""

    settings: ProviderSettings
    realms: tuple[Realm, ...]
    store: Store
    clients: Clients
    users: Users
    consents: Consents
    keys: SigningKeys
    passwords: Passwords
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    housekeeping: Housekeeping
    key_care: KeyCare
    routes: tuple[Route, ...]

    def realm(self, realm_id: str) -> Realm | None:
        """The realm of that id."""
        return next((realm for realm in self.realms if realm.id == realm_id), None)


def build(
    settings: ProviderSettings,
    *,
    clock: Callable[[], float] = time.time,
    audit: Audit | None = None,
    user_store: UserStore | None = None,
    fetcher: Fetcher | None = None,
) -> Parts:
    """Put the parts together. Nothing is opened, read or written: that is `prepare`, or the first request.

    Args:
        user_store: where people are looked up, in place of file and database; commands go on serving those.
        fetcher: what asks other servers, in place of one over sockets.
    """
    audit = audit or Audit(clock=clock)
    ring = KeyRing(settings.secret.reveal().split())
    store = Store(settings.database)
    realms = realms_of(settings)
    secrets = ClientSecrets(ring)
    clients = Clients.from_settings(settings, secrets)
    client_keys = ClientKeys(fetcher or client_fetcher(settings), clock)
    authentication = ClientAuthentication(store, clients, secrets, client_keys, clock)
    users = Users.from_settings(settings)
    consents = Consents(ring, audit)
    keys = SigningKeys(ring, audit)
    passwords = Passwords()
    screens = Screens(provider_pages())
    people = People(user_store or users, audit)
    attempts = PasswordAttempts(store, people, PasswordFactor(passwords.hasher), audit)
    checks = TokenChecks(clients, people, keys)
    client_tokens = ClientTokens(keys, secrets, client_keys)
    issuing = Issuing(keys, client_tokens)
    tokens = Tokens(checks, issuing)
    hints = IdTokenHints(keys, clients, secrets)
    devices = Devices(checks, issuing)
    entrance = ClientEntrance(authentication, audit)
    networks = parse_networks(settings.trusted_networks)
    offered: tuple[Grant, ...] = (
        AuthorizationCodeGrant(store, tokens),
        RefreshTokenGrant(store, tokens),
        ClientCredentialsGrant(store, issuing),
        PasswordGrant(store, attempts, issuing, audit),
        DeviceCodeGrant(store, devices),
    )
    grants = {grant.grant_type: grant for grant in offered}
    routes = (
        Route("/", ("GET",), Home(screens), Face.PAGE),
        *_discovery_routes(Discovery(tuple(grants))),
        *_sign_in_routes(
            settings,
            store,
            clients,
            people,
            consents,
            hints,
            issuing,
            devices,
            attempts,
            screens,
            ring,
            audit,
            clock,
        ),
        Route("/jwks", ("GET",), Jwks(store, keys, clock), Face.JSON, any_origin=True),
        *_token_routes(store, entrance, grants, checks, client_tokens, devices, audit, clock, networks),
        Route("/healthz", ("GET",), Alive(), Face.JSON, health=True),
        Route("/readyz", ("GET",), Ready(store, keys), Face.JSON, health=True),
    )
    return Parts(
        settings=settings,
        realms=realms,
        store=store,
        clients=clients,
        users=users,
        consents=consents,
        keys=keys,
        passwords=passwords,
        screens=screens,
        audit=audit,
        clock=clock,
        housekeeping=Housekeeping(store, realms, due_at=int(clock()) + INTERVAL_SECONDS),
        key_care=KeyCare(store, keys, realms, audit, due_at=int(clock()) + CARE_SECONDS),
        routes=routes,
    )


def prepare(parts: Parts, now: int) -> None:
    """Bring the database up to date, make missing signing keys, and compare it with the file. Safe to race.

    No connection is left open, so that a server may fork afterwards.

    Raises:
        SettingsError: an id is both in the file and in the database, the secret does not open the keys, a
            certificate is not valid now, or SQLite has no folder; in the last two nothing was touched.
        StoreUnavailable: the database is locked, full, read-only or gone.
    """
    wrong = [*certificate_problems(parts.realms, now), *database_file_problems(parts)]
    if wrong:
        raise SettingsError(wrong)
    try:
        upgrade(parts.store)
        for realm in parts.realms:
            parts.keys.ensure(parts.store, realm, now)
        problems = list(database_problems(parts))
    finally:
        parts.store.dispose()
    if problems:
        raise SettingsError(problems)


def database_file_problems(parts: Parts) -> Iterator[Problem]:
    """Why SQLite could not make its file: there is no folder for it, which its own message does not say."""
    url = make_url(parts.settings.database)
    if url.get_backend_name() == "sqlite":
        folder = Path(url.database or "").parent
        if not folder.is_dir():
            fix = "make it, or name a file in another one"
            yield Problem("database", str(folder), "is a folder that is not there", fix)


def database_problems(parts: Parts) -> Iterator[Problem]:
    """What in the database contradicts the configuration.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with parts.store.read() as conn:
        for realm in parts.realms:
            for taken in (*parts.clients.collisions(conn, realm), *parts.users.collisions(conn, realm)):
                yield taken._replace(key=in_realm(parts.realms, realm, taken.key))
            for kid in parts.keys.unreadable(conn, realm):
                yield Problem(
                    "secret", None, f"does not open the signing key {kid} of realm {realm.id}",
                    "add the secret that was in use when the key was made as a further line",
                )  # fmt: skip
            other = parts.keys.pair_in_the_way(conn, realm)
            if other is not None:
                yield Problem(
                    in_realm(parts.realms, realm, "signing_algorithm"), realm.settings.signing_algorithm,
                    f"is not {other}, with which the pair of signing_cert has signed before",
                    "keep it, or make another pair",
                )  # fmt: skip


def certificate_problems(realms: tuple[Realm, ...], now: int) -> Iterator[Problem]:
    """What keeps the configured certificates of all realms from being used now."""
    for realm in realms:
        for problem in realm.settings.certificate_problems(now):
            yield problem._replace(key=in_realm(realms, realm, problem.key))


def in_realm(realms: tuple[Realm, ...], realm: Realm, key: str) -> str:
    """The key as the file has it: the realm `default` is the top of the file."""
    position = realms.index(realm)
    return key if position == 0 else f"realms[{position - 1}].{key}"


def _sign_in_routes(
    settings: ProviderSettings,
    store: Store,
    clients: Clients,
    users: UserStore,
    consents: Consents,
    hints: IdTokenHints,
    issuing: Issuing,
    devices: Devices,
    attempts: PasswordAttempts,
    screens: Screens,
    ring: KeyRing,
    audit: Audit,
    clock: Callable[[], float],
) -> Iterator[Route]:
    """The pages, and the endpoints that lead to them."""
    requests = AuthorizationRequests(clients, hints)
    authorizations = Authorizations(users, issuing, consents)
    csrf_keys = ring.derive("provider csrf")

    def csrf(purpose: str) -> CsrfTokens:
        return CsrfTokens(csrf_keys, purpose)

    trusted_networks = parse_networks(settings.trusted_networks)
    login = Login(
        store,
        requests,
        authorizations,
        attempts,
        csrf("provider.login"),
        screens,
        audit,
        clock,
        trusted_networks,
    )
    desk = FactorDesk(store, requests, authorizations, screens, audit, clock, trusted_networks)
    secrets = TotpSecrets(ring)
    otp = OtpPage(desk, secrets, csrf("provider.otp"))
    enrol = EnrolPage(desk, secrets, csrf("provider.enrol"))
    no_factor = NoFactorPage(desk, csrf("provider.no_factor"))
    account = AccountPage(desk, csrf("provider.account"))
    organization = OrganizationPage(desk, csrf("provider.organization"))
    consent = Consent(
        store, requests, authorizations, consents, csrf("provider.consent"), screens, audit, clock
    )
    end = EndSession(store, clients, users, hints, csrf("provider.logout"), screens, audit, clock)
    device_end = DeviceEnd(authorizations, screens, audit)
    device = DevicePages(
        store,
        requests,
        authorizations,
        devices,
        device_end,
        csrf("provider.device"),
        screens,
        audit,
        clock,
        trusted_networks,
    )
    writer = ResponseWriter(screens.pages)
    authorize = Authorize(store, requests, authorizations, writer, device_end, screens, audit, clock)
    both = ("GET", "POST")
    yield Route("/authorize", both, authorize, Face.PAGE)
    yield Route("/login", both, login, Face.PAGE)
    yield Route("/login/account", both, account, Face.PAGE)
    yield Route("/login/organization", both, organization, Face.PAGE)
    yield Route("/login/otp", both, otp, Face.PAGE)
    yield Route("/login/enrol", both, enrol, Face.PAGE)
    yield Route("/login/no-second-factor", both, no_factor, Face.PAGE)
    yield Route("/consent", both, consent, Face.PAGE)
    yield Route(DEVICE_PATH, both, device, Face.PAGE)
    yield Route(CONFIRM, both, device.confirm, Face.PAGE)
    yield Route("/end_session", both, end, Face.PAGE)
    yield Route("/end_session/confirm", ("POST",), end.confirm, Face.PAGE)


def _token_routes(
    store: Store,
    entrance: ClientEntrance,
    grants: Mapping[str, Grant],
    checks: TokenChecks,
    client_tokens: ClientTokens,
    devices: Devices,
    audit: Audit,
    clock: Callable[[], float],
    networks: tuple[Network, ...],
) -> Iterator[Route]:
    """What clients call themselves. Introspection is for servers, so scripts cannot read it."""
    token = TokenEndpoint(entrance, client_tokens, grants, audit, clock, networks)
    introspect = Introspect(store, entrance, Introspection(checks), clock)
    revoke = Revoke(store, entrance, Revocation(checks), audit, clock)
    device = DeviceAuthorizationEndpoint(store, entrance, devices, audit, clock)
    userinfo = UserInfo(store, checks, client_tokens, clock)
    yield Route("/token", ("POST",), token, Face.JSON, any_origin=True)
    yield Route("/device_authorization", ("POST",), device, Face.JSON, any_origin=True)
    yield Route("/introspect", ("POST",), introspect, Face.JSON)
    yield Route("/revoke", ("POST",), revoke, Face.JSON, any_origin=True)
    yield Route("/userinfo", ("GET", "POST"), userinfo, Face.JSON, bearer=True, any_origin=True)


def _discovery_routes(discovery: Discovery) -> Iterator[Route]:
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        yield Route(path, ("GET",), discovery, Face.JSON, any_origin=True)
