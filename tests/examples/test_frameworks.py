"""The gate around a plain WSGI app, Flask, Django and FastAPI, each under its server."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from examples.directory.app import USERS_FILE
from examples.local_accounts import Configuration, write_configuration
from tests.support.servers import ROOT, free_port, running
from tests.support.user_agent import UserAgent

pytestmark = pytest.mark.live

PATH = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
GUNICORN = [
    "gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket",
    "--worker-class", "gthread", "--threads", "4",
]  # fmt: skip
UVICORN = ["uvicorn", "--port", "{port}"]


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def files(tmp_path: Path, ports: tuple[int, int]) -> Configuration:
    issuer, public_url = (f"http://localhost:{port}" for port in ports)
    return write_configuration(tmp_path, issuer=issuer, public_url=public_url, users=USERS_FILE)


@pytest.fixture
def provider(files: Configuration, ports: tuple[int, int], tmp_path: Path) -> Iterator[None]:
    port = ports[0]
    command = [
        sys.executable,
        "-m",
        "provider",
        "--config",
        str(files.provider),
        "serve",
        "--port",
        str(port),
    ]
    with running(command, port=port, log=tmp_path / "provider.log", cwd=tmp_path, env=PATH):
        yield


@pytest.mark.row("T-01")
@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("server", "application"),
    [
        pytest.param(GUNICORN, "examples.in_process:application", id="plain"),
        pytest.param(GUNICORN, "examples.flask_app:app", id="flask"),
        pytest.param(GUNICORN, "examples.django_app.wsgi:application", id="django"),
        pytest.param(UVICORN, "examples.fastapi_app:app", id="fastapi"),
    ],
)
def test_an_app_learns_who_is_there(
    server: list[str], application: str, ports: tuple[int, int], tmp_path: Path
) -> None:
    port = ports[1]
    url = f"http://localhost:{port}"
    command = [sys.executable, "-m", *(part.format(port=port) for part in server), application]
    with running(command, port=port, log=tmp_path / "app.log", cwd=tmp_path, env=PATH):
        forged = {"X-Forwarded-User": "Alice", "Remote-User": "Alice", "Accept": "application/json"}
        assert requests.get(f"{url}/", headers=forged, timeout=30).status_code == 401
        browser = UserAgent()
        page = browser.sign_in(browser.open(f"{url}/"), "alice", "demo-alice")
        assert (page.status, page.response.json()) == (200, {"hello": "Alice", "path": "/"})


@pytest.mark.parametrize(
    "files_of_example",
    [["in_process.py"], ["flask_app.py"], ["django_app/views.py", "django_app/wsgi.py"], ["fastapi_app.py"]],
    ids=["plain", "flask", "django", "fastapi"],
)
def test_the_gate_is_three_lines_of_each_example(files_of_example: list[str]) -> None:
    text = "".join((ROOT / "examples" / name).read_text() for name in files_of_example)
    marked = re.findall(r"^(.+?)  # (?:type: ignore\[[a-z-]+\]  # )?([0-9])$", text, re.MULTILINE)
    assert sorted(number for _, number in marked) == ["1", "2", "3"]
    naming_the_gate = [line for line in text.splitlines() if re.search(r"Gate\b|oidcgate[.\"]", line)]
    code = [line for line in naming_the_gate if not line.lstrip().startswith(("#", '"', "oidcgate init"))]
    assert len(code) == 3
