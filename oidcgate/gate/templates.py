"""What is known of identity providers by name, so that a few settings are a full configuration.

A template only fills in what other settings say by themselves: with the issuer written out, every one of them
could be `generic`. Data alone; what the settings do with it is `issuer_settings` next door, what each needs
is in docs/how-to/identity-providers.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Template(NamedTuple):
    """One kind of identity provider.

    Attributes:
        issuer: with `{domain}`, `{tenant}` and `{realm}` where the settings of these names go; None: it is
            written out.
        examples: what one of these settings looks like.
        domain: the domain of most of them.
        assertion_audience: whom a proof that the gate signs is for, in its documentation.
        allowed_tenants, hosted_domain: whether it has these settings.
        acr_to_amr: what it writes into `acr`, and the method that it stands for.
        attributes_in_userinfo: whether only its userinfo endpoint says what is no standard claim.
    """

    issuer: str | None
    examples: Mapping[str, str] = MappingProxyType({})
    domain: str | None = None
    assertion_audience: str = "issuer"
    allowed_tenants: bool = False
    hosted_domain: bool = False
    acr_to_amr: Mapping[str, str] = MappingProxyType({})
    attributes_in_userinfo: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """The settings that its issuer is made of."""
        return tuple(re.findall(r"\{(\w+)\}", self.issuer or ""))


_SAML: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_GUID: Final = "00000000-0000-0000-0000-000000000000"

TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        "generic": Template(None),
        "entrust": Template(
            "https://{domain}/api/oidc",
            {"domain": "t.us.trustedauth.com"},
            acr_to_amr=MappingProxyType(
                {
                    f"{_SAML}Password": "pwd",
                    f"{_SAML}TimeSyncToken": "swk",
                    f"{_SAML}MobileTwoFactorContract": "mfa",
                    f"{_SAML}SmartcardPKI": "sc",
                    f"{_SAML}unspecified": "pwd",
                }
            ),
            attributes_in_userinfo=True,
        ),
        "secureauth": Template(
            "https://{domain}/{realm}", {"domain": "login.example.com", "realm": "SecureAuth1"}
        ),
        "entra": Template(
            "https://{domain}/{tenant}/v2.0",
            {"domain": "login.microsoftonline.us", "tenant": _GUID},
            domain="login.microsoftonline.com",
            assertion_audience="token_endpoint",
            allowed_tenants=True,
        ),
        "okta": Template(
            "https://{domain}", {"domain": "example.okta.com"}, assertion_audience="token_endpoint"
        ),
        # Its issuer ends in a slash, which counts.
        "auth0": Template("https://{domain}/", {"domain": "example.eu.auth0.com"}),
        "keycloak": Template(
            "https://{domain}/realms/{realm}", {"domain": "keycloak.example.com", "realm": "staff"}
        ),
        "google": Template("https://accounts.google.com", hosted_domain=True),
        "salesforce": Template(
            "https://{domain}",
            {"domain": "example.my.salesforce.com"},
            assertion_audience="token_endpoint",
        ),
        "pingone": Template(
            "https://{domain}/{tenant}/as",
            {"domain": "auth.pingone.eu", "tenant": _GUID},
            domain="auth.pingone.com",
            assertion_audience="token_endpoint",
        ),
    }
)

#: What `tenant` may be with the template entra where people of several tenants sign in, and then
#: `allowed_tenants` says which.
SEVERAL_TENANTS: Final = ("common", "organizations")
