"""mutmut with a few changes to how it works; `tools.mutants` starts it in place of `python -m mutmut`.

What stands behind `@property` and `@cross_check` is changed too. By itself mutmut leaves decorated functions
alone: a decorator may act when it is given a function, and each mutant would be given to it. These two only
mark one; so they mark what chooses between the mutants, and no mutant.

Texts for people are left as they are: callers and tests compare classes, codes and reasons, so nearly every
such mutant would live, after all tests that reach it have run.

An endless loop is ended by the processor time that it takes, which mutmut bounds too. By the clock on the
wall it waits longer than mutmut by itself: on a busy machine tests that pass can take a minute, and what is
cut off counts as a mutant that a test noticed.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import libcst as cst
from mutmut.__main__ import cli
from mutmut.mutation import file_mutation
from mutmut.mutation.file_mutation import Mutation, MutationVisitor, function_trampoline_arrangement
from mutmut.workers import isolation
from mutmut.workers.timeout import register_timeout

MARKS: Final = frozenset({"property", "cross_check"})
#: Two words or more.
_TEXT: Final = re.compile("[a-z] [a-z]")
#: How many times longer than mutmut a mutant is waited for. Not for ever: mutmut ends a process by its id,
#: which may be another's after a while.
PATIENCE: Final = 8


def is_marked(node: cst.CSTNode) -> bool:
    """Whether it is a function under one decorator, which is one of `MARKS`."""
    if not isinstance(node, cst.FunctionDef) or len(node.decorators) != 1:
        return False
    decorator = node.decorators[0].decorator
    return isinstance(decorator, cst.Name) and decorator.value in MARKS


def is_text(node: cst.CSTNode) -> bool:
    """Whether it is a text for people."""
    return isinstance(node, cst.SimpleString) and _TEXT.search(node.value) is not None


class Visitor(MutationVisitor):
    """Goes into marked functions, as into those without a decorator, and past texts."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        return is_text(node) or (not is_marked(node) and super()._skip_node_and_children(node))


def arrangement(function: cst.FunctionDef, mutants: Iterable[Mutation], class_name: str | None) -> Any:
    """What stands in the place of a function: the one that chooses, which keeps the mark, and the mutants."""
    if not is_marked(function):
        return function_trampoline_arrangement(function, mutants, class_name)
    bare = function.with_changes(decorators=())
    before, (first, *chosen), after, names = function_trampoline_arrangement(bare, mutants, class_name)
    chooser = cst.ensure_type(first, cst.FunctionDef)
    marked = chooser.with_changes(decorators=(*function.decorators, *chooser.decorators))
    return before, [marked, *chosen], after, names


def patient(pid: int, timeout_s: float) -> None:
    """End a mutant's tests so many seconds from now, times `PATIENCE`."""
    register_timeout(pid, timeout_s * PATIENCE)


def install() -> None:
    """Let mutmut use all of it, in this process and those that it forks."""
    for name, replacement in (("MutationVisitor", Visitor), ("function_trampoline_arrangement", arrangement)):
        setattr(file_mutation, name, replacement)
    setattr(isolation, "register_timeout", patient)  # noqa: B010  # it is none of its public names


if __name__ == "__main__":
    install()
    cli()
