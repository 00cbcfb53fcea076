"""Files that describe a provider or a relying party; `docs/how-to/conformance.md` says what they have."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tests.conformance.op.target import (
    BackchannelClient,
    Client,
    FrontchannelClient,
    LogoutClient,
    Receiving,
    Registration,
    Target,
    User,
)
from tests.conformance.rp import plans
from tests.conformance.rp.target import RelyingParty

#: The tables of a provider.
ALWAYS: Mapping[str, type[Any]] = {"basic": Client, "post": Client, "second": Client, "user": User}
#: Those that some plans need (`op.plans.NEEDS`).
FOR_SOME: Mapping[str, type[Any]] = {
    "receiver": Receiving,
    "registration": Registration,
    "logout": LogoutClient,
    "backchannel": BackchannelClient,
    "frontchannel": FrontchannelClient,
    "session": LogoutClient,
}


class BadTarget(Exception):
    """The file does not say what has to be known of a provider or of a relying party."""


@dataclass(frozen=True)
class DescribedParty:
    """A relying party, and where it reaches the providers that the modules play."""

    rp: RelyingParty
    provider: Receiving


def read_target(path: Path) -> Target:
    """The provider that a file describes.

    Raises:
        BadTarget: it cannot be read, or lacks something; the message says what.
    """
    data = _read(path, {"issuer", "ca_file", "rotate_command", *ALWAYS, *FOR_SOME})
    if not isinstance(data.get("issuer"), str):
        raise BadTarget(f"{path}: issuer is missing")
    made = {name: _made(path, name, data.get(name), kind) for name, kind in ALWAYS.items()}
    made |= {name: _made(path, name, data[name], kind) for name, kind in FOR_SOME.items() if name in data}
    ca_file, command = data.get("ca_file"), data.get("rotate_command", [])
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise BadTarget(f"{path}: rotate_command is {command!r}, not a list of words")
    if "receiver" in made:
        made["receiver"] = _beside(path, made["receiver"])
    return Target(
        issuer=data["issuer"],
        ca_file=ca_file and str(path.parent / ca_file),
        rotate_command=tuple(command),
        **made,
    )


def read_relying_party(path: Path) -> DescribedParty:
    """The relying party that a file describes. An address that it does not have is "".

    Raises:
        BadTarget: it cannot be read, or lacks something; the message says what.
    """
    data = _read(path, {"ca_file", "provider", "relying_party"})
    values = data.get("relying_party")
    # Nobody sets a clock by a file.
    wanted = {field.name for field in fields(RelyingParty)} - {"ca_file", "set_ahead"}
    optional = {name for names in plans.NEEDS.values() for name in names}
    if not isinstance(values, Mapping) or not wanted - optional <= values.keys() <= wanted:
        always, more = (", ".join(sorted(names)) for names in (wanted - optional, optional))
        raise BadTarget(f"{path}: [relying_party] has to have {always}, and may have {more}")
    ca_file = data.get("ca_file")
    if not isinstance(ca_file, str):
        raise BadTarget(f"{path}: ca_file is missing, the authority of the relying party's certificate")
    rp = RelyingParty(**{name: values.get(name, "") for name in wanted}, ca_file=str(path.parent / ca_file))
    return DescribedParty(rp, _beside(path, _made(path, "provider", data.get("provider"), Receiving)))


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadTarget(f"{path}: {error}") from None
    if unknown := sorted(data.keys() - known):
        raise BadTarget(f"{path}: unknown: {unknown}")
    return data


def _made(path: Path, table: str, values: Any, kind: type[Any]) -> Any:
    wanted = {field.name for field in fields(kind)}
    if not isinstance(values, Mapping) or values.keys() != wanted:
        raise BadTarget(f"{path}: [{table}] has to have {', '.join(sorted(wanted))}, and nothing else")
    return kind(**values)


def _beside(path: Path, receiving: Receiving) -> Receiving:
    """Files are beside the one that names them."""
    files = {name: str(path.parent / getattr(receiving, name)) for name in ("certificate", "key")}
    return replace(receiving, **files)
