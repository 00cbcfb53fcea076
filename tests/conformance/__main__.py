"""`python -m tests.conformance`: the certification's plans, and a table of what came of them.

They judge a provider, or with `--role rp` a relying party. Without `--target` it is ours, started for the
run. A target is a TOML file; `docs/how-to/conformance.md` says what it has. Ends with status 1 when a module
failed or warned, with 2 when the target cannot be read.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.conformance.op.outcome import Outcome
from tests.conformance.roles import ROLES, Judged
from tests.conformance.target_files import BadTarget


def possible(asked: Sequence[str] | None, plans: Collection[str], judged: Judged) -> Sequence[str]:
    """The plans that were asked for, or all of those whose needs the target meets.

    Raises:
        BadTarget: it has not what one needs that was asked for.
    """
    if asked is None:
        return [plan for plan in plans if not judged.lacking(plan)]
    for plan in asked:
        if names := " and ".join(judged.lacking(plan)):
            raise BadTarget(f"the plan {plan} needs {names} in the target")
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
    parser.add_argument("--role", choices=ROLES, default="op", help="op: a provider; rp: a relying party")
    parser.add_argument("--target", type=Path, help="a file that describes who is judged; default: ours")
    known = "; ".join(f"{name}: {', '.join(role.plans)}" for name, role in ROLES.items())
    parser.add_argument("--plans", help=f"{known}; default: all that the target says enough for")
    parser.add_argument("--module", help="only this one, in every plan that has it")
    waits = "; ".join(f"{name}: {role.wait_seconds}" for name, role in ROLES.items())
    parser.add_argument(
        "--wait",
        type=float,
        help="seconds before a code is used again, or after a relying party has refused something; "
        f"default: {waits}",
    )
    options = parser.parse_args(arguments)
    role = ROLES[options.role]
    asked = options.plans.split(",") if options.plans else None
    if not set(asked or ()) <= set(role.plans):
        parser.error(f"--plans: {options.plans} is not of {', '.join(role.plans)}")
    good: list[bool] = []

    def noted(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            good.append(outcome.good)
            yield outcome

    began = time.monotonic()
    try:
        with role.open(options.target, role.wait_seconds if options.wait is None else options.wait) as judged:
            plans = possible(asked, role.plans, judged)
            for line in table(noted(judged.run(plans, options.module))):
                print(line, flush=True)
            print(f"{judged.name} in {time.monotonic() - began:.0f} s")
    except BadTarget as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
