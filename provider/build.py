"""From settings to parts: the one place that knows them all.

`provider.app`, the commands and the server call it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from oidcgate.audit import Audit
from oidcgate.net.fetch import Fetcher
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, parse_networks
from oidcgate.web.sealing import KeyRing
from provider.config import ProviderSettings
from provider.endpoints.account import AccountPage
from provider.endpoints.authorize import Authorize
from provider.endpoints.check_session import PATH as CHECK_SESSION
from provider.endpoints.check_session import CheckSession
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
from provider.endpoints.my_account import MyAccountPage
from provider.endpoints.my_applications import MyApplicationsPage
from provider.endpoints.my_authenticator import MyAuthenticatorPages
from provider.endpoints.my_desk import MyDesk
from provider.endpoints.my_password import MyPasswordPage
from provider.endpoints.my_profile import MyProfilePage
from provider.endpoints.my_sessions import MySessionsPage
from provider.endpoints.no_factor import NoFactorPage
from provider.endpoints.organization import OrganizationPage
from provider.endpoints.otp import OtpPage
from provider.endpoints.register import Register
from provider.endpoints.register import is_on as registration_is_on
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
from provider.services.applications import Applications
from provider.services.authenticate_client import ClientAuthentication
from provider.services.authorization import Authorizations
from provider.services.authorization_requests import AuthorizationRequests
from provider.services.client_keys import ClientKeys
from provider.services.client_secrets import ClientSecrets
from provider.services.client_tokens import ClientTokens
from provider.services.clients import Clients
from provider.services.consents import Consents
from provider.services.devices import PATH as DEVICE_PATH
from provider.services.devices import Devices
from provider.services.encryption_keys import EncryptionKeys
from provider.services.frame_origins import FrameOrigins
from provider.services.housekeeping import INTERVAL_SECONDS, Housekeeping
from provider.services.id_token_hint import IdTokenHints
from provider.services.introspection import Introspection
from provider.services.issuing import Issuing
from provider.services.key_care import CARE_SECONDS, KeyCare
from provider.services.key_vault import KeyVault
from provider.services.keyring import SigningKeys
from provider.services.logout_delivery import LogoutDelivery
from provider.services.logout_requests import LogoutRequests
from provider.services.my_pages import MyPage
from provider.services.outbound import Outbound, outbound_of
from provider.services.passwords import Passwords
from provider.services.people import People
from provider.services.registration import PATH as REGISTER
from provider.services.registration import Registrations
from provider.services.request_objects import RequestObjects
from provider.services.responses import ResponseWriter
from provider.services.revocation import Revocation
from provider.services.sectors import Sectors
from provider.services.subjects import Subjects
from provider.services.token_checks import TokenChecks
from provider.services.tokens import Tokens
from provider.services.unused_clients import UnusedClients
from provider.services.users import PasswordStore, Users, UserStore
from provider.store.engine import Store


@dataclass(frozen=True)
class Parts:
    """Everything the application and the commands are made of."""

    settings: ProviderSettings
    realms: tuple[Realm, ...]
    store: Store
    clients: Clients
    sectors: Sectors
    users: Users
    consents: Consents
    applications: Applications
    keys: SigningKeys
    subjects: Subjects
    encryption_keys: EncryptionKeys
    passwords: Passwords
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    housekeeping: Housekeeping
    key_care: KeyCare
    logout_delivery: LogoutDelivery
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
    """Put the parts together.

    Nothing is opened, read or written: that is `provider.prepare`, or the first request.

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
    outbound = outbound_of(settings) if fetcher is None else Outbound.through(fetcher)
    client_keys = ClientKeys(outbound, clock)
    sectors = Sectors(outbound)
    authentication = ClientAuthentication(store, clients, secrets, client_keys, clock)
    users = Users.from_settings(settings)
    consents = Consents(ring, audit)
    applications = Applications(clients, consents)
    vault = KeyVault(ring)
    keys = SigningKeys(vault, audit)
    encryption_keys = EncryptionKeys(store, vault, audit)
    subjects = Subjects(ring)
    passwords = Passwords()
    screens = Screens(provider_pages())
    people = People(user_store or users, audit)
    attempts = PasswordAttempts(store, people, PasswordFactor(passwords.hasher), audit)
    checks = TokenChecks(clients, people, keys)
    client_tokens = ClientTokens(keys, secrets, client_keys)
    issuing = Issuing(keys, client_tokens, subjects)
    tokens = Tokens(checks, issuing)
    hints = IdTokenHints(keys, clients, secrets)
    objects = RequestObjects(store, clients, secrets, client_keys, encryption_keys, outbound, clock)
    devices = Devices(checks, issuing)
    entrance = ClientEntrance(authentication, audit)
    networks = parse_networks(settings.trusted_networks)
    frames = FrameOrigins(store, clients, clock)
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
        *_discovery_routes(Discovery(tuple(grants), frames)),
        *_sign_in_routes(
            store=store,
            clients=clients,
            people=people,
            consents=consents,
            applications=applications,
            hints=hints,
            subjects=subjects,
            objects=objects,
            issuing=issuing,
            devices=devices,
            attempts=attempts,
            screens=screens,
            ring=ring,
            audit=audit,
            clock=clock,
            networks=networks,
            frame_seconds=settings.logout.frame_seconds,
        ),
        Route(CHECK_SESSION, ("GET",), CheckSession(frames), Face.PAGE),
        Route("/jwks", ("GET",), Jwks(store, keys, encryption_keys, clock), Face.JSON, any_origin=True),
        *_token_routes(
            store=store,
            entrance=entrance,
            grants=grants,
            checks=checks,
            client_tokens=client_tokens,
            subjects=subjects,
            devices=devices,
            audit=audit,
            clock=clock,
            networks=networks,
        ),
        Route(
            REGISTER,
            ("POST", "GET", "PUT", "DELETE"),
            Register(Registrations(store, clients, sectors, clock), audit, networks),
            Face.JSON,
            only=registration_is_on,
        ),
        Route("/healthz", ("GET",), Alive(), Face.JSON, health=True),
        Route("/readyz", ("GET",), Ready(store, keys), Face.JSON, health=True),
    )
    return Parts(
        settings=settings,
        realms=realms,
        store=store,
        clients=clients,
        sectors=sectors,
        users=users,
        consents=consents,
        applications=applications,
        keys=keys,
        subjects=subjects,
        encryption_keys=encryption_keys,
        passwords=passwords,
        screens=screens,
        audit=audit,
        clock=clock,
        housekeeping=Housekeeping(
            store, realms, UnusedClients(store, clients, audit), due_at=int(clock()) + INTERVAL_SECONDS
        ),
        logout_delivery=LogoutDelivery(
            store, realms, clients, client_tokens, subjects, outbound, settings, audit, clock
        ),
        key_care=KeyCare(store, keys, encryption_keys, realms, audit, due_at=int(clock()) + CARE_SECONDS),
        routes=routes,
    )


def _sign_in_routes(
    *,
    store: Store,
    clients: Clients,
    people: People,
    consents: Consents,
    applications: Applications,
    hints: IdTokenHints,
    subjects: Subjects,
    objects: RequestObjects,
    issuing: Issuing,
    devices: Devices,
    attempts: PasswordAttempts,
    screens: Screens,
    ring: KeyRing,
    audit: Audit,
    clock: Callable[[], float],
    networks: tuple[Network, ...],
    frame_seconds: int,
) -> Iterator[Route]:
    """The pages, and the endpoints that lead to them."""
    requests = AuthorizationRequests(clients, hints)
    authorizations = Authorizations(people, issuing, consents, subjects)
    csrf_keys = ring.derive("provider csrf")

    def csrf(purpose: str) -> CsrfTokens:
        return CsrfTokens(csrf_keys, purpose)

    login = Login(
        store,
        requests,
        authorizations,
        attempts,
        csrf("provider.login"),
        screens,
        audit,
        clock,
        networks,
    )
    desk = FactorDesk(store, requests, authorizations, screens, audit, clock, networks)
    secrets = TotpSecrets(ring)
    otp = OtpPage(desk, secrets, csrf("provider.otp"))
    enrol = EnrolPage(desk, secrets, csrf("provider.enrol"))
    no_factor = NoFactorPage(desk, csrf("provider.no_factor"))
    account = AccountPage(desk, csrf("provider.account"))
    organization = OrganizationPage(desk, csrf("provider.organization"))
    consent = Consent(
        store, requests, authorizations, consents, csrf("provider.consent"), screens, audit, clock
    )
    end = EndSession(
        store,
        LogoutRequests(clients, hints, subjects),
        clients,
        people,
        csrf("provider.logout"),
        screens,
        audit,
        clock,
        frame_seconds,
    )
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
        networks,
    )
    writer = ResponseWriter(screens.pages)
    authorize = Authorize(store, objects, requests, authorizations, writer, device_end, screens, audit, clock)
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
    my = MyDesk(store, authorizations, screens, csrf("provider.my"), audit, clock, networks)
    keeper = people.store if isinstance(people.store, PasswordStore) else None
    my_authenticator = MyAuthenticatorPages(my, secrets)
    yield Route(MyPage.OVERVIEW, ("GET",), MyAccountPage(my, applications), Face.PAGE)
    yield Route(MyPage.PROFILE, both, MyProfilePage(my), Face.PAGE)
    yield Route(MyPage.PASSWORD, both, MyPasswordPage(my, attempts, keeper), Face.PAGE)
    yield Route(MyPage.AUTHENTICATOR, both, my_authenticator, Face.PAGE)
    yield Route(MyPage.NEW_AUTHENTICATOR, both, my_authenticator.new, Face.PAGE)
    yield Route(MyPage.SESSIONS, both, MySessionsPage(my), Face.PAGE)
    yield Route(MyPage.APPLICATIONS, both, MyApplicationsPage(my, applications), Face.PAGE)
    yield Route("/end_session", both, end, Face.PAGE)
    yield Route("/end_session/confirm", ("POST",), end.confirm, Face.PAGE)


def _token_routes(
    *,
    store: Store,
    entrance: ClientEntrance,
    grants: Mapping[str, Grant],
    checks: TokenChecks,
    client_tokens: ClientTokens,
    subjects: Subjects,
    devices: Devices,
    audit: Audit,
    clock: Callable[[], float],
    networks: tuple[Network, ...],
) -> Iterator[Route]:
    """What clients call themselves. Introspection is for servers, so scripts cannot read it."""
    token = TokenEndpoint(entrance, client_tokens, grants, audit, clock, networks)
    introspect = Introspect(store, entrance, Introspection(checks, subjects), clock)
    revoke = Revoke(store, entrance, Revocation(checks), audit, clock)
    device = DeviceAuthorizationEndpoint(store, entrance, devices, audit, clock, networks)
    userinfo = UserInfo(store, checks, client_tokens, subjects, clock)
    yield Route("/token", ("POST",), token, Face.JSON, any_origin=True)
    yield Route("/device_authorization", ("POST",), device, Face.JSON, any_origin=True)
    yield Route("/introspect", ("POST",), introspect, Face.JSON)
    yield Route("/revoke", ("POST",), revoke, Face.JSON, any_origin=True)
    yield Route("/userinfo", ("GET", "POST"), userinfo, Face.JSON, bearer=True, any_origin=True)


def _discovery_routes(discovery: Discovery) -> Iterator[Route]:
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        yield Route(path, ("GET",), discovery, Face.JSON, any_origin=True)
