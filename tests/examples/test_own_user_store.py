"""The store of people of docs/how-to/own-user-store.md, written down as the page says and put to work."""

import base64
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection

from oidcgate.net.wsgi import WSGIAdapter
from provider.realm import Realm
from provider.services.users import UserStore
from tests.contracts.provider_user_store import UserStoreContract
from tests.examples.pages import PASSWORD, blocks
from tests.provider.world import APP_SECRET, SECRET
from tests.support.servers import ROOT
from tests.support.user_agent import UserAgent

PAGE = ROOT / "docs" / "how-to" / "own-user-store.md"
ISSUER = "https://id.example"
TOML = f"""
issuer = "{ISSUER}"
secret = "{SECRET}"
[[clients]]
client_id = "app"
client_secret = "{APP_SECRET}"
redirect_uris = ["https://app.example/cb"]
trusted = true
flows = ["implicit"]
"""
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
STAFF = [
    ("sub-alice", "alice", "alice", HASH, 1, "Alice Liddell", "alice@id.example", "3.14"),
    ("sub-carol", "carol", "carol", HASH, 0, "Carol", None, None),
    ("sub-dora", "Dora", "dora", None, 1, None, None, "a room whose name is far too long"),
]


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the page, loaded in a folder with the files of the page."""
    texts = {block.language: block.text for block in blocks(PAGE)}
    (tmp_path / "people.py").write_text(texts["python"])
    (tmp_path / "provider.toml").write_text(TOML + texts["toml"])
    with closing(sqlite3.connect(tmp_path / "staff.db")) as staff:
        staff.execute(texts["sql"])
        staff.executemany("INSERT INTO staff VALUES (?, ?, ?, ?, ?, ?, ?, ?)", STAFF)
        staff.commit()
    monkeypatch.chdir(tmp_path)
    spec = spec_from_file_location("people", tmp_path / "people.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "people", module)
    spec.loader.exec_module(module)
    yield module
    module.application.parts.store.dispose()


class TestStore(UserStoreContract):
    @pytest.fixture(autouse=True)
    def of_the_page(self, people: ModuleType) -> None:
        self.people = people

    @contextmanager
    def opened(self) -> Iterator[tuple[UserStore, Connection, Realm]]:
        parts = self.people.application.parts
        with parts.store.read() as conn:
            yield self.people.Staff("staff.db"), conn, parts.realms[0]

    def sub_of(self, name: str) -> str:
        return f"sub-{name}"


URL = (
    f"{ISSUER}/authorize?client_id=app&response_type=id_token&scope=openid%20profile%20email&nonce=n"
    "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
)


def agent_of(people: ModuleType) -> UserAgent:
    return UserAgent({ISSUER: WSGIAdapter(people.application)})


@pytest.mark.row("S-60")
@pytest.mark.parametrize("typed", ["alice", "ALICE"])
def test_the_provider_signs_in_whom_the_table_holds(people: ModuleType, typed: str) -> None:
    answer = agent_of(people).answer(URL, "https://app.example/cb", typed, PASSWORD)
    payload = answer["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "==="))
    assert claims["sub"] == "sub-alice"
    told = {name: claims[name] for name in ("preferred_username", "name", "email", "room")}
    assert told == {
        "preferred_username": "alice",
        "name": "Alice Liddell",
        "email": "alice@id.example",
        "room": "3.14",
    }


@pytest.mark.row("S-60")
@pytest.mark.parametrize(
    "typed", [pytest.param("carol", id="switched-off"), pytest.param("dora", id="no-password"), "nobody"]
)
def test_nobody_else_comes_in(people: ModuleType, typed: str) -> None:
    agent = agent_of(people)
    page = agent.press(agent.open(URL), "login", {"username": typed, "password": PASSWORD})
    assert (page.status, page.main_id) == (403, "page-login")


@pytest.mark.row("S-60")
def test_whoever_leaves_the_table_is_signed_out(people: ModuleType) -> None:
    agent = agent_of(people)
    assert agent.answer(URL, "https://app.example/cb", "alice", PASSWORD)["id_token"]
    assert "id_token=" in agent.step(f"{URL}&prompt=none").headers["Location"]
    with closing(sqlite3.connect("staff.db")) as staff:
        staff.execute("UPDATE staff SET active = 0 WHERE login_key = 'alice'")
        staff.commit()
    assert "error=login_required" in agent.step(f"{URL}&prompt=none").headers["Location"]


@pytest.mark.row("S-60")
def test_an_outage_lets_nobody_in_and_signs_nobody_out(people: ModuleType) -> None:
    agent = agent_of(people)
    assert agent.answer(URL, "https://app.example/cb", "alice", PASSWORD)["id_token"]
    Path("staff.db").rename("away.db")
    answer = agent.step(f"{URL}&prompt=none")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    other = agent_of(people)
    page = other.press(other.open(URL), "login", {"username": "alice", "password": PASSWORD})
    assert page.status == 503
    Path("away.db").rename("staff.db")
    assert "id_token=" in agent.step(f"{URL}&prompt=none").headers["Location"]
