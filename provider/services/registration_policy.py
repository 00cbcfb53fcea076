"""What an application that registered itself may be: the rules of a realm over one client. Pure.

They are over the whole client that results, at creation and at every change alike: what was allowed when it
came must not become something else by an update (P-13). What every client has to be is
`provider.client_settings`, what its own words for these settings are `client_metadata` next door.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from oidcgate.loopback import is_loopback_host
from oidcgate.protocol import urls
from oidcgate.settings import Check, Problem
from provider.client_rules import ALL_SCOPES
from provider.client_settings import ClientSettings
from provider.registration_settings import RegistrationSettings
from provider.services.client_metadata import MEMBERS

#: Of a text that people are shown, and of any other, which is most often a URL.
LONGEST_NAME: Final = 200
LONGEST_TEXT: Final = 2048
_ASK = "ask whoever runs the provider"
_REDIRECTS: Final = ("redirect_uris", "post_logout_redirect_uris")
#: Flows in which somebody signs in and no redirect URI says who asked.
_COLLECTING: Final = frozenset({"device_code", "password"})
#: What would be fetched, shown or followed.
_URLS: Final = tuple(entry.name for entry in fields(ClientSettings) if entry.name.endswith(("_uri", "_uris")))


def policy_checks(
    policy: RegistrationSettings, realm_scopes: tuple[str, ...], issuer: str
) -> tuple[Check, ...]:
    """The rules, each to be asked on its own about `ClientSettings`.

    Args:
        realm_scopes: Those that the realm has.
        issuer: Of the realm; all realms are on its origin.
    """
    allowed = allowed_scopes(policy, realm_scopes)
    return (
        lambda client: _listed("flows", client.flows, policy.flows),
        lambda client: _listed("scopes", client.scopes, allowed),
        lambda client: _listed("auth_method", (client.auth_method,), policy.auth_methods),
        lambda client: _listed("application_type", (client.application_type,), policy.application_types),
        lambda client: _powers(client, policy_powers(policy)),
        lambda client: _hosts(client, policy),
        lambda client: _loopback(client, policy),
        lambda client: _elsewhere(client, issuer),
        lambda client: _proven_sector(client),
        *(_bounded(name, policy.max_uris) for name in MEMBERS.values()),
        lambda client: _shown_to_people(client),
    )


def allowed_scopes(policy: RegistrationSettings, realm_scopes: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes that they may ask for; `*`, which means those that are added later too, is never one."""
    every = ALL_SCOPES in policy.scopes
    return tuple(one for one in realm_scopes if every or one in policy.scopes)


def _listed(name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> Iterator[Problem]:
    for value in values:
        if value not in allowed:
            yield Problem(name, value, "is not for applications that register themselves", _ASK)


def policy_powers(policy: RegistrationSettings) -> tuple[str, ...]:
    """The settings of a client that are insecure and that the policy gives to all who register."""
    return ("insecure_token_endpoint_audience",) if policy.insecure_token_endpoint_audience else ()


def _powers(client: ClientSettings, given: tuple[str, ...]) -> Iterator[Problem]:
    """What only an operator gives. A client that got it from one cannot change itself any more."""
    for entry in fields(client):
        power = entry.name == "trusted" or entry.name.startswith("insecure_")
        if power and entry.name not in given and getattr(client, entry.name):
            yield Problem(
                entry.name, None, "was given to this application, which may not change itself since", _ASK
            )


def _hosts(client: ClientSettings, policy: RegistrationSettings) -> Iterator[Problem]:
    for name in _REDIRECTS if policy.redirect_hosts else ():
        for index, uri in enumerate(getattr(client, name)):
            origin = urls.origin(uri)
            host = None if origin is None else origin[1]
            # A scheme of the app's own has no host, and this machine is no host of anybody: the type of the
            # application says whether it may have these.
            if host is None or (is_loopback_host(host) and client.application_type == "native"):
                continue
            if not any(_is_of(host, allowed) for allowed in policy.redirect_hosts):
                yield Problem(f"{name}[{index}]", uri, "is on a host that is not allowed here", _ASK)


def _is_of(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _loopback(client: ClientSettings, policy: RegistrationSettings) -> Iterator[Problem]:
    """Spec: OIDC Registration 2 (`application_type`): web applications are not on the person's machine."""
    if policy.insecure_allow_http_loopback:
        return
    for name, key, uri in _addresses(client):
        if urls.is_loopback_url(uri) and not (name in _REDIRECTS and client.application_type == "native"):
            yield Problem(key, uri, "leads to this machine", _ASK)


def _elsewhere(client: ClientSettings, issuer: str) -> Iterator[Problem]:
    """No address of the provider is an application's, to be framed, fetched or answered as one of its own."""
    own = urls.origin(issuer)
    for _, key, uri in _addresses(client):
        if urls.origin(uri) == own:
            yield Problem(key, uri, "is an address of the provider itself", "use one of the application")


def _addresses(client: ClientSettings) -> Iterator[tuple[str, str, str]]:
    """Every URL of a client: the setting, the place in it, the URL."""
    for name in _URLS:
        value = getattr(client, name)
        for index, uri in enumerate((value,) if isinstance(value, str) else value):
            yield name, name if isinstance(value, str) else f"{name}[{index}]", uri


def _proven_sector(client: ClientSettings) -> Iterator[Problem]:
    """A sector's `sub` of a person goes to who was shown to belong to it, and nobody else.

    What is answered at a redirect URI reaches that host alone; what is collected in another way would reach
    whoever named the host, and the array of a sector, which everybody may read and name.
    """
    collects = sorted(set(client.flows) & _COLLECTING)
    if client.subject_type == "pairwise" and collects:
        yield Problem(
            "subject_type", client.subject_type,
            f"is not for applications that register themselves with {' and '.join(collects)}", _ASK,
        )  # fmt: skip


def _bounded(name: str, most: int) -> Check:
    """The rule over the length of one setting, whatever it means."""

    def check(client: ClientSettings) -> Iterator[Problem]:
        value = getattr(client, name)
        texts = value if isinstance(value, tuple) else (value,)
        if len(texts) > most:
            yield Problem(name, None, f"has more than {most} entries", _ASK)
        elif any(isinstance(text, str) and len(text) > LONGEST_TEXT for text in texts):
            yield Problem(name, None, f"is longer than {LONGEST_TEXT} characters", _ASK)

    return check


def _shown_to_people(client: ClientSettings) -> Iterator[Problem]:
    """Nothing that looks like something else on a page, such as a name that runs from right to left."""
    if len(client.name) > LONGEST_NAME or not client.name.isprintable():
        yield Problem(
            "name", None, f"has more than {LONGEST_NAME} characters, or some that cannot be shown", _ASK
        )
