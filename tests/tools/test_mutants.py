"""A survivor is settled only by an argument that speaks of it; in general, only names of encodings are."""

import pytest

from tools.bootstrap import ROOT
from tools.mutants import Argument, Survivor, arguments, score

GENERAL = arguments(ROOT / "docs" / "mutants.toml")


def survivor(removed: str, added: str, mutant: str = "oidcgate.protocol.pkce.x_verify__mutmut_4") -> Survivor:
    head = "--- oidcgate/protocol/pkce.py\n+++ oidcgate/protocol/pkce.py\n@@ -1,3 +1,3 @@"
    return Survivor(mutant, f"{head}\n context\n-{removed}\n+{added}\n context")


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        pytest.param("oidcgate.jose.jwt.x_sign__mutmut_4", "oidcgate.jose.jwt.sign", id="function"),
        pytest.param("provider.a.xǁPolicyǁrule_for__mutmut_12", "provider.a.Policy.rule_for", id="method"),
    ],
)
def test_the_function_is_named_without_decoration(mutant: str, function: str) -> None:
    assert survivor("a", "b", mutant).function == function


def test_the_change_holds_only_the_changed_lines() -> None:
    assert survivor("    if a:", "    if not a:").change == "-    if a:\n+    if not a:"


def test_names_of_encodings_are_argued() -> None:
    changed = survivor('    a.encode("utf-8")', '    a.encode("UTF-8")')
    assert any(argument.covers(changed) for argument in GENERAL)


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        pytest.param('    claims.get("iss")', '    claims.get("XXissXX")', id="a-claim-name"),
        pytest.param('    claims.get("iss")', '    claims.get("ISS")', id="a-claim-name-in-capitals"),
        pytest.param("    if a == b:", "    if a != b:", id="a-comparison"),
        pytest.param('    " ".join(a)', '    "XX XX".join(a)', id="a-separator"),
        pytest.param('    a.strip(" \\t")', '    a.strip("XX \\tXX")', id="white-space"),
        pytest.param('    a, b = "A-", "B-"', '    a, b = "a-", "B-"', id="one-of-two-names"),
        pytest.param('    "a" in b or "c"', '    "a" in b or "C"', id="a-name-after-a-name"),
        pytest.param('    raise A("no such thing")', "    raise A(None)", id="a-text-left-out"),
    ],
)
def test_behaviour_is_not_argued_in_general(removed: str, added: str) -> None:
    assert not any(argument.covers(survivor(removed, added)) for argument in GENERAL)


def test_an_argument_speaks_of_its_functions_only() -> None:
    argument = Argument("oidcgate.protocol.pkce.*", r"^\+    if a <= b:$", "equal values cannot occur here")

    assert argument.covers(survivor("    if a < b:", "    if a <= b:"))
    assert not argument.covers(
        survivor("    if a < b:", "    if a <= b:", "oidcgate.web.cookies.x_f__mutmut_1")
    )
    assert not argument.covers(survivor("    if a < b:", "    if a > b:"))


def test_the_score_counts_killed_argued_and_living() -> None:
    names = [f"oidcgate.protocol.pkce.x_f__mutmut_{number}" for number in range(1, 5)]
    results = ["killed", "timeout", "survived", "no tests"]

    lines = list(score(dict(zip(names, results, strict=True)), [names[2]]))

    assert lines[1].split() == ["oidcgate.protocol.pkce", "4", "2", "1", "1", "50.0%"]
    assert lines[-1].split() == ["all", "4", "2", "1", "1", "50.0%"]
