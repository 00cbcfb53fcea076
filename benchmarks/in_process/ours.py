"""The gate, as an app's developer makes it: sealed sessions, users in a file, state in SQLite."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.in_process.measure import Cost, cost, over, request, serve
from oidcgate import Gate
from oidcgate.gate.session import SessionRecord
from oidcgate.web.sealing import new_secret

SESSIONS = 10_000


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The bare twin: as little as an app can do, so that what is measured is the gate."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@contextmanager
def gate_with_users(number: int) -> Iterator[Gate]:
    """A gate whose directory knows `number` users."""
    with tempfile.TemporaryDirectory() as folder:
        users = Path(folder, "users.toml")
        users.write_text("".join(f'[[users]]\nuserName = "User {i}"\n' for i in range(number)))
        yield Gate(
            app,
            issuer="https://id.example.com",
            client_id="app",
            client_secret="client-secret",  # noqa: S106 (only for this benchmark)
            public_url="https://app.example.com",
            secret=new_secret(),
            users=f"file:{users}",
            state=f"sqlite:///{folder}/state.db",
        )


def sign_in(gate: Gate, number: int, now: int) -> str:
    record = SessionRecord(
        session_id=f"{number:022}",
        iss="https://id.example.com",
        sub=f"3f2c1a5e-0000-4000-8000-{number:012}",
        user_name=f"User {number}",
        sid=f"{number:022}",
        idp="Example",
        auth_time=now,
        acr="knowledge",
        amr=("pwd",),
        claims={"preferred_username": f"user {number}", "name": "A User", "email": "user@example.com"},
        known_at=now,
    )
    return gate.parts.sessions.create(record, now)[0].partition(";")[0]


def measured(rounds: int) -> dict[str, Cost]:
    """Cost over the bare app, by case."""

    def fresh() -> list[str]:
        # Sealed anew, so that the gate has seen none of these bytes.
        now = int(time.time())
        return [sign_in(gate, number, now) for number in range(SESSIONS)]

    with gate_with_users(SESSIONS) as gate:
        kept = fresh()
        bare = cost(app, lambda: kept, rounds=rounds)
        first_seen = cost(gate, fresh, rounds=rounds)
        for cookie in kept:
            serve(gate, request(cookie))
        remembered = cost(gate, lambda: kept, rounds=rounds)
        alone = cost(gate, lambda: kept[:1] * SESSIONS, rounds=rounds)
    return {
        f"oidcgate, sealed session first seen, {SESSIONS:,} sessions": over(first_seen, bare),
        f"oidcgate, remembered, {SESSIONS:,} sessions": over(remembered, bare),
        "oidcgate, remembered, 1 session": over(alone, bare),
    }
