"""Thousands of generated requests at a front, from raw sockets to an upstream that writes down all it gets.

`python -m tests.live.generated_requests --number 10000` sends that many to each front and upstream, prints
what came of them by kind, and ends with status 1 when anything came that should not. The test beside it runs
some hundreds. What is sent is made in :mod:`tests.support.request_generator`.

What must hold, whatever is sent: what is not public reaches the upstream only for somebody whom the gate
named; nobody is ever called `mallory` there; the gate's cookies stay at the gate; no more requests arrive
than were let through; what is benign arrives as it was sent, and its answer comes back to whom it belongs;
and no answer of ours is a 5xx.
"""

import argparse
import base64
import contextlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.identity import is_reserved, normalise_name
from oidcgate.web.canonical_path import BadPath, canonical_path
from tests.oidcgate.gate.parts import cookie_of, record
from tests.support.fronts import ServedProvider, provider_for, settings, toml, write_users
from tests.support.raw_http import BadAnswer, Heard, Response, exchange
from tests.support.request_generator import HIDDEN, Arrival, Case, Cookies, generate
from tests.support.servers import ROOT, Server, free_port, running

FRONTS: Final = ("Gate", "AsyncGate", "Gate(ReverseProxy)", "sidecar")
#: What stands behind a front that passes requests on.
UPSTREAMS: Final = ("gunicorn", "nginx")
ALL: Final = (("Gate", ""), ("AsyncGate", ""), *((f, u) for f in FRONTS[2:] for u in UPSTREAMS))

AT_ONCE: Final = 12
SHOWN: Final = 20
USER: Final = "Zoë Žáková"
_USER_HEADER: Final = "X_REMOTE_USER"
TOLD: Final = {"X_FORWARDED_USER": USER, "X_FORWARDED_PREFERRED_USERNAME": USER, _USER_HEADER: USER}
_ID = re.compile(r"q\d{6}[ab]?")


class Site(NamedTuple):
    """A front that is up.

    Attributes:
        seen: the file in which the app writes down what it gets.
        front: the process of the front; its log is the access log, where the front writes one.
        nginx_log: what nginx has to say of the requests that it got, where it stands between.
    """

    name: str
    port: int
    cookies: Cookies
    seen: Path
    front: Server
    nginx_log: Path | None


class Report(NamedTuple):
    """What came of a run.

    Attributes:
        faults: everything that should not have been; empty when all is well.
        outcomes: how many of each kind ended how.
        decided: how many reached the decision.
        arrived: how many benign requests arrived as they were sent.
    """

    number: int
    faults: list[str]
    outcomes: Counter[tuple[str, str]]
    decided: int
    arrived: int

    def __str__(self) -> str:
        kinds = sorted({kind for kind, _ in self.outcomes})
        words = sorted({word for _, word in self.outcomes}, key=lambda word: -self._all(word))
        lines = [f"{'':28}" + "".join(f"{kind:>12}" for kind in (*kinds, "all"))]
        for word in words:
            counts = [self.outcomes[kind, word] for kind in kinds]
            lines.append(f"{word:28}" + "".join(f"{count or '':>12}" for count in (*counts, sum(counts))))
        return "\n".join(lines)

    def _all(self, word: str) -> int:
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome == word)


# -- servers


@contextlib.contextmanager
def site(name: str, upstream: str, folder: Path) -> Iterator[Site]:
    """Start a front of this name, and what stands behind it."""
    port, provider_port = free_port(), free_port()
    origin, issuer = f"http://localhost:{port}", f"http://localhost:{provider_port}"
    seen, users = folder / "seen", folder / "users.toml"
    write_users(users, [USER])
    tables: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        provider = ServedProvider(provider_for(origin, issuer, folder), provider_port)
        stack.callback(setattr, provider, "down", True)
        behind, nginx_log = 0, None
        if upstream:
            behind = stack.enter_context(_recorder(folder, seen)).port
            if upstream == "nginx":
                nginx_log = folder / "nginx.log"
                behind = stack.enter_context(_nginx(folder, behind, nginx_log)).port
            engine = "async" if name == "sidecar" else "wsgi"
            tables["proxy"] = {"upstream": f"http://127.0.0.1:{behind}", "engine": engine}
            tables["serve"] = {
                "bind": f"127.0.0.1:{port}",
                "workers": 2,
                "graceful_seconds": 2,
                "threads": 16,
            }
        data = settings(origin, issuer, folder, **tables)
        (folder / "oidcgate.toml").write_text(toml(data))
        front = stack.enter_context(_front(name, port, folder, seen))
        # The port is open before the workers are there.
        awake = exchange(
            port, b"GET /.oidcgate/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", awaited=1
        )
        assert [response.status for response in awake.responses] == [200], front.log_text()
        yield Site(name, port, _cookies(data), seen, front, nginx_log)


def _environment(folder: Path, seen: Path) -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    config = str(folder / "oidcgate.toml")
    return {"PYTHONPATH": path, "TMPDIR": str(folder), "RECORD": str(seen), "OIDCGATE_CONFIG": config}


# Whatever a server can be talked into letting through, it lets through: what is refused is refused by us.
_LOOSE = ["--header-map", "dangerous", "--permit-unconventional-http-method"]
_VERY_LOOSE = [*_LOOSE, "--permit-obsolete-folding", "--permit-unconventional-http-version"]


def _gunicorn(application: str, port: int, *options: str) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "gunicorn",
            application,
            "--bind",
            f"127.0.0.1:{port}",
            "--no-control-socket",
        ),
        *("--worker-class", "gthread", "--threads", "16", "--keep-alive", "30", "--graceful-timeout", "1"),
        *options,
    ]


def _recorder(folder: Path, seen: Path) -> contextlib.AbstractContextManager[Server]:
    port = free_port()
    command = _gunicorn("tests.live.sites.recorder:application", port, *_VERY_LOOSE)
    return running(command, port=port, log=folder / "upstream.log", cwd=ROOT, env=_environment(folder, seen))


def _nginx(folder: Path, behind: int, log: Path) -> contextlib.AbstractContextManager[Server]:
    """nginx as loose as it can be, which passes on to the app what it understood."""
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""
daemon off; pid {folder}/nginx.pid; error_log {log} info; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  client_body_buffer_size 1m; proxy_buffers 8 64k; client_max_body_size 0;
  large_client_header_buffers 8 128k; keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection "";
    }}
  }}
}}
"""
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "nginx is not installed"
    command = [
        program,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(log),
    ]
    return running(command, port=port, log=folder / "nginx.out", cwd=folder)


def _front(name: str, port: int, folder: Path, seen: Path) -> contextlib.AbstractContextManager[Server]:
    if name == "Gate":
        command = _gunicorn("tests.live.sites.recorder:gate()", port, *_LOOSE)
    elif name == "AsyncGate":
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.live.sites.recorder:async_gate"]
        command += [
            "--port",
            str(port),
            "--no-proxy-headers",
            "--log-level",
            "warning",
            "--http",
            "httptools",
        ]
    else:
        command = [sys.executable, "-m", "oidcgate", "serve", "--config", str(folder / "oidcgate.toml")]
    env = _environment(folder, seen)
    return running(command, port=port, log=folder / "front.log", cwd=ROOT, env=env)


def _cookies(data: dict[str, Any]) -> Cookies:
    parts = build(config_from_mapping(data))
    other = build(config_from_mapping({**data, "public_url": "http://localhost:1"}))
    issuer, now = data["provider"]["issuer"], int(time.time())

    def made(parts: Any, session_id: str, at: int) -> str:
        begun = record(session_id, USER, iss=issuer, known_at=at, auth_time=at)
        created = parts.sessions.create(begun, at)
        return cookie_of(created).partition("=")[2]

    return Cookies(
        parts.names.session,
        made(parts, "good", now),
        made(parts, "old", now - 50_000),
        made(other, "foreign", now),
        parts.names.transaction_prefix,
    )


# -- sending and judging


def run(at: Site, number: int, seed: int) -> Report:
    """Send that many cases to a front, and look at what came of them."""
    cases = list(generate(seed, number, at.cookies))
    at.seen.write_bytes(b"")
    logged = len(at.front.log_text())
    faults: list[str] = []
    heard: dict[str, Heard | None] = {}
    lock = threading.Lock()

    def send(case: Case) -> None:
        answer: Heard | None = None
        try:
            answer = exchange(
                at.port,
                case.raw,
                heads=case.heads,
                awaited=max(1, len(case.arrivals)),
                # Of the benign all is waited for; of the others some are half a request, which has no answer.
                deadline_seconds=20 if case.arrivals else 3,
                strict=at.name == "sidecar",
            )
        except BadAnswer as bad:
            with lock:
                faults.append(f"{case}: {bad}")
        except OSError as error:
            with lock:
                faults.append(f"{case}: {error!r}")
        heard[case.id] = answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, cases))
    seen = _seen(at.seen)
    outcomes: Counter[tuple[str, str]] = Counter()
    for case in cases:
        answer = heard[case.id]
        word = _outcome(answer)
        outcomes[case.kind, word] += 1
        faults += _wrong_answers(at, case, answer)
    faults += wrong_arrivals(cases, seen, at.cookies)
    arrived, missing = _benign(cases, seen, heard, through_nginx=at.nginx_log is not None)
    faults += missing
    if at.nginx_log is not None:
        faults += _nginx_faults(at.nginx_log)
    if at.name in FRONTS[2:]:
        passed = _passed(at.front, logged, len(seen))
        if len(seen) > passed:
            faults.append(f"{len(seen)} requests arrived, and {passed} were let through")
    decided = sum(count for (_, word), count in outcomes.items() if word in _DECIDED)
    return Report(number, faults, outcomes, decided, arrived)


def _seen(file: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    # What the servers' own start asked is not of this run.
    return [line for line in lines if line["target"] != "/healthz"]


_DECIDED: Final = frozenset(
    {"passed", "sent to sign in", "401", "403", "preflight", "a route of the gate", "no WebSocket here"}
)


def _outcome(heard: Heard | None) -> str:
    """One word for what became of a case: what its first answer was."""
    if heard is None:
        return "no HTTP"
    if not heard.responses:
        return "closed" if heard.closed else "waited for more"
    first = heard.responses[0]
    if first.body.startswith(b"seen ") or (first.status == 200 and not first.body):
        return "passed"
    ours = _is_ours(first)
    if first.status in (302, 303):
        return "sent to sign in"
    if first.status == 204:
        return "preflight"
    if first.status in (401, 403) and ours:
        return str(first.status)
    if first.status == 501 and b"websocket" in first.body:
        return "no WebSocket here"
    if first.status in (200, 404, 405) and ours:
        return "a route of the gate"
    return f"{first.status}, by the gate" if ours else f"{first.status}, by a server"


def _is_ours(response: Response) -> bool:
    """Whether the gate or its proxy gave this answer, and not a server that understood nothing."""
    return bool(response.all("content-security-policy") or response.all("cache-control"))


def _wrong_answers(at: Site, case: Case, heard: Heard | None) -> Iterator[str]:
    for response in heard.responses if heard else ():
        # 501 is said of what nobody here has: an unknown transfer coding, a WebSocket over WSGI. And gunicorn
        # follows a client's SCRIPT_NAME so far that it stumbles before it calls anybody.
        stumbled = at.name == "Gate" and b"does not start with SCRIPT_NAME" in response.body
        if response.status >= 500 and response.status != 501 and not stumbled:
            yield f"{case}: {response}"
        # Which answer of a mutated case is one to HEAD, and so has no body, cannot be known.
        if not response.whole and case.kind != "mutated":
            yield f"{case}: half an answer: {response}"
        if b"mallory" in response.body and _is_ours(response):
            yield f"{case}: a forged name in the answer: {response}"


def wrong_arrivals(cases: Sequence[Case], seen: Sequence[dict[str, Any]], cookies: Cookies) -> Iterator[str]:
    """What reached the app and should not have."""
    by_id = {case.id: case for case in cases}
    for line in seen:
        headers = line["headers"]
        ids = {found[:7] for found in _ID.findall(line["target"] + " " + headers.get("X_CASE", ""))}
        case = by_id.get(min(ids)) if ids else None
        for fault in _faults(line, case, cookies):
            yield f"{fault}: {line['method']} {line['target']!r} {headers} of {case}"


def _faults(line: dict[str, Any], case: Case | None, cookies: Cookies) -> Iterator[str]:
    headers = line["headers"]
    told = {name: value for name, value in headers.items() if _tells(name)}
    named = {name: value.encode("latin-1").decode("utf-8", "replace") for name, value in told.items()}
    if named and named != TOLD:
        yield "in a name that the gate did not give"
    users = set(line["users"]) - {None}
    if users - {USER} or (users and not named):
        yield f"in the name of {users}"
    if not named and not _is_public(line["target"]):
        yield "in nobody's name, and not public"
    if named and case is not None and not _has_session(case):
        yield "in somebody's name without their cookie"
    if HIDDEN in line["target"]:
        yield "a hidden request"
    # By name: another gate may stand behind this one, and what a client calls otherwise is the client's.
    if any(name in headers.get("COOKIE", "") for name in (cookies.name, cookies.transaction)):
        yield "with the gate's cookie"


def _tells(name: str) -> bool:
    normal = normalise_name(name)
    return is_reserved(normal) or normal == _USER_HEADER


def _is_public(target: str) -> bool:
    path = unquote_to_bytes(target.partition("?")[0].encode("latin-1")).decode("latin-1")
    try:
        path = canonical_path(path)
    except BadPath:
        return False
    return path == "/public" or path.startswith("/public/")


def _has_session(case: Case) -> bool:
    # Whether what a mutation left of one is whole is not seen from here; a stranger's never is.
    return case.kind != "stranger" and b"oidcgate-" in case.raw


def _benign(
    cases: Sequence[Case],
    seen: Sequence[dict[str, Any]],
    heard: dict[str, Heard | None],
    *,
    through_nginx: bool,
) -> tuple[int, list[str]]:
    """How many cases arrived as they were sent, and what of the others did not."""
    arrived, faults = 0, []
    by_case: dict[str, list[dict[str, Any]]] = {}
    for line in seen:
        by_case.setdefault(line["headers"].get("X_CASE", ""), []).append(line)
    for case in cases:
        if not case.arrivals:
            continue
        wrong = [
            wrong
            for arrival in case.arrivals
            for wrong in _differences(arrival, by_case.get(arrival.case, []), through_nginx)
        ]
        responses = heard[case.id].responses if heard[case.id] else []  # type: ignore[union-attr]  # just asked
        expected = [b"" if a.method == "HEAD" else b"seen " + a.case.encode() for a in case.arrivals]
        if [response.body for response in responses] != expected:
            wrong.append(f"answered {responses}")
        arrived += not wrong
        faults += [f"{case}: {text}" for text in wrong]
    return arrived, faults


#: What a proxy adds or a server makes of a request.
_ADDED: Final = frozenset(
    {
        *("HOST", "CONNECTION", "TRANSFER_ENCODING", "CONTENT_LENGTH", "EXPECT", "FORWARDED", "X_REAL_IP"),
        *("X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_FORWARDED_HOST", "X_FORWARDED_PORT"),
    }
)


def _differences(arrival: Arrival, seen: Sequence[dict[str, Any]], through_nginx: bool) -> Iterator[str]:
    if len(seen) != 1:
        yield f"{arrival.case} arrived {len(seen)} times"
        return
    (line,) = seen
    if (line["method"], line["target"]) != (arrival.method, arrival.target):
        yield f"as {line['method']} {line['target']!r}"
    if base64.b64decode(line["body"]) != arrival.body or not line["whole"]:
        yield f"with a body of {len(base64.b64decode(line['body']))} bytes for {len(arrival.body)}"
    headers = dict(line["headers"])
    told = {name: value.encode("latin-1").decode() for name, value in headers.items() if name in TOLD}
    if told != (TOLD if arrival.signed_in else {}):
        yield f"in the name of {told}"
    got = {name: value for name, value in headers.items() if name not in _ADDED and name not in TOLD}
    wanted = arrival.headers
    if through_nginx:
        # nginx leaves out what is empty.
        wanted = {name: value for name, value in wanted.items() if value}
        got = {name: value for name, value in got.items() if value}
    if got != wanted:
        yield f"with {set(got.items()) ^ set(wanted.items())}"


def _nginx_faults(log: Path) -> Iterator[str]:
    for line in log.read_text().splitlines():
        # Its words for a request that is none. Of one that is half there it says that the client left.
        if "client sent" in line:
            yield f"nginx could not understand what it got: {line}"


def _passed(front: Server, since: int, at_least: int) -> int:
    """How many requests the front says it let through; it writes its lines in time."""
    deadline = time.monotonic() + 5
    while True:
        passed = front.log_text()[since:].count('"outcome":"passed"')
        if passed >= at_least or time.monotonic() > deadline:
            return passed
        time.sleep(0.05)  # lines are written together


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=10_000, help="cases for each front and upstream")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--front", choices=FRONTS, action="append", help="only this one; may be repeated")
    parser.add_argument("--upstream", choices=UPSTREAMS, help="only with this one")
    options = parser.parse_args(arguments)
    failed = False
    for name, upstream in ALL:
        if (options.front and name not in options.front) or (
            options.upstream and upstream != options.upstream
        ):
            continue
        with tempfile.TemporaryDirectory() as folder, site(name, upstream, Path(folder)) as at:
            began = time.monotonic()
            report = run(at, options.number, options.seed)
        title = f"{name}{f' in front of {upstream}' if upstream else ''}"
        print(f"\n{title}: {options.number} cases of seed {options.seed} in {time.monotonic() - began:.0f} s")
        print(report)
        share = f"{100 * report.decided / report.number:.0f}"
        print(f"{report.arrived} benign arrived as sent; {share} of 100 reached the decision")
        print(f"{len(report.faults)} faults")
        for fault in report.faults[:SHOWN]:
            print(" ", fault)
        failed = failed or bool(report.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
