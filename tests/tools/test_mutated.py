"""What mutmut changes here: marked functions too, under one mark; texts for people not. How long it waits."""

import pytest
from mutmut.mutation import file_mutation
from mutmut.workers import isolation

from tools import mutated

MARKED = """
from oidcgate.settings import cross_check

class Rules:
    least = 3

    @property
    def strict(self):
        return self.least > 2

    @cross_check
    def _enough(self):
        if self.least < 2:
            yield "too little"
"""


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed for one test."""
    for name in ("MutationVisitor", "function_trampoline_arrangement"):
        monkeypatch.setattr(file_mutation, name, getattr(file_mutation, name))
    monkeypatch.setattr(isolation, "register_timeout", isolation.register_timeout)
    mutated.install()


def made(code: str) -> tuple[list[str], str]:
    """The names of the mutants, and the code that holds them."""
    found = file_mutation.mutate_file_contents("rules.py", code)
    return list(found.mutant_names), found.code


def test_marked_functions_are_changed_under_one_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    names, code = made(MARKED)
    assert [name.rpartition("_")[0] for name in names] == [
        *["xǁRulesǁstrict__mutmut"] * 2,
        *["xǁRulesǁ_enough__mutmut"] * 2,
    ]
    space = {"__name__": "rules"}
    exec(code, space)  # noqa: S102
    rules: type = space["Rules"]
    marks = [name for name, value in vars(rules).items() if hasattr(value, "is_cross_check")]
    assert marks == ["_enough"]
    assert isinstance(vars(rules)["strict"], property)
    assert rules().strict is True
    monkeypatch.setenv("MUTANT_UNDER_TEST", f"rules.{names[1]}")
    assert rules().strict is False


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        pytest.param("is no such thing", False, id="words"),
        pytest.param("Bearer ", True, id="a-scheme"),
        pytest.param("access_denied", True, id="a-code"),
        pytest.param("; ", True, id="a-separator"),
        pytest.param("Cache-Control: no-store", True, id="a-header"),
    ],
)
def test_texts_for_people_are_left_alone(text: str, changed: bool) -> None:
    names, _ = made(f'def f():\n    g({text!r}, "")\n')
    # One more for each spelling of the text; one for each argument left out or None, and for the other text.
    assert (len(names) > len(made('def f():\n    g("is a text", "")\n')[0])) is changed


def test_a_text_that_is_left_out_is_noticed() -> None:
    _, code = made('def f():\n    g("is no such thing", x)\n')
    assert "g(None, x)" in code
    assert "g(x)" in code


def test_what_acts_on_a_function_is_still_left_alone() -> None:
    assert made("@app.route\ndef f():\n    return 1\n@one\n@property\ndef g():\n    return 1\n")[0] == []


def test_a_busy_machine_cuts_no_test_off(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, float]] = []
    monkeypatch.setattr(mutated, "register_timeout", lambda *said: told.append(said))
    isolation.register_timeout(4711, 15.0)
    assert told == [(4711, 120.0)]
