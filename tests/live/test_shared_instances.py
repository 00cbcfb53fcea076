"""Two gunicorns with two workers each over one configuration: all four share the sessions, wherever kept."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from examples.directory.app import USERS_FILE
from examples.local_accounts import write_configuration
from tests.contracts.record_cache import together
from tests.support.lying_provider import NAVIGATION
from tests.support.memcached import memcached, url_of
from tests.support.redis import redis_server
from tests.support.servers import Server, free_port, gunicorn
from tests.support.user_agent import UserAgent

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Instance:
    """One gunicorn with a gate in it, and two workers."""

    server: Server
    url: str

    def ask(self, cookie: str) -> requests.Response:
        """One request on a connection of its own: whichever worker takes it."""
        headers = {**NAVIGATION, "Cookie": cookie}
        return requests.get(f"{self.url}/", headers=headers, allow_redirects=False, timeout=30)

    def users_by_worker(self, cookie: str) -> dict[str, str]:
        """Whom each of the workers sees."""
        users: dict[str, str] = {}
        deadline = time.monotonic() + 60
        while len(users) < 2:
            assert time.monotonic() < deadline, users
            # Several at once: one after another may all be the same worker's.
            for answer in together(6, lambda _: self.ask(cookie)):
                assert isinstance(answer, requests.Response), answer
                users[answer.headers["X-Worker"]] = answer.headers["X-User"]
        return users


@dataclass(frozen=True)
class Site:
    """Both instances, and how their gates were configured."""

    first: Instance
    second: Instance
    env: dict[str, str]

    def sign_in(self) -> str:
        """The Cookie header of a browser that has signed in as Alice, whom all four workers then remember."""
        agent = UserAgent()
        with agent.session:
            agent.sign_in(agent.open(f"{self.first.url}/"), "alice", "demo-alice")
            (cookie,) = (
                f"{each.name}={each.value}"
                for each in agent.session.cookies
                if re.fullmatch(r"oidcgate-[0-9a-zA-Z]+", each.name)
            )
        seen = {**self.first.users_by_worker(cookie), **self.second.users_by_worker(cookie)}
        assert list(seen.values()) == ["Alice"] * 4, "four workers of two instances"
        return cookie

    def has_ended(self, cookie: str) -> None:
        """At the next request, also of the workers that have just let it in from memory."""
        assert self.second.ask(cookie).status_code == 302
        for instance in (self.second, self.first):
            answers = together(12, lambda _: instance.ask(cookie).status_code)  # noqa: B023
            assert answers == [302] * 12
        for instance in (self.first, self.second):
            assert "Traceback" not in instance.server.log_text()

    def sessions(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`oidcgate sessions …`, in a process of its own."""
        program = [
            sys.executable,
            "-m",
            "oidcgate",
            "sessions",
            *arguments,
            "--config",
            self.env["GATE_CONFIG"],
        ]
        return subprocess.run(program, env=self.env, capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture(
    params=[
        "sealed",
        "redis",
        *(pytest.param(store, marks=pytest.mark.heavy) for store in ("memcached", "sql")),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Two gunicorns over one configuration; their provider runs too."""
    ports = [free_port(), free_port(), free_port()]
    first, second, issuer = (f"http://localhost:{port}" for port in ports)
    files = write_configuration(tmp_path, issuer=issuer, public_url=first, users=USERS_FILE)
    store: str = request.param
    with ExitStack() as running:
        if store == "memcached":
            store = url_of([running.enter_context(memcached())])
        elif store == "redis":
            store = running.enter_context(redis_server()).url
        running.enter_context(
            gunicorn(
                "tests.live.sites.provider_site:application",
                port=ports[2],
                log=tmp_path / "provider.log",
                env={"PROVIDER_CONFIG": str(files.provider)},
            )
        )
        env = {
            "GATE_CONFIG": str(files.gate),
            "OIDCGATE_SESSION__STORE": store,
            # Preloaded: whatever the arbiter has open, its workers inherit.
            "GUNICORN_CMD_ARGS": "--preload",
        }
        served = [
            running.enter_context(
                gunicorn(
                    "tests.live.sites.worker_site:application",
                    port=port,
                    log=tmp_path / f"instance-{port}.log",
                    env=env,
                    workers=2,
                )
            )
            for port in ports[:2]
        ]
        yield Site(Instance(served[0], first), Instance(served[1], second), {**os.environ, **env})


@pytest.mark.row("T-03", "G-08", "G-23")
def test_instances_share_a_session_and_its_end(site: Site) -> None:
    cookie = site.sign_in()
    signed_out = requests.post(
        f"{site.first.url}/.oidcgate/logout",
        headers={**NAVIGATION, "Cookie": cookie, "Origin": site.first.url, "Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
        timeout=30,
    )
    assert signed_out.status_code in (302, 303)
    site.has_ended(cookie)

    # Nor does it matter who ends one.
    cookie = site.sign_in()
    (listed,) = map(json.loads, site.sessions("list", "--json").stdout.splitlines())
    sealed = site.env["OIDCGATE_SESSION__STORE"] == "sealed"
    assert (listed["user_name"], listed["seen_at"] is None) == ("Alice", sealed)
    assert "sessions that ended: 1" in site.sessions("revoke", "--user", "alice").stdout
    site.has_ended(cookie)
    assert site.sessions("list", "--json").stdout == ""
