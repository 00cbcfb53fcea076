"""One load: wrk on one endpoint, or on the two of a code flow; every answer is looked at."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sidecar.load import Figures, NotMeasured, cpu_seconds

SCRIPT = Path(__file__).with_name("flows.lua")
#: As many threads as connections: each thread redeems the code that it was given itself.
CONNECTIONS = 8
_WARM_SECONDS = 3


@dataclass(frozen=True)
class Contender:
    """A provider, and what is asked of it.

    Attributes:
        group: the process group whose CPU time is its cost.
        token_path: where tokens are asked for.
        authorization: the client's header.
        form: what is posted there; for a code flow all but the code, which comes last.
        asking: what asks for a code, path and query; "" where a client asks for itself.
        cookie: the Cookie header of a browser with a session.
    """

    name: str
    origin: str
    group: int
    token_path: str
    authorization: str
    form: str
    asking: str = ""
    cookie: str = ""


def measure(contender: Contender, seconds: float, folder: Path) -> Figures:
    """Load it for some seconds. A request of the figures is a token, or a whole flow of two requests.

    Raises:
        NotMeasured: an answer was not the right one, or there was none.
    """
    file = folder / re.sub("[^a-z0-9]+", "-", contender.name.lower())
    asked = (contender.asking, contender.cookie) if contender.asking else ()
    lines: Sequence[str] = (contender.token_path, contender.authorization, contender.form, *asked)
    file.write_text("".join(f"{line}\n" for line in lines))
    command = [
        "wrk", f"-t{CONNECTIONS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s",
        "-s", str(SCRIPT), contender.origin, "--", str(file),
    ]  # fmt: skip
    cpu = cpu_seconds((contender.group,))
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own command)
    cpu = cpu_seconds((contender.group,)) - cpu
    found = re.search(r"^FIGURES (\{.*\})$", answer.stdout, re.MULTILINE)
    if found is None:
        raise NotMeasured(f"{contender.name}: wrk said {answer.stdout}{answer.stderr}")
    seen: dict[str, int] = json.loads(found[1])
    if not seen["done"] or seen["wrong"]:
        raise NotMeasured(f"{contender.name}: not every answer was the right one: {seen}")
    return Figures(
        per_second=seen["done"] * 1e6 / seen["microseconds"],
        p50=seen["p50"] / 1000,
        p99=seen["p99"] / 1000,
        cpu=cpu * 1e6 / seen["done"],
        requests=seen["done"],
        errors=seen["broken"],
    )


def warm(contender: Contender, folder: Path) -> None:
    """Load it until caches are filled and code is compiled.

    Raises:
        NotMeasured: as `measure`.
    """
    measure(contender, _WARM_SECONDS, folder)
