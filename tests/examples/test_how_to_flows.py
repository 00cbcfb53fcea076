"""The pages about flows and kinds of clients: their requests are sent as they stand there."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import expect

from tests.examples.pages import PASSWORD, SECONDS, Block, Reader, blocks
from tests.support.chromium import chromium, page_of
from tests.support.servers import ROOT, running
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

PAGES = ROOT / "docs" / "how-to"
#: What a server that acts for itself asks for on its page; its clients are in the database.
RESOURCES = """
[[scopes]]
value = "orders:read"

[[resources]]
audience = "https://api.example.com"
scopes = ["orders:read"]
"""


@dataclass
class Walk:
    """Somebody who follows the pages at one provider, and what the provider has said on the way."""

    reader: Reader
    env: dict[str, str]
    answers: list[dict[str, str]] = field(default_factory=list)
    said: list[dict[str, object]] = field(default_factory=list)

    def follow(self, page: Path) -> "Walk":
        """Add the client, send the browser's requests, run the commands; each with what came before."""
        self.answers, self.said = [], []
        for block in blocks(page):
            if block.language == "http" and block.text.startswith("GET "):
                self._ask(block)
            elif block.language == "python":
                self.reader.do(block)
            elif block.language == "console":
                self.reader.said = ""
                self.reader.do(block)
                if self.reader.said.startswith("{"):
                    self._heard(json.loads(self.reader.said))
        return self

    def _ask(self, block: Block) -> None:
        target = block.text.split(" ")[1]
        (redirect_uri,) = parse_qs(urlsplit(target).query)["redirect_uri"]
        url = self.reader.url(9000) + target
        answer = UserAgent().answer(url, redirect_uri, "alice", PASSWORD)
        assert (answer["state"], answer["iss"]) == ("af0ifjsldkj", self.reader.url(9000))
        self.answers.append(answer)
        self.env["CODE"] = answer.get("code", "")

    def _heard(self, document: dict[str, object]) -> None:
        self.said.append(document)
        for name in ("access_token", "refresh_token"):
            self.env[name.upper()] = str(document.get(name, ""))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder, env = tmp_path_factory.mktemp("flows"), dict[str, str]()
    with Reader(folder, env) as reader:
        for block in blocks(PAGES / "flows" / "README.md"):
            if "oidcgate-provider serve" in block.text:
                first, _, rest = block.text.partition("$ oidcgate-provider serve")
                reader.do(Block(block.language, first, ""))
                with (folder / "provider.toml").open("a") as file:
                    file.write(RESOURCES)
                block = Block(block.language, f"$ oidcgate-provider serve{rest}", "")
            reader.do(block)
        assert json.loads(reader.said)["issuer"] == reader.url(9000)
        yield Walk(reader, env)


def claims(token: object) -> dict[str, object]:
    payload = str(token).split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def half_hash(value: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).decode().rstrip("=")


@pytest.mark.row("E-01", "S-01", "S-02", "S-59", "F-17")
def test_authorization_code(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "authorization-code.md")
    assert [answer.keys() for answer in walk.answers] == [{"code", "state", "iss"}]
    tokens, person = walk.said
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert claims(tokens["id_token"])["nonce"] == "n-0S6_WzA2Mj"
    assert (person["name"], person["preferred_username"]) == ("Alice Liddell", "alice")


@pytest.mark.row("S-03", "S-08", "S-59")
def test_refresh_token(walk: Walk) -> None:
    # The page sends its readers to the one of the code flow for the step in between.
    page = PAGES / "flows" / "refresh-token.md"
    redeem = (
        '$ curl --silent http://localhost:9000/token --user "office:$(cat client.secret)"'
        ' --data grant_type=authorization_code --data-urlencode "code=$CODE"'
        " --data-urlencode redirect_uri=https://office.example.com/callback"
        ' --data "code_verifier=$(cat verifier)"\n'
    )
    for block in blocks(page):
        if block.language == "http":
            walk._ask(block)
            walk.reader.do(Block("console", redeem, ""))
            first = json.loads(walk.reader.said)
            walk._heard(first)
        elif block.language == "console":
            walk.reader.do(block)
    second = json.loads(walk.reader.said)
    assert second["refresh_token"] != first["refresh_token"]
    assert second.keys() == first.keys() >= {"access_token", "refresh_token", "id_token"}


@pytest.mark.row("S-06", "S-07")
def test_hybrid(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "hybrid.md")
    (answer,), (tokens,) = walk.answers, walk.said
    assert answer.keys() == {"code", "id_token", "state", "iss"}
    first, second = claims(answer["id_token"]), claims(tokens["id_token"])
    assert first["c_hash"] == half_hash(answer["code"])
    assert (first["iss"], first["sub"]) == (second["iss"], second["sub"])


@pytest.mark.row("E-02", "E-04", "S-04", "S-05")
def test_implicit(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "implicit.md")
    (answer,) = walk.answers
    assert answer.keys() == {"id_token", "state", "iss"}
    assert claims(answer["id_token"])["email"] == "alice@example.com"


@pytest.mark.row("E-04", "E-05", "E-34")
def test_from_implicit_to_code_and_pkce(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "from-implicit-to-code-and-pkce.md")
    assert [answer.keys() for answer in walk.answers] == [{"code", "state", "iss"}]
    (tokens,) = walk.said
    assert claims(tokens["id_token"])["nonce"] == "n-0S6_WzA2Mj"


@pytest.mark.row("E-34", "E-09")
def test_server(walk: Walk) -> None:
    walk.follow(PAGES / "clients" / "server.md")
    (tokens,) = walk.said
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert claims(tokens["access_token"])["aud"] == "https://api.example.com"


@pytest.mark.row("E-12", "S-12")
def test_client_credentials(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "client-credentials.md")
    (tokens,) = walk.said
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}
    said = claims(tokens["access_token"])
    assert (said["sub"], said["client_itself"], said["scope"]) == ("nightly", True, "orders:read")


@pytest.mark.row("S-11")
def test_resource_owner_password(walk: Walk) -> None:
    walk.env["PASSWORD"] = PASSWORD
    walk.follow(PAGES / "flows" / "resource-owner-password.md")
    (tokens,) = walk.said
    assert {"access_token", "refresh_token", "id_token"} <= tokens.keys()
    said = claims(tokens["id_token"])
    assert said["amr"] == ["pwd"]
    assert not {"nonce", "sid"} & said.keys()


@pytest.mark.row("S-20", "S-21")
def test_introspection_and_revocation(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "introspection-and-revocation.md")
    before, after = walk.said
    assert before.keys() == {
        "active", "scope", "client_id", "token_type", "exp", "iat", "sub", "aud", "iss",
    }  # fmt: skip
    assert (before["active"], before["sub"], after) == (True, "meter", {"active": False})


@pytest.mark.row("S-50")
def test_device(walk: Walk) -> None:
    walk.follow(PAGES / "flows" / "device.md")
    started, waiting = walk.said
    assert started["verification_uri"] == f"{walk.reader.url(9000)}/device"
    assert waiting == {
        "error": "authorization_pending", "error_description": "The person has not answered yet.",
    }  # fmt: skip


@pytest.mark.row("S-02", "P-07")
def test_client_authentication(walk: Walk) -> None:
    walk.follow(PAGES / "client-authentication.md")
    *tokens, again = walk.said
    assert [said.get("token_type") for said in tokens] == ["Bearer"] * 4
    assert again == {"error": "invalid_client", "error_description": "client authentication failed"}


@pytest.mark.row("E-34", "E-04", "E-05", "E-07")
def test_an_application_in_the_browser(walk: Walk, tmp_path: Path) -> None:
    page_of_docs, reader = PAGES / "clients" / "spa.md", walk.reader
    for block in blocks(page_of_docs):
        if block.language == "console":
            reader.do(block)
        elif block.language == "html":
            (tmp_path / "index.html").write_text(reader._here(block.text))
    port = int(reader.ports["8300"])
    command = ["python", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    faults: list[str] = []
    with (
        running(command, port=port, log=tmp_path / "log", cwd=tmp_path),
        chromium(tmp_path / "browser") as context,
    ):
        page = page_of(context)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(reader.url(8300))
        page.click("#sign-in")
        page.fill("#username", "alice")
        page.fill("#password", PASSWORD)
        page.click("#login")
        page.click("#allow")
        expect(page.locator("#who")).to_have_text("Signed in as alice.")
        assert page.url == f"{reader.url(8300)}/"
        page.goto(f"{reader.url(8300)}/?code=x&state=other&iss={reader.url(9000)}")
        expect(page.locator("#who")).to_have_text("This is not the answer to a sign-in from here.")
    assert faults == []


@pytest.mark.row("E-09", "E-07")
def test_an_api_and_a_program_that_calls_it(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        begin = (
            "$ oidcgate-provider init --issuer http://localhost:9000\n$ oidcgate-provider user add alice\n"
        )
        reader.do(Block("console", begin, ""))
        reader.follow(PAGES / "protect-an-api.md")
        assert json.loads(reader.said) == {"orders": [], "of": "stocktaker", "through": "stocktaker"}
        refused = requests.get(f"{reader.url(8200)}/orders", timeout=30)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="orders"')
        for block in blocks(PAGES / "native-app.md"):
            if "examples.cli_login" in block.text:
                # Left running, as a person has it while they are at the browser; it opens none here.
                log = tmp_path / "cli.log"
                command = reader._here(block.text.removeprefix("$ ").strip())
                quiet = f"$ {command} --no-browser > {log} 2>&1 &\n"
                reader.do(Block("console", quiet, ""))
                url = _address(log)
                agent = UserAgent()
                agent.sign_in(agent.open(url), "alice", PASSWORD)
                said = _lines(log, 4)
                assert said[2] == "Signed in as alice."
                assert json.loads(said[3])["through"] == "cli"
            elif block.language == "console":
                reader.do(block)


def _lines(log: Path, count: int) -> list[str]:
    """The first lines of a log, as soon as they are all there."""
    deadline = time.monotonic() + SECONDS
    while len(lines := log.read_text().splitlines() if log.exists() else []) < count:
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)  # nothing announces a line; bounded by the deadline
    return lines


def _address(log: Path) -> str:
    return next(line for line in _lines(log, 2) if re.match("http", line))
