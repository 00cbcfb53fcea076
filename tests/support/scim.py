"""A SCIM server of the tests' own that nobody here wrote (scim2-server): frozen, killed, started anew.

It keeps users in memory, for each tenant of its own, and lets them have equal names: its schema is told so,
for a directory in which they do is what has to be refused.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.servers import START_SECONDS, Server, free_port, wait_until_it_listens

TOKEN = "scim-token-7nQ2"
_PROGRAM = "import sys; from scim2_server.testserver.cli import main; sys.exit(main())"


class ScimServer:
    """One server on this machine, running from the start."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("scim2_server")
        self._port = free_port()
        schema = folder / "schemas.json"
        schema.write_text(json.dumps(_schemas()))
        self._log = folder / "scim.log"
        self._command = [
            sys.executable, "-c", _PROGRAM, "--port", str(self._port), "--bearer-token", TOKEN,
            "--dynamic-tenants", "--schema", str(schema),
        ]  # fmt: skip
        self._tenants: dict[str, Sequence[Mapping[str, Any]]] = {}
        self.start()

    def start(self) -> None:
        """Run it until it accepts connections; who was there before is there again."""
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(self._command, stdout=sink, stderr=sink)
        wait_until_it_listens(Server(self._process, self._port, self._log))
        for tenant, users in self._tenants.items():
            self._fill(tenant, users)

    def tenant(self, users: Sequence[Mapping[str, Any]]) -> str:
        """The base URL of a tenant with these users."""
        name = f"t{secrets.token_hex(6)}"
        self._tenants[name] = users
        self._fill(name, users)
        return self._base_url(name)

    def change(self, base_url: str, name: str, attributes: Mapping[str, Any]) -> None:
        """Give other values to attributes of a user."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
        query = {"filter": f'userName eq "{name}"'}
        found = requests.get(f"{base_url}/Users", params=query, headers=headers, timeout=START_SECONDS)
        (user,) = found.json()["Resources"]
        answer = requests.put(
            f"{base_url}/Users/{user['id']}",
            json={**user, **attributes},
            headers=headers,
            timeout=START_SECONDS,
        )
        assert answer.status_code == 200, answer.text

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(START_SECONDS)

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()

    def log_text(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(errors="replace")

    def _base_url(self, tenant: str) -> str:
        return f"http://127.0.0.1:{self._port}/{tenant}/v2"

    def _fill(self, tenant: str, users: Sequence[Mapping[str, Any]]) -> None:
        for user in users:
            # To it groups are no words, and no client can write them.
            known = {name: value for name, value in user.items() if name != "groups"}
            answer = requests.post(
                f"{self._base_url(tenant)}/Users",
                json={"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **known},
                headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"},
                timeout=START_SECONDS,
            )
            assert answer.status_code == 201, answer.text


@contextmanager
def scim_server(folder: Path) -> Iterator[ScimServer]:
    """A server until the block ends; `folder` is for its files."""
    server = ScimServer(folder)
    try:
        yield server
    finally:
        server.end()


def _schemas() -> list[Any]:
    from scim2_server.utils import load_json_resource

    schemas: list[Any] = load_json_resource("default-schemas.json")
    for schema in schemas:
        for attribute in schema["attributes"]:
            if attribute["name"] == "userName":
                attribute["uniqueness"] = "none"
    return schemas
