"""A client's settings in its own words: the members of RFC 7591 and OIDC Registration, and the settings.

One table. What is not in it is not understood: left out, and not returned (RFC 7591 2); so are members in one
language (`client_name#de`), since pages show one name. Whether the values may be had is
`provider.client_settings` and `registration_policy`; reading the document is
`oidcgate.protocol.registration`.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from oidcgate.protocol.errors import InvalidClientMetadata, InvalidRedirectUri, OAuthError
from oidcgate.protocol.registration import needed_grant_types, requested_types
from oidcgate.protocol.response_type import RESPONSE_TYPES, parse_response_type
from oidcgate.protocol.token import DEVICE_CODE
from oidcgate.settings import Problem
from provider.client_settings import FLOWS, ClientSettings
from provider.store.clients import Client

#: Member -> setting, where both say the same.
MEMBERS: Final[Mapping[str, str]] = {
    "client_name": "name",
    "token_endpoint_auth_method": "auth_method",
    **{
        name: name
        for name in (
            "application_type", "redirect_uris", "post_logout_redirect_uris", "jwks_uri", "jwks",
            "token_endpoint_auth_signing_alg",
            "id_token_signed_response_alg", "id_token_encrypted_response_alg",
            "id_token_encrypted_response_enc",
            "userinfo_signed_response_alg", "userinfo_encrypted_response_alg",
            "userinfo_encrypted_response_enc",
            "subject_type", "sector_identifier_uri",
            "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts", "initiate_login_uri",
            "default_max_age", "require_auth_time", "default_acr_values",
            "backchannel_logout_uri", "backchannel_logout_session_required",
            "frontchannel_logout_uri", "frontchannel_logout_session_required",
            "request_uris", "request_object_signing_alg", "request_object_encryption_alg",
            "request_object_encryption_enc", "require_signed_request_object",
        )
    },
}  # fmt: skip
#: Those that are said otherwise: one setting, and the members that it is made of.
COMPOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "scopes": ("scope",),
    "flows": ("grant_types", "response_types"),
}
#: Grant types that are no flow of the authorization endpoint, and the flow that each is.
_TOKEN_GRANTS: Final[Mapping[str, str]] = {
    "refresh_token": "refresh_token",
    "client_credentials": "client_credentials",
    "password": "password",
    DEVICE_CODE: "device_code",
}
#: Of what is wrong, how much goes into the log.
_MOST_TOLD: Final = 10
#: Switches that no member asks for.
_UNASKED: Final = ("introspection", "revocation")
_DEFAULTS: Final = vars(ClientSettings(client_id="?"))


def settings_of(
    metadata: Mapping[str, Any], *, default_scopes: tuple[str, ...], given_flows: Iterable[str]
) -> dict[str, Any]:
    """What `[[clients]]` would say: every setting of the table, with its default where a member is left out.

    Args:
        metadata: Any JSON values; those of settings that are said alike are judged later.
        default_scopes: What a client is registered for that names no scope.
        given_flows: Those that it gets without asking are taken out of these.

    Raises:
        InvalidClientMetadata: a member of which a setting is made is malformed.
    """
    said = {setting: metadata.get(member, _DEFAULTS[setting]) for member, setting in MEMBERS.items()}
    said["scopes"] = _scopes(metadata.get("scope", "")) or default_scopes
    flows = _flows(metadata)
    unasked = [flow for flow in _UNASKED if flow in given_flows]
    if said["auth_method"] == "none":
        unasked = [flow for flow in unasked if flow != "introspection"]
    said["flows"] = tuple(flow for flow in FLOWS if flow in (*flows, *unasked))
    return said


def metadata_of(client: Client, *, signing_algorithm: str, bare_tokens: bool) -> dict[str, Any]:
    """What a client is registered with, as it is told. What says nothing is left out.

    Args:
        signing_algorithm: Of ID tokens, where the client has none of its own.
        bare_tokens: Whether `response_type=token` is answered.

    Spec: RFC 7591 3.2.1.
    """
    said = {member: getattr(client, setting) for member, setting in MEMBERS.items()}
    # Its own name is what it is called that gave none.
    said["client_name"] = "" if client.name == client.client_id else client.name
    said["id_token_signed_response_alg"] = said["id_token_signed_response_alg"] or signing_algorithm
    responses = [
        text
        for text in RESPONSE_TYPES
        if parse_response_type(text).flow in client.flows and (bare_tokens or text != "token")
    ]
    grants = [grant for text in responses for grant in needed_grant_types(parse_response_type(text))]
    grants += [grant for grant, flow in _TOKEN_GRANTS.items() if flow in client.flows]
    return {
        **{member: _as_json(value) for member, value in said.items() if _says_something(value)},
        "scope": " ".join(client.scopes),
        "grant_types": list(dict.fromkeys(grants)),
        "response_types": responses,
    }


def refusal(problems: Iterable[Problem]) -> OAuthError:
    """What a client is told that is not registered: the first thing that is wrong, in its own words.

    Its values are not repeated, and what the operator could do about it is not said.
    """
    first, *others = islice(problems, _MOST_TOLD)
    setting, *_ = re.split(r"[.\[]", first.key)
    kind = InvalidRedirectUri if setting == "redirect_uris" else InvalidClientMetadata
    detail = "; ".join(f"{one.key}: {one.message}" for one in (first, *others))
    return kind(f"{_member(first.key)}: {_in_its_words(first.message)}", detail=detail)


def _flows(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    responses, grants = requested_types(metadata)
    flows: list[str] = [response.flow for response in responses]
    for grant in grants:
        if grant in _TOKEN_GRANTS:
            flows.append(_TOKEN_GRANTS[grant])
        elif grant not in ("authorization_code", "implicit"):
            raise InvalidClientMetadata("grant_types: one of them is not supported")
    if not flows:
        raise InvalidClientMetadata("grant_types: names nothing that could be used")
    return tuple(flows)


def _scopes(value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise InvalidClientMetadata("scope: is not a string")
    return tuple(dict.fromkeys(word for word in value.split(" ") if word))


def _says_something(value: Any) -> bool:
    # Zero does; false is what a switch is that nobody mentions.
    return value is not False and value not in ("", (), {}, None)


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


_OWN_WORDS: Final = {
    **{setting: " and ".join(members) for setting, members in COMPOSED.items()},
    **{setting: member for member, setting in MEMBERS.items() if member != setting and setting != "name"},
}


def _in_its_words(message: str) -> str:
    return re.sub(r"\w+", lambda word: _OWN_WORDS.get(word[0], word[0]), message)


def _member(key: str) -> str:
    return "client_name" if key == "name" else _in_its_words(key)
