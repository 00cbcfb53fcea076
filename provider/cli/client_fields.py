"""Settings of a client on a command line: `KEY=VALUE`, and one line for each when they are shown.

What they mean and what is wrong with them is `provider.client_settings`, read as those of the file are.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any, Final

import click

from oidcgate.strict_json import NotStrictJSON, parse_object
from provider.client_settings import ClientSettings
from provider.instants import shown
from provider.store.clients import Client

#: What has a way of its own.
_ELSEWHERE: Final = {
    "client_id": "an id is given once, with `client add --id`",
    "enabled": "use `client enable` and `client disable`",
    "client_secret": "the provider makes it: use `client secret` or --new-secret",
    "client_secret_file": "the provider makes it: use `client secret` or --new-secret",
    "client_secret_sha256": "the provider makes it: use `client secret` or --new-secret",
}
_KINDS: Final[dict[str, Any]] = {entry.name: entry.type for entry in fields(ClientSettings)}


def said_by(pairs: Iterable[str]) -> dict[str, Any]:
    """What the pairs say, as a table of the file would.

    Values are written as in the file; a plain word needs no quotes, a list of plain words no brackets, and a
    table may be JSON.

    Raises:
        click.ClickException: one is no pair, comes twice, or is set in another way.
    """
    said: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not re.fullmatch(r"\w+", key):
            raise click.ClickException(f"{pair.split('=')[0]!r} is not KEY=VALUE")
        if key in _ELSEWHERE:
            raise click.ClickException(f"{key} is not set here: {_ELSEWHERE[key]}")
        if key in said:
            raise click.ClickException(f"{key} is given twice")
        said[key] = _value(_KINDS.get(key, str), text)
    return said


def lines(client: Client, now: int) -> Iterator[tuple[str, str]]:
    """Every setting of a client with what it is, but for its secret, of which it says how it is kept."""
    yield "client_id", client.client_id
    yield "kept in", origin(client)
    if client.registered_itself:
        yield "registered", _registered(client)
    yield "secret", _secret(client, now)
    for name in _KINDS:
        if name not in _ELSEWHERE or name == "enabled":
            yield name, _shown(getattr(client, name))


def origin(client: Client) -> str:
    """Where a client is written down, and by whom: `registered` ones are in the database too."""
    if client.registered_itself:
        return "registered"
    return "file" if client.read_only else "database"


def _value(kind: Any, text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        table = {}
    value = table.get("value") if table.keys() == {"value"} else None
    if kind is str:
        return value if isinstance(value, str) else text
    if "tuple" in str(kind) and not isinstance(value, list):
        return [part for part in re.split(r"[\s,]+", text) if part]
    if value is None and text.startswith("{"):
        with suppress(NotStrictJSON):
            return parse_object(text.encode())
    return text if value is None else value


def _secret(client: Client, now: int) -> str:
    if client.secret_hash is None:
        return "none"
    text_kept = client.secret is not None or client.sealed_secret is not None
    kept = "kept, to sign with" if text_kept else "kept as a hash"
    if client.old_secret_until is not None and now < client.old_secret_until:
        return f"{kept}; the one before is good for {client.old_secret_until - now} more seconds"
    return kept


def _registered(client: Client) -> str:
    by = "by anybody" if client.initial_token_id is None else f"with {client.initial_token_id}"
    used = "not used yet" if client.used_at is None else f"seen in use at {shown(client.used_at)}"
    return f"{shown(client.created_at)} {by}, {used}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return json.dumps(dict(value)) if value else ""
    return " ".join(value) if isinstance(value, tuple) else str(value if value is not None else "")
