"""What `provider.toml` may say of the provider and of a realm, and the rules over what is written together.

What it says of one client, person, scope or property, and what a realm decides for everybody in it, are the
modules of settings next door. Reading the file is `oidcgate.settings`; turning settings into parts is
`provider.build`. Objects written in the file are read-only: commands and pages change those in the database
only.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from oidcgate.jose.keys import UnusableKey, thumbprint_kid
from oidcgate.net.addresses import network_problem
from oidcgate.protocol import urls
from oidcgate.settings import Problem, Secret, cross_check, load, setting
from oidcgate.web.sealing import KeyRing, WeakSecret
from provider.catalogue import Catalogue
from provider.catalogue_problems import (
    claim_problems,
    opened_problems,
    organization_problems,
    resource_problems,
    scope_problems,
)
from provider.catalogue_settings import (
    DEFAULT_SCOPES,
    TOKEN_FORMATS,
    ClaimSettings,
    OrganizationSettings,
    ResourceSettings,
    ScopeSettings,
)
from provider.client_rules import ALL_SCOPES
from provider.client_settings import TRY_OUT, ClientSettings
from provider.information_settings import InformationSettings
from provider.logout_settings import LogoutSettings
from provider.outbound_settings import OutboundSettings
from provider.property_settings import (
    NAMED_ATTRIBUTES,
    ORGANIZATIONS,
    PropertySettings,
    attribute_problems,
    believed_problems,
    consent_attribute_problem,
    joined,
    shape_problems,
)
from provider.realm_settings import (
    AccountSettings,
    ConsentSettings,
    Lifetimes,
    SecondFactorSettings,
    SubjectSettings,
    ThrottleSettings,
)
from provider.registration_settings import RegistrationSettings
from provider.request_object_settings import RequestObjectSettings
from provider.signing_settings import SigningSettings
from provider.user_settings import UserSettings, fold_user_name

ENV_PREFIX: Final = "OIDCPROVIDER_"
CONFIG_VARIABLE: Final = "OIDCPROVIDER_CONFIG"

_REALM_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class RealmSettings(SigningSettings):
    """What each realm has of its own; the top of the file is the realm `default`."""

    display_name: str = setting(
        default="", help="What pages call this provider; default: the host of the issuer."
    )
    lifetimes: Lifetimes = setting(factory=Lifetimes, help="How long things are good for.")
    consent: ConsentSettings = setting(factory=ConsentSettings, help="When people are asked.")
    throttle: ThrottleSettings = setting(factory=ThrottleSettings, help="How failed sign-ins are slowed.")
    second_factor: SecondFactorSettings = setting(
        factory=SecondFactorSettings, help="Whether a code is asked for beside the password."
    )
    request_objects: RequestObjectSettings = setting(
        factory=RequestObjectSettings, help="Whether applications may sign what they ask for."
    )
    registration: RegistrationSettings = setting(
        factory=RegistrationSettings, help="Whether applications may register themselves."
    )
    subjects: SubjectSettings = setting(factory=SubjectSettings, help="How people are named to applications.")
    account: AccountSettings = setting(
        factory=AccountSettings, help="The pages on which people look after their own account."
    )
    information: InformationSettings = setting(
        factory=InformationSettings, help="Pages for whoever connects applications."
    )
    audience: str = setting(
        default="", help="`aud` of access tokens for no API in particular; default: the issuer."
    )
    access_token_format: str = setting(
        default="opaque",
        choices=TOKEN_FORMATS,
        help="How access tokens for no API in particular are written.",
    )
    insecure_oauth_implicit: bool = setting(
        default=False,
        help="Answer response_type=token to clients with the implicit flow: an access token in the address.",
    )
    scopes: tuple[ScopeSettings, ...] = setting(
        default=(), help="Further scopes, or standard ones said otherwise."
    )
    claims: tuple[ClaimSettings, ...] = setting(
        default=(), help="Further claims, or standard ones said otherwise."
    )
    resources: tuple[ResourceSettings, ...] = setting(default=(), help="APIs that access tokens can be for.")
    organizations: tuple[OrganizationSettings, ...] = setting(
        default=(), help="Organizations that people sign in for."
    )
    clients: tuple[ClientSettings, ...] = setting(
        default=(), help="Applications that are written in the file."
    )
    users: tuple[UserSettings, ...] = setting(default=(), help="People who are written in the file.")
    properties: tuple[PropertySettings, ...] = setting(
        default=(), help="Further fields of the data store, or default ones said otherwise."
    )

    @cached_property
    def all_properties(self) -> Mapping[str, PropertySettings]:
        """Every property by its name, the default ones among them."""
        return joined(self.properties)

    @cached_property
    def own_properties(self) -> tuple[PropertySettings, ...]:
        """Those whose values people write themselves: what is writable, but for the place of consents."""
        return tuple(
            entry
            for entry in self.all_properties.values()
            if entry.writable and entry.field != self.consent.attribute
        )

    @cross_check
    def _properties_hold_together(self) -> Iterable[Problem]:
        yield from shape_problems(self.properties)
        yield from believed_problems(self.properties)

    @cross_check
    def _somewhere_to_keep_consents(self) -> Iterable[Problem]:
        problem = consent_attribute_problem(self.all_properties, self.consent.attribute)
        if problem:
            yield Problem("consent.attribute", self.consent.attribute, *problem)

    @cross_check
    def _people_as_declared(self) -> Iterable[Problem]:
        for position, user in enumerate(self.users):
            values = user.all_attributes()
            for problem in (
                *attribute_problems(self.all_properties, values),
                *self.membership_problems(values),
            ):
                inside = "" if problem.key in NAMED_ATTRIBUTES else "attributes."
                yield problem._replace(key=f"users[{position}].{inside}{problem.key}")

    def membership_problems(self, values: Mapping[str, Any]) -> Iterator[Problem]:
        """Where somebody is given an organization that is not there."""
        attribute = self.all_properties[ORGANIZATIONS].field
        given = values.get(attribute)
        known = self.catalogue.organizations
        for org_id in given if isinstance(given, list | tuple) else ():
            if org_id not in known:
                yield Problem(
                    attribute, org_id, "is no organization of this realm",
                    f"use one of {', '.join(known)}, or add it under [[organizations]]"
                    if known else "add it under [[organizations]]",
                )  # fmt: skip

    @property
    def longest_token_seconds(self) -> int:
        """The longest life of a token that a key of the realm signs, with the skew that is allowed for it."""
        lifetimes = self.lifetimes
        apis = [entry.access_token_hours for entry in self.resources if entry.access_token_hours is not None]
        longest = max(
            lifetimes.id_token_seconds,
            lifetimes.access_token_seconds,
            *(round(hours * 3600) for hours in apis),
        )
        return longest + lifetimes.clock_skew_seconds

    @property
    def scope_names(self) -> tuple[str, ...]:
        """Every scope that clients may name; of those that are switched off nobody is granted any."""
        return tuple(dict.fromkeys((*DEFAULT_SCOPES, *(scope.value for scope in self.scopes))))

    def audiences(self, issuer: str) -> Iterator[tuple[str, str]]:
        """Every `aud` that tokens of this realm can have, with the key that says so."""
        yield "issuer", issuer
        if self.audience:
            yield "audience", self.audience
        for index, resource in enumerate(self.resources):
            yield f"resources[{index}].audience", resource.audience

    @cached_property
    def catalogue(self) -> Catalogue:
        """Scopes, claims, APIs and organizations, the standard ones among them."""
        return Catalogue.of(
            self.scopes, self.claims, self.resources, self.organizations, self.registration.audiences
        )

    @cross_check
    def _catalogue_apart(self) -> Iterable[Problem]:
        yield from _twice("scopes", "value", [scope.value for scope in self.scopes])
        yield from _twice("claims", "name", [claim.name for claim in self.claims])
        yield from _twice("resources", "audience", [resource.audience for resource in self.resources])
        yield from _twice("organizations", "org_id", [entry.org_id for entry in self.organizations])

    @cross_check
    def _catalogue_holds_together(self) -> Iterable[Problem]:
        catalogue, properties = self.catalogue, self.all_properties
        yield from scope_problems(catalogue, self.scopes)
        yield from claim_problems(catalogue, self.claims, properties, self.consent.attribute)
        yield from resource_problems(catalogue, self.resources, self.key_algorithms)
        yield from opened_problems(catalogue, self.registration.audiences)
        yield from organization_problems(catalogue, properties)

    @cross_check
    def _known_names(self) -> Iterable[Problem]:
        for position, client in enumerate(self.clients):
            for problem in client.catalogue_problems(self.scope_names, self.catalogue.claims):
                yield problem._replace(key=f"clients[{position}].{problem.key}")

    @cross_check
    def _known_scopes_to_register(self) -> Iterable[Problem]:
        for index, scope in enumerate(self.registration.scopes):
            if scope not in (*self.scope_names, ALL_SCOPES):
                yield Problem(
                    f"registration.scopes[{index}]", scope, "is no scope of this realm",
                    "take it away, or add it under [[scopes]]",
                )  # fmt: skip

    @cross_check
    def _known_algorithms(self) -> Iterable[Problem]:
        for position, client in enumerate(self.clients):
            for problem in (
                *client.algorithm_problems(self.offered_algorithms),
                *client.request_object_problems(self.request_objects),
            ):
                yield problem._replace(key=f"clients[{position}].{problem.key}")

    @cross_check
    def _clients_apart(self) -> Iterable[Problem]:
        yield from _twice("clients", "client_id", [c.client_id for c in self.clients])

    @cross_check
    def _a_factor_to_ask_for(self) -> Iterable[Problem]:
        for position, client in enumerate(self.clients):
            for problem in client.second_factor_problems(self.second_factor.mode):
                yield problem._replace(key=f"clients[{position}].{problem.key}")

    @cross_check
    def _subject_types_of_clients(self) -> Iterable[Problem]:
        for position, client in enumerate(self.clients):
            for problem in client.subject_problems(self.subjects.types):
                yield problem._replace(key=f"clients[{position}].{problem.key}")

    @cross_check
    def _user_names_apart(self) -> Iterable[Problem]:
        yield from _twice("users", "user_name", [fold_user_name(u.user_name) for u in self.users])

    @cross_check
    def _user_ids_apart(self) -> Iterable[Problem]:
        yield from _twice("users", "user_id", [u.user_id for u in self.users])


@dataclass(frozen=True)
class NamedRealmSettings(RealmSettings):
    """A further realm, served under the issuer's path followed by `/r/NAME`."""

    name: str = setting(help="The realm's part of the path.")

    @cross_check
    def _usable_realm_name(self) -> Iterable[Problem]:
        if not _REALM_NAME.fullmatch(self.name) or self.name == "default":
            yield Problem(
                "name",
                self.name,
                "is no name for a realm",
                "use small letters, digits and -, but not `default`",
            )


@dataclass(frozen=True)
class ProviderSettings(RealmSettings):
    """The whole of `provider.toml`."""

    issuer: str = setting(help="The URL that names the provider, byte for byte as clients are told.")
    enabled: bool = setting(default=True, help="false: every endpoint refuses but healthz and readyz.")
    database: str = setting(
        default="sqlite:///provider.db", help="SQLAlchemy URL: sqlite:///… or postgresql+psycopg://…"
    )
    secret: Secret = setting(help="Seals the private keys. One secret a line: the first seals, all open.")
    trusted_networks: tuple[str, ...] = setting(
        default=(), help="Networks of the reverse proxies whose X-Forwarded-For is believed; none by default."
    )
    insecure_allow_http_loopback: bool = setting(
        default=False,
        help="Allow http:// issuers, redirect URIs, key sets on this machine (localhost, 127.0.0.1, [::1]).",
    )
    outbound: OutboundSettings = setting(factory=OutboundSettings, help="How keys of clients are fetched.")
    logout: LogoutSettings = setting(
        factory=LogoutSettings, help="How clients are told that a session has ended."
    )
    realms: tuple[NamedRealmSettings, ...] = setting(
        default=(), help="Further realms: issuers of their own under this one's path."
    )

    @cross_check
    def _usable_issuer(self) -> Iterable[Problem]:
        problem = issuer_problem(self.issuer, allow_http_loopback=self.insecure_allow_http_loopback)
        if problem:
            yield Problem("issuer", self.issuer, *problem)

    @cross_check
    def _strong_secret(self) -> Iterable[Problem]:
        try:
            KeyRing(self.secret.reveal().split())
        except WeakSecret as error:
            yield Problem("secret", None, f"cannot be used: {error}", "let `oidcgate-provider init` make one")

    @cross_check
    def _usable_database(self) -> Iterable[Problem]:
        if not re.match(r"(sqlite:///[^:]|postgresql\+psycopg://)", self.database):
            # The value is not shown: a PostgreSQL URL may hold a password.
            yield Problem(
                "database",
                None,
                "is neither sqlite:/// with a file nor postgresql+psycopg://",
                "give one of the two",
            )
        elif self.database.startswith("postgresql") and find_spec("psycopg") is None:
            yield Problem("database", None, "needs psycopg", "pip install 'oidcgate[sql]'")

    @cross_check
    def _real_networks(self) -> Iterable[Problem]:
        for position, network in enumerate(self.trusted_networks):
            if problem := network_problem(network):
                yield Problem(f"trusted_networks[{position}]", network, *problem)

    @cross_check
    def _realms_apart(self) -> Iterable[Problem]:
        yield from _twice("realms", "name", [realm.name for realm in self.realms])

    @cross_check
    def _audiences_apart(self) -> Iterable[Problem]:
        # Who believes tokens of one realm would believe those of another.
        seen: dict[str, str] = {}
        for position, realm in enumerate((self, *self.realms)):
            issuer = self.issuer if realm is self else f"{self.issuer}/r/{self.realms[position - 1].name}"
            prefix = "" if realm is self else f"realms[{position - 1}]."
            for key, audience in realm.audiences(issuer):
                other = seen.setdefault(audience, issuer)
                if other != issuer:
                    yield Problem(
                        prefix + key, audience, f"is also an audience of {other}", "give each realm its own"
                    )
            for index, resource in enumerate(realm.resources):
                if resource.audience in (issuer, realm.audience):
                    yield Problem(
                        f"{prefix}resources[{index}].audience", resource.audience,
                        "is the audience of the realm itself",
                        "choose another: tokens for the API would open UserInfo, and the other way round",
                    )  # fmt: skip

    @cross_check
    def _signing_keys_apart(self) -> Iterable[Problem]:
        seen: set[str] = set()
        for position, realm in enumerate((self, *self.realms)):
            try:
                pair = realm.signing_pair
            except UnusableKey:
                continue  # told where it stands
            kid = pair and thumbprint_kid(pair.key)
            if kid is not None and kid in seen:
                key = f"realms[{position - 1}].signing_key"
                yield Problem(key, None, "is the key of another realm too", "make a pair of its own")
            seen.add(kid or "")

    @cross_check
    def _usable_urls(self) -> Iterable[Problem]:
        yield from self._url_problems("", self)
        for position, realm in enumerate(self.realms):
            yield from self._url_problems(f"realms[{position}].", realm)

    def _url_problems(self, prefix: str, realm: RealmSettings) -> Iterator[Problem]:
        for position, client in enumerate(realm.clients):
            for problem in client.url_problems(self.insecure_allow_http_loopback):
                yield problem._replace(key=f"{prefix}clients[{position}].{problem.key}")


def load_settings(path: str | os.PathLike[str], env: Mapping[str, str]) -> ProviderSettings:
    """Read a provider's configuration, overridden by `OIDCPROVIDER_…` variables.

    Raises:
        SettingsError: with every problem of the file and the variables.
    """
    return load(ProviderSettings, path, env=env, env_prefix=ENV_PREFIX)


def issuer_problem(issuer: str, *, allow_http_loopback: bool) -> tuple[str, str] | None:
    """What keeps a URL from being an issuer, and what to do; None when it may be one.

    Spec: OIDC Discovery 1.0 section 3; RFC 8414 section 2.
    """
    problem = urls.issuer_problem(issuer, insecure_allow_http_loopback=allow_http_loopback)
    if problem and urls.is_loopback_url(issuer) and not allow_http_loopback:
        return problem, f"write it as https://id.example.com, or {TRY_OUT}"
    if problem:
        return problem, "write it as https://id.example.com"
    if issuer.endswith("/"):
        return "ends with a slash", "remove it: clients compare the issuer byte for byte"
    parts = urlsplit(issuer)
    if parts.netloc != parts.netloc.lower():
        return "has capital letters in its host", "write the host in small letters"
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", parts.path):
        return (
            "has a path with more than plain segments",
            "use letters, digits, - . _ ~ between single slashes",
        )
    return None


def _twice(array: str, key: str, values: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, value in enumerate(values):
        if value and value in seen:
            yield Problem(f"{array}[{position}].{key}", value, "is used by another entry", "keep one of them")
        seen.add(value)
