"""What can come of a module."""

from dataclasses import dataclass


class Failure(Exception):
    """The provider did not do what the clause asks for.

    Args:
        what: what was expected and what came.
        clause: where it is written.
    """

    def __init__(self, what: str, clause: str) -> None:
        super().__init__(f"{what} [{clause}]")


class Skipped(Exception):
    """The module does not apply to this provider, for a reason that the certification accepts."""


@dataclass(frozen=True)
class Outcome:
    """How one module ended.

    Attributes:
        result: ``passed``, ``warning``, ``failed`` or ``skipped``. A warning counts as a failure.
        notes: what was wrong, or why it was skipped.
    """

    plan: str
    response_type: str
    module: str
    result: str
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return self.result in ("passed", "skipped")

    def __str__(self) -> str:
        return f"{self.module}: {self.result}" + "".join(f"\n  {note}" for note in self.notes)


def need(holds: bool, what: str, clause: str) -> None:
    """Fail with ``what`` unless it holds."""
    if not holds:
        raise Failure(what, clause)
