"""`python -m tests.conformance`: the certification's plans at a provider, and a table of what came of them.

Without `--target` the provider is ours, started for the run. A target is a TOML file;
`docs/how-to/conformance.md` says what it has. Ends with status 1 when a module failed or warned, with 2 when
the target cannot be read.
"""

import argparse
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.conformance import targets
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import PLANS, entries, lacking
from tests.conformance.op.runner import run_module
from tests.conformance.op.screen import Windows
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
from tests.support.tls import Authority

#: The tables of a target.
ALWAYS: Mapping[str, type[Any]] = {"basic": Client, "post": Client, "second": Client, "user": User}
#: Those that some plans need (`plans.NEEDS`).
FOR_SOME: Mapping[str, type[Any]] = {
    "receiver": Receiving,
    "registration": Registration,
    "logout": LogoutClient,
    "backchannel": BackchannelClient,
    "frontchannel": FrontchannelClient,
    "session": LogoutClient,
}


class BadTarget(Exception):
    """The file does not say what has to be known of a provider."""


def read_target(path: Path) -> Target:
    """The provider that a file describes.

    Raises:
        BadTarget: it cannot be read, or lacks something; the message says what.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadTarget(f"{path}: {error}") from None
    unknown = sorted(data.keys() - {"issuer", "ca_file", "rotate_command", *ALWAYS, *FOR_SOME})
    if unknown or not isinstance(data.get("issuer"), str):
        raise BadTarget(f"{path}: {f'unknown: {unknown}' if unknown else 'issuer is missing'}")
    made = {name: _made(path, name, data.get(name), kind) for name, kind in ALWAYS.items()}
    made |= {name: _made(path, name, data[name], kind) for name, kind in FOR_SOME.items() if name in data}
    ca_file, command = data.get("ca_file"), data.get("rotate_command", [])
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise BadTarget(f"{path}: rotate_command is {command!r}, not a list of words")
    # Files are beside the one that names them.
    if "receiver" in made:
        files = {name: str(path.parent / getattr(made["receiver"], name)) for name in ("certificate", "key")}
        made["receiver"] = replace(made["receiver"], **files)
    return Target(
        issuer=data["issuer"],
        ca_file=ca_file and str(path.parent / ca_file),
        rotate_command=tuple(command),
        **made,
    )


def _made(path: Path, table: str, values: Any, kind: type[Any]) -> Any:
    wanted = {field.name for field in fields(kind)}
    if not isinstance(values, Mapping) or values.keys() != wanted:
        raise BadTarget(f"{path}: [{table}] has to have {', '.join(sorted(wanted))}, and nothing else")
    return kind(**values)


@contextmanager
def chosen(target: Path | None) -> Iterator[Target]:
    """The provider of the file, or ours, running until the block ends."""
    if target is not None:
        yield read_target(target)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with targets.ours(folder, Authority.create(folder / "authority")) as ours:
            yield ours


def run(target: Target, plans: Sequence[str], module: str | None = None) -> Iterator[Outcome]:
    """The outcomes of the plans, one by one, with one browser as a person would."""
    browser, windows = target.browser(), Windows(target)
    try:
        for plan in plans:
            for entry in entries(plan):
                if module in (None, entry.module):
                    yield run_module(entry, target, browser, windows=windows)
    finally:
        browser.close()
        windows.close()


def possible(asked: Sequence[str] | None, target: Target) -> Sequence[str]:
    """The plans that were asked for, or all that the target has what they need for.

    Raises:
        BadTarget: it has not what one needs that was asked for.
    """
    if asked is None:
        return [plan for plan in PLANS if not lacking(plan, target)]
    for plan in asked:
        tables = " and ".join(f"[{name}]" for name in lacking(plan, target))
        if tables:
            raise BadTarget(f"the plan {plan} needs {tables} in the target")
    return asked


def table(outcomes: Iterator[Outcome]) -> Iterator[str]:
    """The lines of the table, and a count at the end."""
    counted: Counter[str] = Counter()
    for (plan, response_type), group in groupby(outcomes, key=lambda o: (o.plan, o.response_type)):
        yield f"\n{plan}, {response_type}"
        for outcome in group:
            counted[outcome.result] += 1
            yield f"  {outcome.module:<80} {outcome.result}"
            yield from (f"      {note}" for note in outcome.notes)
    words = [f"{counted[name]} {name}" for name in ("passed", "failed", "warning", "skipped")]
    yield f"\n{', '.join(words)}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--target", type=Path, help="a file that describes the provider; default: ours")
    parser.add_argument("--plans", help=f"of {', '.join(PLANS)}; default: all that the target has tables for")
    parser.add_argument("--module", help="only this one, in every plan that has it")
    parser.add_argument(
        "--wait", type=float, default=30, help="seconds before a code is used again; default: 30"
    )
    options = parser.parse_args(arguments)
    asked = options.plans.split(",") if options.plans else None
    if not set(asked or ()) <= set(PLANS):
        parser.error(f"--plans: {options.plans} is not of {', '.join(PLANS)}")
    good: list[bool] = []

    def noted(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            good.append(outcome.good)
            yield outcome

    began = time.monotonic()
    try:
        with chosen(options.target) as target:
            plans = possible(asked, target)
            outcomes = run(replace(target, reuse_wait_seconds=options.wait), plans, options.module)
            for line in table(noted(outcomes)):
                print(line, flush=True)
            print(f"{target.issuer} in {time.monotonic() - began:.0f} s")
    except BadTarget as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
