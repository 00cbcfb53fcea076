"""`oidcgate explain`: where each thing that an app is told of a person comes from."""

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from oidcgate.cli.opening import config_option
from oidcgate.cli.problems import end_with, told
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, LookAlike
from oidcgate.gate.build import build
from oidcgate.gate.config import GateConfig, load_config
from oidcgate.gate.context import Context, Origin, Outcome, Way, email_is_unverified, merged_claims
from oidcgate.gate.context_settings import EMAIL
from oidcgate.gate.context_sign_in import HookFailed
from oidcgate.gate.forwarding import USER_NAME, Forwarding, NotForwardable
from oidcgate.gate.last_sign_ins import LastSignIn
from oidcgate.gate.parts import GateParts
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.stores import absent_file
from oidcgate.identity import Identity
from oidcgate.storage.records import StoreUnavailable
from oidcgate.strict_json import NotStrictJSON, parse_object

_SHOWN = 60


@click.command()
@config_option
@click.option(
    "--claims",
    "file",
    type=click.File("rb"),
    help='Claims as JSON (- for standard input): {"id_token": {…}, "userinfo": {…}}, or one object.',
)
@click.option("--user", help="A userName: what the directory says, and how their last sign-in went.")
@click.option("--idp", help="The name of the provider that the claims come from; else the first.")
@click.option("--hook", is_flag=True, help="Call the provider's hook as well, as a sign-in would.")
def explain(path: Path, file: Any, user: str | None, idp: str | None, hook: bool) -> None:
    """Print the way from claims over context attributes to what the app is told: source, context, header.

    With --claims for the claims of a file: what a sign-in would make of them, values included. With --user
    for the last sign-in of a person, as long as a session can last: what is kept of it are names and
    origins, and no values. Nobody is asked but the directory, and the hook with --hook.
    """
    if (file is None) == (user is None):
        raise click.UsageError("give --claims or --user")
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        config = load_config(path, os.environ)
        parts = build(config)
    forwarding = config.forward.forwarding(behind_a_proxy=bool(config.proxy.places))
    if user is not None:
        lines = _of_user(config, parts, forwarding, user, int(time.time()))
    else:
        provider = _provider(config, idp)
        lines = _of_claims(config, parts, forwarding, provider, file.read(), hook, int(time.time()))
    for line in lines:
        click.echo(line.rstrip())


def _provider(config: GateConfig, name: str | None) -> ProviderSettings:
    for provider in config.identity_providers:
        if name in (None, provider.name):
            return provider
    names = ", ".join(provider.name for provider in config.identity_providers)
    raise click.UsageError(f"--idp: there is no provider {name!r}; there is {names}")


def _of_claims(
    config: GateConfig,
    parts: GateParts,
    forwarding: Forwarding,
    provider: ProviderSettings,
    text: bytes,
    hook: bool,
    now: int,
) -> Iterator[str]:
    id_token, userinfo = _read(text)
    claims = merged_claims(id_token, userinfo)
    match = config.users.match
    claimed = claims.get(match)
    yield from _titled("provider", f"{provider.name or '(no name)'}, {provider.expected_issuer}")
    if not isinstance(claimed, str) or not claimed:
        yield from _titled("user name", f"the claim {match} is missing: nobody signs in with these claims")
        return
    if match == EMAIL and not provider.insecure_unverified_email and email_is_unverified(claims):
        yield from _titled("user name", f"{claimed!r} is not verified: nobody signs in with these claims")
        return
    user, said = _looked_up(parts, claimed, now)
    yield from _titled("user name", f"{match} = {claimed!r}")
    yield from _titled("directory", said)
    who = Identity(
        user_name=claimed if user is None else user.user_name,
        sub=str(claims.get("sub", "")),
        issuer=provider.expected_issuer,
        idp=provider.name,
        auth_time=_integer(id_token.get("auth_time")),
        acr=_text(id_token.get("acr")),
        amr=tuple(filter(None, map(_text, _list(id_token.get("amr"))))),
        display_name=None if user is None else user.display_name,
        known=user is not None,
    )
    context, amr = parts.contexts.read(claims, id_token, who)
    came = f" (the IdP says {' '.join(who.amr) or 'nothing'})" if amr != who.amr else ""
    who = msgspec.structs.replace(who, amr=amr)
    yield from _titled("signed in by", f"acr {who.acr or '-'}, amr {' '.join(amr) or '-'}{came}")
    if provider.hook is not None:
        yield from _titled("hook", f"{provider.hook}{'' if hook else ', not called; --hook calls it'}")
    if hook:
        try:
            context = parts.contexts.hooked(context, who)
        except HookFailed as failed:
            end_with([f"hook: {failed}; nobody signs in while it fails"])
    kept = parts.contexts.keep(context, amr)
    who = msgspec.structs.replace(who, claims=kept.claims)
    yield ""
    yield from _table(context.ways, _told_as(config, forwarding), context)
    yield ""
    yield from _app(config, forwarding, who)


def _of_user(
    config: GateConfig, parts: GateParts, forwarding: Forwarding, name: str, now: int
) -> Iterator[str]:
    user, said = _looked_up(parts, name, now)
    yield from _titled("directory", said)
    hours = parts.last_sign_ins.lifetime_seconds / 3600
    if config.state.store == "memory":
        end_with(["state.store: 'memory' is the server's own; give the claims of a person with --claims"])
    if (file := absent_file(config.state.store)) is not None:
        end_with([f"state.store: {file} is not there; nobody has signed in yet"])
    try:
        last = parts.last_sign_ins.of(name if user is None else user.user_name, now)
        nobodys = config.users.insecure_unpinned
        pin = None if user is None or nobodys else parts.pins.of(user.user_name, now)
    except StoreUnavailable as error:
        end_with([f"state.store: {error}"])
        return
    if pin is not None:
        yield from _titled("belongs to", f"{pin.sub} of {pin.iss}, since {_time(pin.pinned_at)}")
    if last is None:
        yield from _titled("last sign-in", f"none within {hours:g} hours; --claims explains claims of a file")
        return
    yield from _sign_in(config, forwarding, last)


def _sign_in(config: GateConfig, forwarding: Forwarding, last: LastSignIn) -> Iterator[str]:
    yield from _titled(
        "last sign-in", f"{_time(last.at)}, as {last.claimed_name!r}, {last.sub} of {last.iss}"
    )
    yield from _titled("signed in by", f"acr {last.acr or '-'}, amr {' '.join(last.amr) or '-'}")
    yield ""
    yield from _table(last.ways, _told_as(config, forwarding), None)
    yield ""
    yield "Values are in the person's session alone. What an app is told by now is by this configuration."


def _read(text: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The claims of ID token and userinfo."""
    try:
        document = parse_object(text)
    except NotStrictJSON as error:
        raise click.UsageError(f"--claims: {error}; give one JSON object") from None
    if not document.keys() <= {"id_token", "userinfo"}:
        return document, {}
    parts = document.get("id_token", {}), document.get("userinfo", {})
    if not all(isinstance(part, Mapping) for part in parts):
        raise click.UsageError("--claims: id_token and userinfo have to be objects of claims")
    return parts


def _looked_up(parts: GateParts, name: str, now: int) -> tuple[KnownUser | None, str]:
    """Whom the directory lets in under a name, and what it says in words."""
    kind, colon, place = parts.config.users.source.partition(":")
    source = f"{kind}{colon}{Path(place).name}"
    try:
        user = parts.users.find(name, now=now)
    except LookAlike:
        return None, f"{source} has a user whose name only looks the same, and lets in nobody by this one"
    except AmbiguousUser:
        return None, f"{source} has several users of that name, and lets in none"
    except DirectoryUnavailable as error:
        return None, f"{source} cannot be asked: {error}"
    if user is None:
        strangers = any(there.policy.admits_unknown for there in parts.at_each_host)
        where = "where a rule has allow = 'signed-in' alone" if strangers else "nowhere"
        return None, f"{source} knows nobody of that name, who is let in {where}"
    shown = f"{user.user_name}{f' ({user.display_name})' if user.display_name else ''}"
    return (user, f"{source} knows {shown}") if user.active else (None, f"{source}: {shown} is switched off")


def _told_as(config: GateConfig, forwarding: Forwarding) -> Mapping[str, str]:
    """How an app is told each context attribute, whatever its host: sessions of all keep the same ones."""
    kept = config.kept_attributes
    # Behind a proxy an app has nothing but headers.
    told: dict[str, list[str]] = {name: [] if config.proxy.places else ["claims"] for name in kept}
    told.setdefault("sub", [])
    for header, carried in forwarding.carried:
        # A header of a preset carries what the session keeps, and else nothing.
        if carried in told:
            told[carried].append(header)
    return {name: ", ".join(ways) for name, ways in told.items() if ways}


def _table(ways: Iterable[Way], told_as: Mapping[str, str], context: Context | None) -> Iterator[str]:
    head = ["said by", "attribute", "display name", "type", "context", "told the app as"]
    rows = [head if context is None else [*head, "value"]]
    for way in sorted(ways, key=lambda way: way.outcome is Outcome.ABSENT):
        taken = way.outcome is Outcome.TAKEN
        told = told_as.get(way.target, "-") if taken else _why_not(way)
        row = [str(way.origin), way.source or "-", way.display_name or "-", way.type, way.target or "-", told]
        if context is not None:
            row.append(_shown(context.attributes.get(way.target)) if taken else "-")
        rows.append(row)
    yield from _aligned(rows)


def _why_not(way: Way) -> str:
    if way.outcome is Outcome.WRONG_TYPE:
        return f"left out: {way.found}"
    if way.outcome is Outcome.UNVERIFIED:
        return "left out: not verified"
    if way.outcome is Outcome.UNUSED:
        return "not used"
    return "-" if way.origin is Origin.NOBODY else "taken away"


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _app(config: GateConfig, forwarding: Forwarding, who: Identity) -> Iterator[str]:
    """What the app is told in the end, to the letter."""
    rows = []
    if not config.proxy.places:
        rows += [["REMOTE_USER", who.user_name], ["claims", _json(dict(who.claims))]]
    try:
        sent = dict(forwarding.headers(who))
    except NotForwardable:
        yield f"{USER_NAME} {who.user_name!r} cannot be said in a header, so nobody is let in under it."
        return
    for name in forwarding.names:
        value = sent.get(name.lower().encode())
        rows.append([name, "(not sent)" if value is None else value.decode()])
    yield from _aligned([["told the app", ""], *rows])
    for place in config.proxy.upstreams:
        if place.identity_headers is not None:
            named = ", ".join(place.identity_headers)
            yield f"{place.host or ''}{place.path}: {f'only {named}' if named else 'none of these headers'}"


def _titled(title: str, text: str) -> Iterator[str]:
    yield f"{title:<12}  {text}"


def _json(value: Any) -> str:
    """A value on one line, and nothing in it that would move the cursor or turn the text around."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _shown(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
