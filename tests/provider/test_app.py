"""The application: methods, paths, realms, and what an error looks like to a client, a person and the log."""

from pathlib import Path
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client as Browser

from provider.store.engine import Store
from tests.provider.world import APP_SECRET, REDIRECT_URI, SECRET, World, error_of


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/op", "//token", "/token/", "/Token", "/r/nothing/token", "/%74oken/x", "/a/../token"],
)
def test_there_is_nothing_else(world: World, path: str) -> None:
    response = world.browser().get(path)
    assert response.status_code == 404
    assert 'id="page-error"' in response.text


def test_its_own_address_says_what_it_is_and_where_the_rest_is(world: World) -> None:
    response = world.browser().get("/")
    assert response.status_code == 200
    assert 'id="page-home"' in response.text
    assert f'href="{world.realm.issuer}/.well-known/openid-configuration"' in response.text
    assert "Set-Cookie" not in response.headers
    assert world.browser().post("/").status_code == 405


@pytest.mark.parametrize(
    ("script_name", "path_info", "status"),
    [
        pytest.param("", "/jwks", 200, id="plain"),
        pytest.param("", "//jwks", 404, id="two-slashes"),
        pytest.param("", "///jwks", 404, id="three-slashes"),
        pytest.param("/jwks", "", 200, id="all-in-script-name"),
        pytest.param("/", "jwks", 200, id="cut-elsewhere"),
        pytest.param("/x", "/jwks", 404, id="mounted-elsewhere"),
        pytest.param("", "", 404, id="nothing"),
        pytest.param("", "/jwks\xff", 404, id="not-utf-8"),
        pytest.param("", "/r/../jwks", 404, id="dot-segments"),
    ],
)
def test_the_path_is_what_both_variables_say(
    world: World, script_name: str, path_info: str, status: int
) -> None:
    environ = {"SCRIPT_NAME": script_name, "PATH_INFO": path_info}
    assert world.browser().get("/", environ_overrides=environ).status_code == status


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/jwks", "POST", "GET, HEAD, OPTIONS"),
        ("/authorize", "DELETE", "GET, HEAD, OPTIONS, POST"),
        ("/userinfo", "PUT", "GET, HEAD, OPTIONS, POST"),
        ("/end_session/confirm", "GET", "OPTIONS, POST"),
        ("/healthz", "BREW", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_told_which_there_are(world: World, path: str, method: str, allow: str) -> None:
    response = world.browser().open(path, method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, allow)
    options = world.browser().options(path)
    assert (options.status_code, options.headers["Allow"], options.data) == (204, allow, b"")


def test_it_keeps_to_wsgi(world: World) -> None:
    browser = Browser(validator(world.provider))
    for path in ("/healthz", "/jwks", "/nothing", "/authorize", "/userinfo"):
        response = browser.get(path, buffered=True)
        assert response.status_code in (200, 400, 401, 404)


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("hunter2 is in this text")


def test_an_unexpected_error_is_an_incident(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = world.tokens()["access_token"]
    monkeypatch.setattr(Store, "read", broken)
    response = world.userinfo(token)
    assert error_of(response) == (500, "server_error")
    incident = response.get_json()["error_description"].removeprefix("incident ")
    assert "hunter2" not in response.text
    assert incident in world.events[-1]
    assert incident in caplog.text
    assert token not in caplog.text + world.events[-1]


def test_an_unexpected_error_behind_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "read", broken)
    response = world.browser().get("/login?interaction=x")
    assert response.status_code == 500
    assert 'id="page-error"' in response.text
    assert "hunter2" not in response.text
    assert '"provider.incident"' in world.events[-1]


def test_the_page_and_the_log_name_the_same_incident(world: World) -> None:
    response = world.browser().get("/authorize?client_id=nobody&redirect_uri=https://evil.example")
    assert response.status_code == 400
    line = world.events[-1]
    incident = line.split('"incident":"')[1].split('"')[0]
    assert incident in response.text
    assert "evil.example" not in response.headers.get("Location", "")


@pytest.mark.row("S-27")
class TestRealms:
    """Two issuers in one process share a database and nothing else."""

    @pytest.fixture
    def two(self, database: Path) -> World:
        client = {
            "client_id": "app",
            "client_secret": APP_SECRET,
            "redirect_uris": [REDIRECT_URI],
            "flows": ["authorization_code", "refresh_token"],
        }
        user = {"user_name": "alice", "user_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
        return World.over(database, realms=[{"name": "b2b", "clients": [client], "users": [user]}])

    def test_each_has_its_own_issuer_and_key(self, two: World) -> None:
        browser = two.browser()
        document = browser.get("/r/b2b/.well-known/openid-configuration").get_json()
        assert document["issuer"] == "https://id.example/r/b2b"
        assert document["token_endpoint"] == "https://id.example/r/b2b/token"
        assert browser.get("/.well-known/oauth-authorization-server/r/b2b").get_json() == document
        keys = [browser.get(path).get_json()["keys"][0]["kid"] for path in ("/jwks", "/r/b2b/jwks")]
        assert keys[0] != keys[1]

    def test_a_code_of_one_is_unknown_to_the_other(self, two: World) -> None:
        code = two.code(realm=two.provider.parts.realms[1])
        assert error_of(two.redeem(code)) == (400, "invalid_grant")

    def test_a_token_of_one_is_unknown_to_the_other(self, two: World) -> None:
        tokens = two.tokens()
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert two.browser().get("/r/b2b/userinfo", headers=header).status_code == 401
        assert two.browser().get("/userinfo", headers=header).status_code == 200


def test_nothing_depends_on_the_host_header(world: World) -> None:
    response = world.browser().get("/.well-known/openid-configuration", headers={"Host": "evil.example"})
    assert "evil.example" not in response.text


def test_from_config_reads_file_and_environment(tmp_path: Path) -> None:
    from provider import Provider

    (tmp_path / "provider.toml").write_text(f'issuer = "https://id.example"\nsecret = "{SECRET}"\n')
    env = {"OIDCPROVIDER_DATABASE": f"sqlite:///{tmp_path / 'from-env.db'}"}
    provider = Provider.from_config(tmp_path / "provider.toml", env=env)
    assert Browser(provider).get("/readyz").status_code == 200
    assert (tmp_path / "from-env.db").exists()
    provider.parts.store.dispose()
