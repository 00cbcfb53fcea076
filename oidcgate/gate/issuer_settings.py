"""Where an identity provider is, and which of its people may come: a part of `[provider]`.

Here live these settings, how a template's address is made of them, and what can be wrong. What is known of
each template is `templates`; the rest of `[provider]` is `provider_settings`, both next door.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from oidcgate.gate.templates import SEVERAL_TENANTS, TEMPLATES, Template
from oidcgate.protocol import urls
from oidcgate.protocol.metadata import configuration_url, issuer_of
from oidcgate.protocol.tenants import TENANT_PLACE
from oidcgate.settings import Problem, cross_check, setting

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::([1-9][0-9]{0,4}))?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]{1,100}")
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ANY_GUID: Final = TEMPLATES["entra"].examples["tenant"]
_PLACES: Final = ("domain", "tenant", "realm")


def issuer_problem(value: str) -> str | None:
    """What is wrong with an issuer, and what to do; None when nothing is."""
    if not value.isascii():
        return "has characters that a URL cannot have; write international names in their xn-- form"
    # The rule that the discovery document is held to as well: what passes here is not refused there.
    wrong = urls.issuer_problem(value, insecure_allow_http_loopback=True)
    return None if wrong is None else f"{wrong}; write it like https://id.example.com"


def _domain_problem(value: str) -> str | None:
    like = "write the host alone, like t.us.trustedauth.com"
    if "://" in value:
        return f"has a protocol; {like}"
    if "/" in value:
        return f"{'ends in a slash' if value.find('/') == len(value) - 1 else 'has a path'}; {like}"
    if not value.isascii():
        return "has characters that a host cannot have; write international names in their xn-- form"
    match = _HOST.fullmatch(value)
    if match is None or ".." in value:
        return f"is not a host in lower case, with or without a port; {like}"
    if match[1] is not None and (int(match[1]) > 65_535 or match[1] == "443"):
        return "has a port that is none, or that https has anyway; leave it off"
    return None


def _segment_problem(value: str) -> str | None:
    if not _SEGMENT.fullmatch(value) or value in (".", ".."):
        return "is not one name of a path; write it as the IdP's addresses have it, without slashes"
    return None


def _tenants_problem(value: tuple[str, ...]) -> str | None:
    if not all(_GUID.fullmatch(entry) for entry in value):
        return "has an entry that is no tenant id; write each as 8-4-4-4-12 hex digits in lower case"
    return None


def _hosted_domain_problem(value: str) -> str | None:
    if not _HOST.fullmatch(value) or ":" in value or "." not in value:
        return "is no domain; write it in lower case, like example.com"
    return None


@dataclasses.dataclass(frozen=True)
class IssuerSettings:
    """The address of one identity provider."""

    template: str = setting(
        default="generic",
        choices=tuple(TEMPLATES),
        help="What kind of IdP it is: fills in its issuer and the ways it is known to have.",
    )
    issuer: str | None = setting(
        default=None,
        check=issuer_problem,
        help="The IdP's issuer, byte for byte as its discovery document says it. This, configuration_url, or "
        "a template with what it needs.",
    )
    configuration_url: str | None = setting(
        default=None,
        check=issuer_problem,
        help="Where the discovery document is, in place of issuer; ends in "
        "/.well-known/openid-configuration.",
    )
    domain: str | None = setting(
        default=None,
        check=_domain_problem,
        help="With a template: the IdP's host, without https:// and path; a port other than 443 may follow.",
    )
    tenant: str | None = setting(
        default=None,
        check=_segment_problem,
        help="With the template entra the tenant's id, or `common` or `organizations` beside "
        "allowed_tenants; with pingone the environment's id.",
    )
    realm: str | None = setting(
        default=None,
        check=_segment_problem,
        help="With the template keycloak the realm's name; with secureauth the realm's folder.",
    )
    allowed_tenants: tuple[str, ...] = setting(
        default=(),
        check=_tenants_problem,
        help="With the template entra and several tenants: the ids of those whose people may come.",
    )
    hosted_domain: str | None = setting(
        default=None,
        check=_hosted_domain_problem,
        help="With the template google: the Workspace domain whose people may come; all others are refused.",
    )

    @property
    def known(self) -> Template:
        """What is known of this kind of IdP."""
        return TEMPLATES[self.template]

    @property
    def expected_issuer(self) -> str:
        """The issuer that discovery document, callback and ID token must name.

        With several tenants it has `{tenantid}` in it, as the document has, and the ID token's own tenant is
        put there.
        """
        if self.issuer is not None:
            return self.issuer
        if self.configuration_url is not None:
            return issuer_of(self.configuration_url)
        return self._made(TENANT_PLACE if self.tenant in SEVERAL_TENANTS else self.tenant)

    @property
    def discovery_url(self) -> str:
        """Where the discovery document is fetched."""
        return self.configuration_url or configuration_url(self.issuer or self._made(self.tenant))

    @property
    def has_address(self) -> bool:
        """Whether it is told where the IdP is."""
        return self.configuration_url is not None or self.issuer is not None or not self._missing()

    @property
    def on_loopback(self) -> bool:
        """Whether the IdP is on this machine and speaks http, as in a demo or a test."""
        return self.discovery_url.startswith("http:")

    def _missing(self) -> tuple[str, ...]:
        """What its template's address lacks."""
        if self.known.issuer is None:
            return ("issuer",)
        given = {place for place in _PLACES if getattr(self, place) is not None}
        given |= {"domain"} if self.known.domain is not None else set()
        return tuple(place for place in self.known.places if place not in given)

    def _made(self, tenant: str | None) -> str:
        domain = self.domain or self.known.domain
        return (self.known.issuer or "").format(domain=domain, tenant=tenant, realm=self.realm)

    @cross_check
    def _one_address(self) -> Iterable[Problem]:
        if self.issuer is not None and self.configuration_url is not None:
            yield Problem("configuration_url", None, "is given beside issuer", "keep one of them")
        if self.issuer is None and self.configuration_url is None:
            yield from self._needed_by_the_template()
        if self.issuer is not None and self.issuer.endswith(_WELL_KNOWN):
            yield Problem(
                "issuer",
                self.issuer,
                "is the address of the discovery document",
                f"name it configuration_url, or leave off {_WELL_KNOWN}",
            )
        if self.configuration_url is not None:
            try:
                issuer_of(self.configuration_url)
            except ValueError:
                yield Problem(
                    "configuration_url",
                    self.configuration_url,
                    "does not end in /.well-known/openid-configuration",
                    "set issuer instead, and the rest is appended",
                )

    def _needed_by_the_template(self) -> Iterable[Problem]:
        if self.known.issuer is None:
            yield Problem("issuer", None, "is missing, and so is configuration_url", "set one of them")
        for place in self._missing():
            if place != "issuer":
                yield Problem(
                    place,
                    None,
                    f"is missing, and the template {self.template} needs it",
                    f'set it, as in {place} = "{self.known.examples[place]}"',
                )

    @cross_check
    def _places_of_the_template(self) -> Iterable[Problem]:
        written_out = self.issuer is not None or self.configuration_url is not None
        for place in _PLACES:
            value = getattr(self, place)
            if value is None:
                continue
            if place not in self.known.places:
                yield Problem(
                    place,
                    value,
                    f"has no place in the template {self.template}",
                    "remove it, or set template",
                )
            elif written_out:
                yield Problem(
                    place, value, "is given beside the issuer that it would make", "keep one of them"
                )

    @cross_check
    def _whose_people(self) -> Iterable[Problem]:
        several = self.known.allowed_tenants and self.tenant in SEVERAL_TENANTS
        if self.known.allowed_tenants and not several and not _GUID.fullmatch(self.tenant or _ANY_GUID):
            yield Problem(
                "tenant",
                self.tenant,
                "is no tenant id, and the IdP's issuer has no other name",
                f"write its id in lower case, like {self.known.examples['tenant']}",
            )
        if several and not self.allowed_tenants:
            yield Problem(
                "allowed_tenants",
                None,
                f"is missing, and with {self.tenant} people of every tenant could sign in",
                "list the ids of the tenants whose people may come",
            )
        if self.allowed_tenants and not several:
            yield Problem(
                "allowed_tenants",
                None,
                "says nothing where there is one tenant or none",
                'remove it, or use template = "entra" with tenant = "organizations"',
            )
        if self.hosted_domain is not None and not self.known.hosted_domain:
            yield Problem(
                "hosted_domain",
                self.hosted_domain,
                f"has no place in the template {self.template}",
                'remove it, or use template = "google"',
            )
