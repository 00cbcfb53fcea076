"""Mutation testing of the pure modules with mutmut: the score by module, and every survivor.

A survivor is a change of the code that no test noticed. It is killed by a test, or argued in
docs/mutants.toml; what is neither fails the run. Which modules: [tool.mutmut] in pyproject.toml.
Next door: mutated says what is changed of them; verify runs the tests themselves.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from tools.bootstrap import ROOT, say

KILLED = {"killed", "timeout", "caught by type check"}


@dataclass(frozen=True)
class Survivor:
    """A mutant that lives: where, and the lines it changed."""

    mutant: str
    diff: str

    @property
    def function(self) -> str:
        """The dotted name of the changed function, without mutmut's own decoration."""
        module, _, name = self.mutant.rpartition("__mutmut_")[0].rpartition(".")
        return f"{module}.{re.sub(r'^x_|^xǁ', '', name).replace('ǁ', '.')}"

    @property
    def change(self) -> str:
        """The removed and added lines, without the lines around them."""
        lines = self.diff.splitlines()
        return "\n".join(line for line in lines if re.match(r"[+-](?!\+\+|--)", line))


@dataclass(frozen=True)
class Argument:
    """Why some mutants may live: a pattern of functions, one of their change, and the reason."""

    function: str
    change: str
    because: str

    def covers(self, survivor: Survivor) -> bool:
        changed = re.search(self.change, survivor.change, re.MULTILINE)
        return changed is not None and fnmatchcase(survivor.function, self.function)


def arguments(path: Path) -> list[Argument]:
    return [Argument(**entry) for entry in tomllib.loads(path.read_text())["argued"]]


def outcomes(folder: Path) -> dict[str, str]:
    """mutant → what mutmut says of it; left out are those that a run over a selection did not try."""
    found: dict[str, str] = {}
    for meta in sorted(folder.rglob("*.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        found.update({name: status_by_exit_code[code] for name, code in codes.items() if code is not None})
    return found


def survivors(names: Iterable[str]) -> Iterator[Survivor]:
    for name in names:
        yield Survivor(name, get_diff_for_mutant(name, path=find_mutant(name).path))


def module_of(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0].rpartition(".")[0]


def score(results: Mapping[str, str], argued: Iterable[str]) -> Iterator[str]:
    """The table by module; `argued` mutants count as settled, not as killed."""
    total, killed = Counter(map(module_of, results)), Counter[str]()
    killed.update(module_of(name) for name, outcome in results.items() if outcome in KILLED)
    settled = Counter(map(module_of, argued))
    yield f"{'module':44} {'mutants':>8} {'killed':>7} {'argued':>7} {'alive':>6} {'killed %':>9}"
    for name in (*sorted(total), "all"):
        counted = [sum(c.values()) if name == "all" else c[name] for c in (total, killed, settled)]
        alive = counted[0] - counted[1] - counted[2]
        share = 100 * counted[1] / counted[0] if counted[0] else 100.0
        yield f"{name:44} {counted[0]:8} {counted[1]:7} {counted[2]:7} {alive:6} {share:8.1f}%"


def main(words: Sequence[str]) -> int:
    folder = ROOT / "mutants"
    shutil.rmtree(folder, ignore_errors=True)
    say("mutating the pure modules (this takes a while; mutmut shows its progress)")
    command = [sys.executable, "-m", "tools.mutated", "run", *words]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        say("mutmut could not run: its own words stand above (do the tests pass without mutants?)")
        return 1
    results = outcomes(folder)
    listed = arguments(ROOT / "docs" / "mutants.toml")
    living = list(survivors(name for name, outcome in results.items() if outcome not in KILLED))
    argued = {survivor for survivor in living if any(argument.covers(survivor) for argument in listed)}
    for survivor in living:
        if survivor not in argued:
            print(f"\n{survivor.mutant}\n{survivor.change}")
    print()
    print("\n".join(score(results, (survivor.mutant for survivor in argued))))
    return 1 if len(argued) < len(living) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
