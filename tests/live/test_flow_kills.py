"""SIGKILL at every touch of the database by one request of each flow: it has happened or it has not, what was
told holds, and the same request again ends well. On both databases.
"""

import json
import subprocess
import sys
from collections import Counter
from itertools import groupby
from typing import Any, NamedTuple

import pytest

from tests.live.conftest import BUILD
from tests.live.figures import Figures
from tests.support.postgresql import Postgresql
from tests.support.servers import ROOT

pytestmark = [pytest.mark.live, pytest.mark.slow]

Attempt = dict[str, Any]


class Ending(NamedTuple):
    """What the same request comes to afterwards.

    Attributes:
        nothing, done: When nothing of the first one had happened, and when all of it had.
        left: How many of the tokens that anybody was told still work then: when nothing had happened, when
            the answer was lost, when it arrived.
    """

    nothing: str
    done: str
    left: tuple[int, int, int] = (0, 0, 0)


ONCE_MORE = "400 page-error"
USED = "400 invalid_grant"
ENDINGS = {
    "code": Ending("answered", ONCE_MORE),
    "hybrid": Ending("answered", ONCE_MORE, (0, 0, 1)),
    "implicit": Ending("answered", ONCE_MORE, (0, 0, 1)),
    # A second use stops everything, also what came with the code.
    "redeem-code": Ending("200", USED),
    "redeem-hybrid": Ending("200", USED, (1, 0, 0)),
    # The access token before stays good, and so does the pair that is given twice.
    "refresh": Ending("200", "200", (1, 1, 3)),
    "client-credentials": Ending("200", "200", (0, 0, 1)),
    "password": Ending("200", "200", (0, 0, 2)),
    "device-start": Ending("200", "200"),
    "device-allow": Ending("200 page-device-done", ONCE_MORE),
    "device-tokens": Ending("200", USED),
    "revoke-refresh-token": Ending("200", "200"),
    "revoke-access-token": Ending("200", "200", (1, 1, 1)),
    "consent": Ending("303", "303"),
    "withdraw-consent": Ending("withdrawn", "nothing to withdraw"),
    "enrol": Ending("303", "303"),
    "otp": Ending("303", "303"),
}


#: The database, and at every which touch of it.
SIZES = [
    pytest.param(("sqlite", 3), id="sqlite-some"),
    pytest.param(("sqlite", 1), id="sqlite", marks=pytest.mark.heavy),
    pytest.param(("postgresql", 1), id="postgresql", marks=pytest.mark.heavy),
]


@pytest.fixture(scope="module", params=SIZES)
def attempts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Attempt]]:
    """Every attempt of each flow, in the order of the touch that killed it; the last was not killed."""
    kind, step = request.param
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.live.killed_flows", str(folder), str(step)]
    if kind == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql_server")
        command.append(str(server.folder))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    made = {flow: list(some) for flow, some in groupby(lines, key=lambda line: line["flow"])}
    if step == 1:
        figures = Figures(BUILD / "figures.jsonl", kind)
        for flow, some in made.items():
            figures.note(
                f"kills: {flow}",
                kills=len(some) - 1,
                outcomes=Counter(outcome(one, some[-1]) for one in some),
            )
    return made


def outcome(attempt: Attempt, complete: Attempt) -> str:
    if attempt is complete:
        return "answered"
    return "answer lost" if attempt["shape"] == complete["shape"] else "nothing happened"


@pytest.mark.row("E-01", "E-02", "S-13", "S-50", "P-04", "P-06", "P-11")
@pytest.mark.parametrize("flow", ENDINGS)
def test_a_request_has_happened_or_has_not(attempts: dict[str, list[Attempt]], flow: str) -> None:
    *killed, lost, answered = attempts[flow]
    ending = ENDINGS[flow]
    assert len(killed) >= 2
    assert answered["touches"] >= 4, "the hook saw fewer statements than such a request has"
    for attempt in (*killed, lost, answered):
        at = f"touch {attempt['killed_at']}"
        assert attempt["broken"] == attempt["broken_after"] == [], at
        good, given = attempt["again_works"]
        assert good == given, at
    for attempt in killed:
        at = f"touch {attempt['killed_at']}"
        assert attempt["shape"] == killed[0]["shape"], at
        assert attempt["again"] == ending.nothing, at
        assert attempt["told_works_after"] == ending.left[0], at
    assert lost["shape"] == answered["shape"] != killed[0]["shape"]
    assert (lost["again"], lost["told_works_after"]) == (ending.done, ending.left[1])
    good, given = answered["answer_works"]
    assert good == given
    assert answered["again"] == ending.done
    assert answered["told_works_after"] + answered["answer_works_after"] == ending.left[2]


def test_every_flow_is_here(attempts: dict[str, list[Attempt]]) -> None:
    assert attempts.keys() == ENDINGS.keys()
