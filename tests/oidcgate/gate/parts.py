"""The parts of the gate's tests: a clock to set, stores and directories that can fail, an app that counts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.gate.session import SessionRecord
from oidcgate.gate.wsgi import Gate
from oidcgate.settings import Problem
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import Record, StoreFailure, StoreUnavailable

NOW = 1_800_000_000
PUBLIC_URL = "https://app.example.com"
ISSUER = "https://id.example.com"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return float(self.now)


class Store:
    """A store in memory that counts its calls and goes away when told to; `generation` is not a call."""

    def __init__(self) -> None:
        self.inner = MemoryStore(clock=lambda: 0)
        self.calls: list[str] = []
        self.found = 0
        self.down = False
        self.blind = False  # only the generation is still to be had

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.down or self.blind:
            raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int, tags: Sequence[str] = ()) -> None:
        self._call("put")
        self.inner.put(kind, key, value, expires_at=expires_at, tags=tags)

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        self._call("get")
        return self.inner.get(kind, key, now=now)

    def take(self, kind: str, key: str, *, now: int) -> Record | None:
        self._call("take")
        return self.inner.take(kind, key, now=now)

    def swap(
        self,
        kind: str,
        key: str,
        *,
        expected_version: int | None,
        value: bytes,
        expires_at: int,
        tags: Sequence[str] = (),
        now: int,
    ) -> bool:
        self._call("swap")
        return self.inner.swap(
            kind,
            key,
            expected_version=expected_version,
            value=value,
            expires_at=expires_at,
            tags=tags,
            now=now,
        )

    def delete(self, kind: str, key: str) -> None:
        self._call("delete")
        self.inner.delete(kind, key)

    def delete_tagged(self, kind: str, tag: str) -> int:
        self._call("delete_tagged")
        return self.inner.delete_tagged(kind, tag)

    def find(
        self, kind: str, tag: str, *, now: int, limit: int = 1000, after: str = ""
    ) -> list[tuple[str, Record]]:
        self._call("find")
        found = self.inner.find(kind, tag, now=now, limit=limit, after=after)
        self.found += len(found)
        return found

    def sweep(self, now: int, limit: int) -> int:
        self._call("sweep")
        return self.inner.sweep(now, limit)

    def generation(self) -> int:
        if self.down:
            raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")
        return self.inner.generation()


class Directory:
    """Known users in a dictionary, by lower-case name."""

    def __init__(self, *users: KnownUser) -> None:
        self.users = {user.user_name.lower(): user for user in users}
        self.number = 0
        self.asked: list[str] = []
        self.failure: Exception | None = None

    def change(self, *users: KnownUser) -> None:
        self.users = {user.user_name.lower(): user for user in users}
        self.number += 1

    def find(self, name: str, *, now: int) -> KnownUser | None:
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        return self.users.get(name.lower())

    def generation(self) -> int:
        if isinstance(self.failure, DirectoryUnavailable):
            raise self.failure
        return self.number

    def problems(self) -> list[Problem]:
        return []


def record(session_id: str = "s1", user_name: str = "Alice", **more: Any) -> SessionRecord:
    """A session as a login makes it."""
    fields = {"iss": ISSUER, "sub": f"sub-{user_name}", "idp": "Example", "auth_time": NOW, "known_at": NOW}
    return SessionRecord(session_id=session_id, user_name=user_name, **{**fields, **more})


def cookie_of(set_cookies: list[str]) -> str:
    """The one cookie as a browser sends it back."""
    (set_cookie,) = set_cookies
    return set_cookie.partition(";")[0]


class App:
    """Counts its calls, keeps the environ of the last one, and answers as it is told."""

    def __init__(self) -> None:
        self.calls = 0
        self.environ: dict[str, Any] = {}
        self.headers: list[tuple[str, str]] = [("Content-Type", "text/plain")]
        self.error: Exception | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.calls += 1
        self.environ = environ
        if self.error is not None:
            raise self.error
        start_response("200 OK", list(self.headers))
        return [b"hello"]


SECRET = "kX3v0Yt8qP2sZ5uW7xB1nD4fG6hJ9lM0"


def make_gate(app: Any, directory: Any = None, **settings: Any) -> Gate:
    """The gate under test, as a developer makes it."""
    return Gate(
        app,
        **{
            "issuer": ISSUER,
            "client_id": "app",
            "client_secret": "client-secret",
            "public_url": PUBLIC_URL,
            "secret": SECRET,
            "users": directory or Directory(KnownUser("Alice", display_name="Alice Liddell")),
            "state": "memory",
            **settings,
        },
    )
