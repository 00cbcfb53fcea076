"""Generates docs/reference.md: every setting, route, command and audit event, read from the code itself.

Nothing here is written twice: a help text, a docstring or a table of routes that is wrong is wrong in
the code. Next door: libraries and trace generate the other tables.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

import click

import oidcgate
import provider
from oidcgate.audit import Event
from oidcgate.cli import main as gate_command
from oidcgate.gate.config import GateConfig
from oidcgate.gate.routes import ROUTES
from oidcgate.settings import describe, parse
from provider.build import build
from provider.cli.main import main as provider_command
from provider.config import ProviderSettings
from tools.bootstrap import ROOT, say

HEAD = """\
# Reference

Generated from the code by `make tables`: settings, routes, commands and audit events of both sides.
"""

SETTINGS = """\
Key in the TOML file, or `{prefix}` and the key in capitals as environment variable, with `__` between tables
(`[]`: an array of tables, in the file only). A secret or text `x` can also be given as `x_file`.
"""

STATUS = """\
Each ends with status 0 when all is well; with 1 when something is wrong, which standard error says; with 2
when it was not called as its help says. `serve` can also end with gunicorn's 3 or 4: a worker cannot start.
"""

CONFIG_OPTION = """\
Another file than `provider.toml`: `oidcgate-provider --config FILE` before the command, or
`OIDCPROVIDER_CONFIG`.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    columns = list(head)
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        cells = (" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def first_line(thing: object) -> str:
    """The promise: what a docstring's first line says."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def settings(cls: type[object], prefix: str) -> Iterator[str]:
    yield SETTINGS.format(prefix=prefix)
    rows = [(f"`{doc.key}`", doc.type, f"`{doc.default}`", doc.help) for doc in describe(cls)]
    yield from table(("key", "type", "default", "meaning"), rows)


def parameters(command: click.Command) -> Iterator[str]:
    """Arguments and options as a person types them."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            name = (parameter.name or "").upper()
            yield f"`{name}`" if parameter.required else f"`[{name}]`"
        else:
            yield f"`{max(parameter.opts, key=len)}`"


def commands(group: click.Command, name: str) -> Iterator[tuple[str, str, str]]:
    """Every command below a group, by the words a person types, with the first line of its help."""
    if isinstance(group, click.Group):
        for word, command in sorted(group.commands.items()):
            yield from commands(command, f"{name} {word}")
    else:
        yield name, " ".join(parameters(group)), (group.help or "").strip().partition("\n")[0]


def event_types(package: ModuleType) -> list[type[Event]]:
    """Every event that a side declares, by name."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith("events"):
            importlib.import_module(module.name)
    found = [cls for cls in Event.__subclasses__() if cls.__module__.startswith(f"{package.__name__}.")]
    return sorted(found, key=lambda cls: cls.name)


def events(package: ModuleType) -> Iterator[str]:
    rows = []
    for cls in event_types(package):
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(cls))
        rows.append((f"`{cls.name}`", fields, first_line(cls)))
    yield from table(("event", "fields", "when"), rows)


def provider_routes() -> Iterator[tuple[str, str, str]]:
    # build() composes and opens nothing, so an example configuration shows the real table of routes.
    example = {
        "issuer": "https://id.example",
        "secret": "0123456789abcdef" * 4,
        "database": "sqlite:///none.db",
    }
    for route in build(parse(ProviderSettings, example)).routes:
        yield (
            f"`{route.path}`",
            " ".join(route.methods),
            first_line(route.endpoint if inspect.ismethod(route.endpoint) else type(route.endpoint)),
        )


def gate_routes() -> Iterator[tuple[str, str, str]]:
    for route in ROUTES:
        yield f"`{route.path}`", " ".join(route.methods), route.help


def document() -> str:
    routes = ("path", "methods", "what it does")
    words = ("command", "takes", "what it does")
    lines = [HEAD, "## Gate: settings (`oidcgate.toml`)\n", *settings(GateConfig, "OIDCGATE_")]
    lines += ["\n## Gate: routes\n", *table(routes, gate_routes())]
    lines += ["\n## Gate: commands\n", STATUS, *table(words, commands(gate_command, "oidcgate"))]
    lines += ["\n## Gate: audit events\n", *events(oidcgate)]
    lines += ["\n## Provider: settings (`provider.toml`)\n", *settings(ProviderSettings, "OIDCPROVIDER_")]
    lines += ["\n## Provider: routes\n\nBelow the issuer.\n", *table(routes, provider_routes())]
    lines += ["\n## Provider: commands\n", STATUS, CONFIG_OPTION]
    lines += [*table(words, commands(provider_command, "oidcgate-provider"))]
    lines += ["\n## Provider: audit events\n", *events(provider)]
    return "\n".join(lines) + "\n"


def main() -> int:
    target = ROOT / "docs" / "reference.md"
    target.write_text(document())
    say(f"wrote {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
