"""Generated requests at every front, some hundreds; and whether the judge of the run sees what it has to see.

At full size: `python -m tests.live.generated_requests --number 10000`.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.live.generated_requests import ALL, TOLD, USER, run, site, wrong_arrivals
from tests.support.request_generator import MIX, Case, Cookies, generate

NUMBER = 600
SEED = 20_261_120


@pytest.mark.live
@pytest.mark.row("T-02", "G-18", "G-20", "G-21")
@pytest.mark.parametrize(
    ("name", "upstream"), ALL, ids=[f"{name} {upstream}".strip() for name, upstream in ALL]
)
def test_nothing_that_was_not_judged_arrives_and_nobody_under_anothers_name(
    name: str, upstream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with site(name, upstream, tmp_path) as at:
        report = run(at, NUMBER, SEED)
    with capsys.disabled():
        print(f"\n{name} {upstream}: {NUMBER} requests of seed {SEED}\n{report}")
    assert report.faults == []
    assert report.arrived >= NUMBER / 5, "a fifth is benign, and arrives"
    assert report.decided >= NUMBER / 3, "a third reaches the decision"


COOKIES = Cookies("oidcgate-x", "good" * 30, "old", "foreign", "oidcgate-tx-x-")


def test_the_same_seed_makes_the_same_requests_of_every_kind() -> None:
    cases = list(generate(7, 400, COOKIES))
    assert list(generate(7, 400, COOKIES)) == cases
    assert list(generate(8, 400, COOKIES)) != cases
    assert len({case.kind for case in cases}) == len(MIX)
    assert len({case.id for case in cases}) == 400
    assert sum(bool(case.arrivals) for case in cases) >= 400 / 5


def seen(target: str = "/r/q000001", users: Any = (), **headers: str) -> dict[str, Any]:
    return {"method": "GET", "target": target, "headers": headers, "users": list(users)}


GOOD = Case("q000001", "spoofed", b"GET /r/q000001 HTTP/1.1\r\nCookie: oidcgate-x=good\r\n\r\n")
STRANGER = Case("q000001", "stranger", GOOD.raw)
NAMED = {name: value.encode().decode("latin-1") for name, value in TOLD.items()}


@pytest.mark.parametrize(
    ("case", "line", "fault"),
    [
        pytest.param(GOOD, seen(**NAMED), None, id="as whom they are"),
        pytest.param(GOOD, seen(users=[USER, USER], **NAMED), None, id="by an object too"),
        pytest.param(GOOD, seen("/public/x"), None, id="public"),
        pytest.param(GOOD, seen(), "nobody's name", id="nobody"),
        pytest.param(GOOD, seen("/public/../x"), "nobody's name", id="not public after all"),
        pytest.param(GOOD, seen("/public/%2e%2e/x"), "nobody's name", id="not public once decoded"),
        pytest.param(GOOD, seen(**{**NAMED, "X_REMOTE_USER": "mallory"}), "did not give", id="another"),
        pytest.param(GOOD, seen(**NAMED, REMOTE_USER="mallory"), "did not give", id="one more"),
        pytest.param(GOOD, seen("/public/x", **{"X.FORWARDED.USER": "a"}), "did not give", id="spelling"),
        pytest.param(GOOD, seen("/public/x", X_HTTP_METHOD_OVERRIDE="PUT"), "did not give", id="override"),
        pytest.param(GOOD, seen(users=["mallory"], **NAMED), "in the name of", id="another object"),
        pytest.param(GOOD, seen("/public/x", [USER]), "in the name of", id="object alone"),
        pytest.param(STRANGER, seen(**NAMED), "without their cookie", id="stranger"),
        pytest.param(GOOD, seen("/private/smuggled/q000001", **NAMED), "hidden", id="smuggled"),
        pytest.param(GOOD, seen(**NAMED, COOKIE="a=1; oidcgate-x=y"), "gate's cookie", id="cookie"),
        pytest.param(GOOD, seen(**NAMED, COOKIE="oidcgate-tx-x-1=y"), "gate's cookie", id="transaction"),
        pytest.param(GOOD, seen(**NAMED, COOKIE="oidcgate-$=good"), None, id="another name"),
    ],
)
def test_the_judge_of_a_run_sees(case: Case, line: dict[str, Any], fault: str | None) -> None:
    found = list(wrong_arrivals([case], [line], COOKIES))
    if fault is None:
        assert found == []
    else:
        assert any(fault in text for text in found), found
