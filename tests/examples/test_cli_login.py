"""The example of a program on somebody's machine, against a served provider and the served example API."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import expect

from provider.services.passwords import Passwords
from tests.support.chromium import chromium, page_of
from tests.support.servers import ROOT, free_port, running
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

SECONDS = 60
ENV = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


@dataclass(frozen=True)
class Served:
    """A provider that knows the program, and an API that believes it."""

    issuer: str
    api: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    ports = free_port(), free_port()
    issuer, api = (f"http://127.0.0.1:{port}" for port in ports)
    (folder / "provider.toml").write_text(
        f"""
issuer = "{issuer}"
insecure_allow_http_loopback = true             # for the issuer; the program needs no switch
secret = "n0-real-secret-but-long-enough-for-the-provider-0123456789"

[[scopes]]
value = "orders:read"

[[resources]]
audience = "{api}"
scopes = ["orders:read"]

[[resources]]
audience = "https://other.example"
scopes = []
include = ["oidc_scopes"]

[[clients]]
client_id = "cli"
application_type = "native"
auth_method = "none"
redirect_uris = ["http://127.0.0.1/callback"]
scopes = ["openid", "profile", "orders:read"]

[[clients]]
client_id = "phone"
name = "Phone app"
application_type = "native"
auth_method = "none"
redirect_uris = ["com.example.phone:/cb"]

[[users]]
user_name = "alice"
password_hash = "{Passwords().hash("demo-alice")}"
"""
    )
    provider = [sys.executable, "-m", "provider", "--config", folder / "provider.toml", "serve"]
    gunicorn = [sys.executable, "-m", "gunicorn", "examples.api:from_environment()", "--no-control-socket"]
    env = {**ENV, "API_ISSUER": issuer, "API_AUDIENCE": api}
    with (
        running(provider, port=ports[0], log=folder / "provider.log", cwd=folder, env=ENV),
        running(
            [*gunicorn, "--bind", f"127.0.0.1:{ports[1]}"],
            port=ports[1],
            log=folder / "api.log",
            cwd=folder,
            env=env,
        ),
    ):
        yield Served(issuer, api)


class Program:
    """The program, running."""

    def __init__(self, served: Served, *options: str) -> None:
        command = [sys.executable, "-m", "examples.cli_login", "--issuer", served.issuer, "--no-browser"]
        self.process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **ENV},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def asked(self) -> str:
        """The address that it wants opened."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("http"):
                return line.strip()
        raise AssertionError("it ended without asking for anything")

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said since."""
        said, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, said


@contextmanager
def program(served: Served, *options: str) -> Iterator[Program]:
    """Run it; it is over when the block ends."""
    made = Program(served, *options)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()


def parameters(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


@pytest.mark.row("E-07", "E-09", "E-05")
def test_it_signs_somebody_in_and_calls_the_api(served: Served) -> None:
    with program(served, "--api", served.api) as cli:
        url = cli.asked()
        asked = parameters(url)
        assert asked["code_challenge_method"] == "S256"
        assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"
        agent = UserAgent()
        page = agent.sign_in(agent.open(url), "alice", "demo-alice")
        assert page.text == "You can close this window.\n"
        code, said = cli.ended()
    assert code == 0, said
    first, second = said.splitlines()
    assert first == "Signed in as alice."
    assert json.loads(second) == {"orders": [], "of": json.loads(second)["of"], "through": "cli"}


@pytest.mark.row("E-07", "C-6", "S-23")
def test_a_browser_comes_back_to_the_port(served: Served, tmp_path: Path) -> None:
    with program(served) as cli, chromium(tmp_path / "browser") as context:
        page = page_of(context)
        page.goto(cli.asked())
        page.fill("#username", "alice")
        page.fill("#password", "demo-alice")
        page.click("#login")
        if page.locator("#allow").count():
            expect(page.locator(".name", has_text="127.0.0.1")).to_be_visible()
            page.click("#allow")
        expect(page.locator("body")).to_have_text("You can close this window.")
        assert cli.ended() == (0, "Signed in as alice.\n")


@pytest.mark.row("E-07")
def test_answers_to_other_questions_do_not_end_the_wait(served: Served) -> None:
    with program(served) as cli:
        url = cli.asked()
        asked = parameters(url)
        right = {"state": asked["state"], "iss": served.issuer, "code": "x"}
        for change in ({"state": "other"}, {"iss": "https://evil.test"}, {"state": ""}):
            answer = requests.get(asked["redirect_uri"], params={**right, **change}, timeout=SECONDS)
            assert answer.status_code == 404
        other_path = asked["redirect_uri"].replace("/callback", "/favicon.ico")
        assert requests.get(other_path, params=right, timeout=SECONDS).status_code == 404
        refused = {"error": "access_denied", "state": asked["state"], "iss": served.issuer}
        assert requests.get(asked["redirect_uri"], params=refused, timeout=SECONDS).status_code == 200
        assert cli.ended() == (1, "Not signed in: access_denied: \n")


@pytest.mark.row("E-07", "E-05", "P-05")
def test_a_code_that_was_made_up_signs_nobody_in(served: Served) -> None:
    with program(served) as cli:
        asked = parameters(cli.asked())
        answer = {"code": "x", "state": asked["state"], "iss": served.issuer}
        requests.get(asked["redirect_uri"], params=answer, timeout=SECONDS)
        code, said = cli.ended()
    assert (code, said.partition(": ")[0]) == (1, "Not signed in")
    assert "invalid_grant" in said


def token_for(served: Served, resource: str | None, scope: str) -> dict[str, str]:
    """What the provider gives a program that asks for that API."""
    verifier, redirect_uri = "v" * 43, "http://127.0.0.1:1/callback"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    request = {
        "response_type": "code",
        "client_id": "cli",
        "redirect_uri": redirect_uri,
        "scope": scope,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({} if resource is None else {"resource": resource}),
    }
    url = f"{served.issuer}/authorize?{urlencode(request)}"
    answer = UserAgent().answer(url, redirect_uri, "alice", "demo-alice")
    form_of_code = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": redirect_uri,
        "client_id": "cli",
        "code_verifier": verifier,
    }
    return dict(requests.post(f"{served.issuer}/token", data=form_of_code, timeout=SECONDS).json())


@pytest.mark.row("E-09")
@pytest.mark.parametrize(
    ("resource", "scope", "which", "status"),
    [
        pytest.param("itself", "openid orders:read", "access_token", 200, id="for-it"),
        pytest.param("itself", "openid", "access_token", 403, id="without-the-scope"),
        pytest.param("https://other.example", "openid", "access_token", 401, id="for-another-api"),
        pytest.param(None, "openid", "access_token", 401, id="for-none-in-particular"),
        pytest.param("itself", "openid orders:read", "id_token", 401, id="id-token"),
    ],
)
def test_the_api_takes_tokens_for_itself_alone(
    served: Served, resource: str | None, scope: str, which: str, status: int
) -> None:
    tokens = token_for(served, served.api if resource == "itself" else resource, scope)
    headers = {"Authorization": f"Bearer {tokens[which]}"}
    answer = requests.get(f"{served.api}/orders", headers=headers, timeout=SECONDS)
    assert answer.status_code == status, answer.text


@pytest.mark.row("E-07", "C-6", "S-23", "P-03")
def test_a_browser_leaves_for_a_scheme_of_the_application(served: Served, tmp_path: Path) -> None:
    """Chromium applies the policy of our form to every hop behind it: without the scheme it stops there."""
    faults: list[str] = []
    with chromium(tmp_path / "browser") as context:
        page = page_of(context)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        request = {
            "response_type": "code",
            "client_id": "phone",
            "redirect_uri": "com.example.phone:/cb",
            "scope": "openid profile",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        page.goto(f"{served.issuer}/authorize?{urlencode(request)}")
        page.fill("#username", "alice")
        page.fill("#password", "demo-alice")
        page.click("#login")
        expect(page.locator(".name", has_text="com.example.phone:")).to_be_visible()
        with page.expect_request(lambda hop: hop.url.startswith("com.example.phone:")) as left:
            page.click("#allow")
        assert left.value.url.startswith("com.example.phone:/cb?code=")
        assert faults == []
