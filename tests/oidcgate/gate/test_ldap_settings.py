"""`[users.ldap]`: what is refused when it is read, and what it becomes."""

from pathlib import Path
from typing import Any

import pytest

from oidcgate.directory.port import DirectoryUnavailable
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.directories import directory_of
from oidcgate.gate.installed import uninstalled
from oidcgate.settings import SettingsError
from tests.contracts.user_directory import NOW
from tests.support.slapd import BASE, BIND_DN, BIND_PASSWORD, slapd
from tests.support.tls import Authority

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"


def data(*, source: str = "ldap", **settings: Any) -> dict[str, Any]:
    ldap = {"url": "ldaps://ldap.example.com", "base": "dc=example,dc=com", **settings}
    return {
        "public_url": "https://app.example.com",
        "provider": {"issuer": "https://id.example", "client_id": "app", "client_secret": "x"},
        "users": {
            "source": source,
            "ldap": {name: value for name, value in ldap.items() if value is not None},
        },
        "session": {"secret": SECRET},
        "state": {"store": "memory"},
    }


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        pytest.param({"url": None}, "url", "is missing", id="no-url"),
        pytest.param({"base": None}, "base", "is missing", id="no-base"),
        pytest.param({"url": "https://ldap.example.com"}, "url", "names no directory server", id="http"),
        pytest.param({"url": "ldap.example.com"}, "url", "names no directory server", id="no-scheme"),
        pytest.param({"url": "ldaps://"}, "url", "names no directory server", id="no-host"),
        pytest.param({"url": "ldaps://h:99999"}, "url", "is no URL", id="port"),
        pytest.param({"url": "ldaps://[::1"}, "url", "is no URL", id="bracket"),
        pytest.param({"url": "ldaps://h/dc=example"}, "url", "is more than", id="with-base"),
        pytest.param({"url": "ldaps://h/??sub?(uid=x)"}, "url", "is more than", id="with-filter"),
        pytest.param({"url": "ldaps://cn=x:y@h"}, "url", "is more than", id="with-password"),
        pytest.param({"url": "ldap://h"}, "url", "is asked without TLS", id="plaintext"),
        pytest.param({"start_tls": True}, "start_tls", "says nothing beside", id="start_tls-over-ldaps"),
        pytest.param(
            {"insecure_plaintext": True}, "insecure_plaintext", "says nothing", id="insecure-over-ldaps"
        ),
        pytest.param(
            {"url": "ldap://h", "start_tls": True, "insecure_plaintext": True},
            "insecure_plaintext",
            "contradicts",
            id="both",
        ),
        pytest.param({"bind_dn": "cn=x"}, "bind_password", "is missing", id="no-password"),
        pytest.param({"bind_password": "x"}, "bind_dn", "is missing", id="no-dn"),
        pytest.param(
            {"bind_dn": "cn=x", "bind_password": ""}, "bind_password", "is empty", id="empty-password"
        ),
        pytest.param({"bind_dn": "", "bind_password": "x"}, "bind_password", "is empty", id="empty-dn"),
        pytest.param({"filter": ""}, "filter", "is not one filter", id="no-filter"),
        pytest.param({"filter": "objectClass=person"}, "filter", "is not one filter", id="bare-filter"),
        pytest.param({"filter": "(a=b)(c=d)"}, "filter", "is not one filter", id="two-filters"),
        pytest.param({"filter": "(a=b))"}, "filter", "is not one filter", id="closed-twice"),
        pytest.param({"filter": "(&(a=b)"}, "filter", "is not one filter", id="not-closed"),
        pytest.param({"filter": ")(a=b)("}, "filter", "is not one filter", id="turned-around"),
        pytest.param({"user_name": "uid)(x"}, "user_name", "no name of an attribute", id="attribute"),
        pytest.param({"display_name": "a b"}, "display_name", "no name of an attribute", id="display-name"),
        pytest.param(
            {"attributes": ["title", "*"]}, "attributes", "no name of an attribute", id="attributes"
        ),
        pytest.param({"ca_file": "nowhere.pem"}, "ca_file", "no readable PEM", id="no-bundle"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(settings: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        config_from_mapping(data(**settings))
    told = [str(problem) for problem in raised.value.problems if problem.key == f"users.ldap.{key}"]
    assert told, raised.value
    assert message in told[0]
    assert "cn=x:y" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "ldap://127.0.0.1:3389"},
        {"url": "ldap://localhost/"},
        {"url": "ldap://[::1]"},
        {"url": "ldap://h", "start_tls": True},
        {"url": "ldap://h", "insecure_plaintext": True},
        {"filter": "(&(objectClass=user)(!(description=a\\29b)))"},
        {"user_name": "1.2.840.113556.1.4.221"},
    ],
)
def test_what_is_right(settings: dict[str, Any]) -> None:
    assert list(uninstalled(config_from_mapping(data(**settings)))) == []


def test_the_table_and_the_source_belong_together() -> None:
    with pytest.raises(SettingsError, match=r"users\.ldap: is not asked"):
        config_from_mapping(data(source="any"))
    alone = data()
    del alone["users"]["ldap"]
    with pytest.raises(SettingsError, match=r"users\.ldap: is missing; add \[users.ldap\]"):
        config_from_mapping(alone)


def test_a_gate_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oidcgate.gate.directories.find_spec", lambda name: None)
    told = [str(problem) for problem in uninstalled(config_from_mapping(data()))]
    assert told == ["users.source: needs ldap3; pip install 'oidcgate[ldap]'"]


@pytest.mark.parametrize("way", ["ldaps", "start_tls", "loopback"])
def test_what_it_becomes_finds_people(tmp_path: Path, way: str) -> None:
    authority = Authority.create(tmp_path / "authority")
    people = [{"userName": "Alice", "displayName": "Alice Liddell"}]
    with slapd(tmp_path / "slapd", people, certificate=authority.issue("localhost")) as server:
        ways: dict[str, dict[str, Any]] = {
            "ldaps": {"url": f"ldaps://localhost:{server.tls_port}", "ca_file": str(authority.certificate)},
            "start_tls": {
                "url": f"ldap://localhost:{server.port}",
                "start_tls": True,
                "ca_file": str(authority.certificate),
            },
            "loopback": {"url": f"ldap://127.0.0.1:{server.port}"},
        }
        who = {"bind_dn": BIND_DN, "bind_password": BIND_PASSWORD, "base": BASE}
        directory = directory_of(config_from_mapping(data(**who, **ways[way])).users)
        user = directory.find("alice", now=NOW)
        assert user is not None
        assert (user.user_name, user.display_name) == ("Alice", "Alice Liddell")
        assert directory.find("mallory", now=NOW) is None
        server.kill()
        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=NOW)
