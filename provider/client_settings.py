"""What may be said of one application, in `provider.toml` and by `oidcgate-provider client`.

Here live names, defaults and the rules over one client, but for those over keys and algorithms, which are
`provider.client_crypto`, and over request objects, which are `provider.client_request_objects`; what needs to
know its realm is a method that the realm calls (`provider.config`). A client as the provider works with it is
`provider.store.clients.Client`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oidcgate.protocol import urls
from oidcgate.settings import Problem, Secret, cross_check, setting
from provider.catalogue_settings import DEFAULT_SCOPES
from provider.client_about import AboutRules
from provider.client_crypto import AUTH_METHODS, CryptoRules
from provider.client_logout import LogoutRules
from provider.client_request_objects import RequestObjectRules
from provider.client_rules import ALL_SCOPES
from provider.client_subjects import SubjectRules
from provider.realm_settings import SECOND_FACTOR_MODES, SUBJECT_TYPES

TRY_OUT: Final = "to try it out on this machine set insecure_allow_http_loopback = true"

#: The switches of a client, one for each way to get or look at tokens.
FLOWS: Final = (
    "authorization_code", "implicit", "hybrid", "client_credentials", "password", "refresh_token",
    "introspection", "revocation", "device_code",
)  # fmt: skip
#: Where it runs. Spec: OIDC Registration 2.
APPLICATION_TYPES: Final = ("web", "native")
#: How `acr` and `amr` are worded (`provider.services.authentication_context`).
ACR_PROFILES: Final = ("rfc8176", "entrust-saml", "eam")

_REDIRECTED: Final = frozenset({"authorization_code", "implicit", "hybrid"})
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~:/@+-]{1,100}")


@dataclass(frozen=True)
class ClientSettings(CryptoRules, RequestObjectRules, LogoutRules, SubjectRules, AboutRules):
    """One application."""

    client_id: str = setting(help="The identifier that the application sends.")
    name: str = setting(default="", help="Shown on the sign-in and consent pages; default: the client_id.")
    client_uri: str = setting(default="", help="Its home page, a link on the pages that ask about it.")
    logo_uri: str = setting(
        default="", help="An image shown beside its name; the browser fetches it from there, https."
    )
    policy_uri: str = setting(default="", help="What it does with what it learns of people, a link likewise.")
    tos_uri: str = setting(default="", help="Its terms of use, a link likewise.")
    contacts: tuple[str, ...] = setting(default=(), help="E-mail addresses of whoever looks after it.")
    initiate_login_uri: str = setting(
        default="", help="Where others may send people to have it begin a sign-in; https. Kept for readers."
    )
    enabled: bool = setting(default=True, help="false: refused everywhere, and its live tokens stop.")
    application_type: str = setting(
        default="web",
        choices=APPLICATION_TYPES,
        help="`native`: on a device of its user. PKCE is a must; redirects may go to a loopback address over "
        "http and to a private-use scheme.",
    )
    client_secret: Secret | None = setting(
        default=None, help="At least 256 bits (43 characters of base64url), at most 100 characters."
    )
    client_secret_sha256: str | None = setting(
        default=None, help="Instead of the secret: its SHA-256 in hexadecimal digits."
    )
    auth_method: str = setting(
        default="client_secret_basic",
        choices=AUTH_METHODS,
        help="How it proves itself at the token endpoint; `none` is a public client, which needs PKCE.",
    )
    token_endpoint_auth_signing_alg: str = setting(
        default="",
        help="The one algorithm of its assertions; default: RS256 for private_key_jwt, HS256 for "
        "client_secret_jwt.",
    )
    insecure_token_endpoint_audience: bool = setting(
        default=False,
        help="Its assertions may name the token endpoint as `aud` in place of the issuer, as many do.",
    )
    jwks_uri: str = setting(default="", help="Where its public keys are; https.")
    jwks: Mapping[str, Any] = setting(
        factory=dict, help="Its public keys themselves, to verify what it signs: { keys = [ … ] }."
    )
    redirect_uris: tuple[str, ...] = setting(
        default=(), help="Where answers may be sent, compared byte for byte."
    )
    post_logout_redirect_uris: tuple[str, ...] = setting(default=(), help="Where a sign-out may end.")
    backchannel_logout_uri: str = setting(
        default="", help="Where the provider posts a logout token when a session of it ends; https."
    )
    backchannel_logout_session_required: bool = setting(
        default=False, help="It needs `sid` in logout tokens. They always carry it."
    )
    frontchannel_logout_uri: str = setting(
        default="",
        help="Loaded in a frame of the sign-out page; https, of the same origin as one of redirect_uris.",
    )
    frontchannel_logout_session_required: bool = setting(
        default=False, help="Adds `iss` and `sid` to frontchannel_logout_uri."
    )
    flows: tuple[str, ...] = setting(default=("authorization_code",), choices=FLOWS, help="What it may use.")
    require_pkce: bool = setting(
        default=False, help="Refuse requests without code_challenge also from a client with a secret."
    )
    scopes: tuple[str, ...] = setting(
        default=DEFAULT_SCOPES,
        help='The scopes that it may be granted; ["*"] for all that the realm has.',
    )
    restricted_scopes: tuple[str, ...] = setting(
        default=(), help="Scopes that it is never granted, whatever `scopes` says."
    )
    trusted: bool = setting(default=False, help="true: people are not asked for consent.")
    allowed_users: tuple[str, ...] = setting(
        default=(), help="User names of the only people who may use it; with allowed_groups: or these."
    )
    allowed_groups: tuple[str, ...] = setting(
        default=(), help="Groups whose members are the only people who may use it."
    )
    organizations: bool = setting(
        default=True, help="false: nobody is asked for an organization, and tokens carry none."
    )
    second_factor: str = setting(
        default="realm",
        choices=("realm", *SECOND_FACTOR_MODES),
        help="A mode of its own in place of the realm's `second_factor.mode`, which must not be `off` then.",
    )
    subject_type: str = setting(
        default="public",
        choices=SUBJECT_TYPES,
        help="`pairwise`: people have a `sub` here that no client of another sector sees. Changing it, or "
        "the sector, changes the `sub` of everybody.",
    )
    sector_identifier_uri: str = setting(
        default="",
        help="Names the sector by its host, and lists all redirect URIs in a JSON array; https. Default: the "
        "one host of all redirect_uris.",
    )
    session_management: bool = setting(
        default=False,
        help="Its answers carry `session_state`, its pages may frame `/check_session`, and `prompt=none` "
        "works in a frame on another site as far as browsers let it, by two cookies with SameSite=None.",
    )
    acr_profile: str = setting(
        default="rfc8176",
        choices=ACR_PROFILES,
        help="The names of `acr` and `amr` in its requests and tokens.",
    )
    default_max_age: int | None = setting(
        default=None,
        minimum=0,
        help="Seconds after which people sign in anew for it, where a request says no max_age.",
    )
    require_auth_time: bool = setting(
        default=False, help="Its ID tokens need auth_time. They have it anyway; kept for readers."
    )
    default_acr_values: tuple[str, ...] = setting(
        default=(), help="The acr_values of a request that says none, in its acr_profile's words."
    )
    id_token_claims: tuple[str, ...] | None = setting(
        default=None,
        help="The only claims about the person in its ID tokens, in place of what `into` of each claim says.",
    )
    id_token_signed_response_alg: str = setting(
        default="", help="How its ID tokens are signed; default: the realm's signing_algorithm."
    )
    id_token_encrypted_response_alg: str = setting(
        default="", help="Encrypts its ID tokens for a key of jwks_uri, with this key algorithm."
    )
    id_token_encrypted_response_enc: str = setting(
        default="", help="The content algorithm; default: A128CBC-HS256."
    )
    userinfo_signed_response_alg: str = setting(
        default="", help="Sends it UserInfo as a signed token; default: plain JSON."
    )
    userinfo_encrypted_response_alg: str = setting(
        default="", help="Encrypts its UserInfo for a key of jwks_uri, with this key algorithm."
    )
    userinfo_encrypted_response_enc: str = setting(
        default="", help="The content algorithm; default: A128CBC-HS256."
    )
    request_uris: tuple[str, ...] = setting(
        default=(),
        help="Where its request objects are fetched from, and from nowhere else; https. A fragment is the "
        "SHA-256 of the content, in base64url.",
    )
    request_object_signing_alg: str = setting(
        default="",
        help="The one algorithm of its request objects, default: RS256. `none`: nobody signs them.",
    )
    request_object_encryption_alg: str = setting(
        default="", help="Its request objects may come encrypted to a key of ours, with this key algorithm."
    )
    request_object_encryption_enc: str = setting(
        default="", help="The content algorithm; default: A128CBC-HS256."
    )
    require_signed_request_object: bool = setting(
        default=False, help="Refuse what it asks for in any other way than in a signed request object."
    )

    @cross_check
    def _plain_id(self) -> Iterable[Problem]:
        if not _CLIENT_ID.fullmatch(self.client_id):
            yield Problem(
                "client_id", self.client_id, "is not 1 to 100 characters out of A-Z a-z 0-9 . _ ~ : / @ + -",
                "choose another",
            )  # fmt: skip

    @cross_check
    def _somewhere_to_answer(self) -> Iterable[Problem]:
        if _REDIRECTED & set(self.flows) and not self.redirect_uris:
            yield Problem(
                "redirect_uris",
                None,
                "is empty",
                "list where the application receives the answer, or take the flow away",
            )

    @cross_check
    def _refresh_needs_its_scope(self) -> Iterable[Problem]:
        if "refresh_token" in self.flows and not self.may_have("offline_access"):
            yield Problem(
                "scopes", None, "lacks offline_access, without which no refresh token is given",
                'add it, or take "refresh_token" out of flows',
            )  # fmt: skip

    @cross_check
    def _flows_of_a_public_client(self) -> Iterable[Problem]:
        # Whoever knows its client_id would be it: nothing but the redirect URI says who asks.
        for flow in ("hybrid", "client_credentials", "introspection"):
            if self.public and flow in self.flows:
                yield Problem(
                    "flows", flow, "is not for a client without a secret",
                    "take it away, or give the client another auth_method",
                )  # fmt: skip

    @cross_check
    def _no_tokens_without_pkce(self) -> Iterable[Problem]:
        # Whatever app of the device takes the scheme or the port would be given the tokens (RFC 8252 8.2). In
        # the hybrid flow PKCE binds the code, and not the tokens that come beside it.
        for flow in ("implicit", "hybrid") if self.application_type == "native" else ():
            if flow in self.flows:
                yield Problem(
                    "flows", flow, "is not for an app on a device, which has to use PKCE",
                    "use authorization_code",
                )  # fmt: skip

    def url_problems(self, allow_http_loopback: bool) -> Iterator[Problem]:
        """What is wrong with where answers go and keys are. Only the provider says whether http may be."""
        native = self.application_type == "native"
        for name in ("redirect_uris", "post_logout_redirect_uris"):
            for index, uri in enumerate(getattr(self, name)):
                problem = urls.redirect_uri_problem(
                    uri, allow_http_loopback=allow_http_loopback, native=native
                )
                if problem:
                    fix = "register the exact https URI of the application"
                    if urls.is_loopback_url(uri) and not allow_http_loopback:
                        fix = f'{fix}, set application_type = "native" for an app of a device, or {TRY_OUT}'
                    yield Problem(f"{name}[{index}]", uri, problem, fix)
        yield from self.logout_uri_problems(allow_http_loopback)
        keys = self.jwks_uri
        key_problem = self.jwks_uri_problem(allow_http_loopback)
        wrong = keys and urls.endpoint_problem(keys, insecure_allow_http_loopback=allow_http_loopback)
        if key_problem is not None:
            yield key_problem
        elif wrong:
            yield Problem("jwks_uri", keys, wrong, "give the https URL of the keys as it would be sent")
        yield from self.request_uri_problems(allow_http_loopback)
        yield from self.sector_uri_problems(allow_http_loopback)
        yield from self.about_problems(allow_http_loopback)

    def second_factor_problems(self, realm_mode: str) -> Iterator[Problem]:
        """What is wrong with its mode in a realm of that mode."""
        if realm_mode == "off" and self.second_factor in ("acr", "required"):
            yield Problem(
                "second_factor", self.second_factor, "asks for what the realm does not have",
                'set second_factor.mode = "acr" for the realm, or leave this out',
            )  # fmt: skip

    def catalogue_problems(self, scopes: Collection[str], claims: Collection[str]) -> Iterator[Problem]:
        """Scopes and claims that its realm does not have.

        Args:
            scopes: Those that it has.
            claims: Likewise.
        """
        for name in ("scopes", "restricted_scopes"):
            for index, scope in enumerate(getattr(self, name)):
                if scope not in scopes and not (scope == ALL_SCOPES and name == "scopes"):
                    yield Problem(
                        f"{name}[{index}]", scope, "is no scope of this realm",
                        f"use one of {', '.join(scopes)}, or add it under [[scopes]]",
                    )  # fmt: skip
        for index, claim in enumerate(self.id_token_claims or ()):
            if claim not in claims:
                yield Problem(
                    f"id_token_claims[{index}]", claim, "is no claim of this realm",
                    "use one that a scope opens, or add it under [[claims]]",
                )  # fmt: skip
