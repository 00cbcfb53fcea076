"""`oidcgate doctor` at a real provider and a real gate, in one process; and with each part of them spoilt."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import format_date_time

import pytest

from oidcgate.cli.doctor import as_text, doctor_of
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.diagnosis import Finding, Verdict
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.storage.sql import SqlStore
from tests.support.servers import ROOT
from tests.support.sites import (
    APP,
    CLIENT_SECRET,
    GATE_SECRET,
    ISSUER,
    Sites,
    make_sites,
    write_directory,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass
class Patient:
    """A gate to be examined, in front of the real provider.

    Attributes:
        settings: of the gate that the doctor reads; the gate that is deployed has the right ones.
        provider_ahead_seconds: how wrong the provider's clock is.
        front: what stands between the doctor and the deployed gate.
    """

    sites: Sites
    settings: dict[str, Any]
    provider_ahead_seconds: float = 0
    front: "Callable[[WSGIApplication], WSGIApplication]" = lambda app: app

    def findings(self) -> list[Finding]:
        parts = build(config_from_mapping(self.settings), clock=self.sites.clock, provider_app=self._provider)
        rules = AddressRules(trusted_hosts=frozenset({"app.test", "wiki.test"}))
        outside = Fetcher(rules, adapter=WSGIAdapter(self.front(self.sites.gate)))
        return list(doctor_of(parts, outside, lambda size: b"\7" * size).examine())

    def wrong(self) -> list[tuple[str, str, str]]:
        return [(one.subject, one.says, one.fix) for one in self.findings() if one.verdict is Verdict.WRONG]

    def doubts(self) -> list[str]:
        return [one.says for one in self.findings() if one.verdict is Verdict.DOUBT]

    def _provider(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        def with_date(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            date = format_date_time(self.sites.clock() + self.provider_ahead_seconds)
            return start_response(status, [*headers, ("Date", date)], exc_info)

        return self.sites.call_provider(environ, with_date)


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    settings = {
        "public_url": APP,
        "provider": {"issuer": ISSUER, "client_id": "gate", "client_secret": CLIENT_SECRET},
        "users": {"source": f"file:{write_directory(tmp_path)}"},
        "session": {"secret": GATE_SECRET},
        "state": {"store": f"sqlite:///{tmp_path / 'state.db'}"},
    }
    made = Patient(make_sites(tmp_path), settings)
    SqlStore(f"sqlite:///{tmp_path / 'state.db'}").get("readyz", "readyz", now=0)
    return made


def test_a_gate_that_works_is_found_healthy(patient: Patient) -> None:
    found = patient.findings()

    assert [one for one in found if one.verdict is not Verdict.FINE] == []
    assert [(one.subject, one.says) for one in found] == [
        ("state store", "sqlite keeps what it is given"),
        ("sessions", "sealed answers"),
        ("directory", "file answers"),
        (ISSUER, "its discovery document is that of this issuer"),
        (ISSUER, "its clock and this one agree"),
        (ISSUER, "1 key(s) for RS256"),
        (ISSUER, "takes the client's proof at its token endpoint"),
        (ISSUER, f"knows the redirect URI {APP}/.oidcgate/callback"),
        ("public URL", f"{APP} leads to a gate"),
        ("cookies", "arrive as they were set: Secure, HttpOnly"),
    ]


def test_the_page_about_it_shows_what_it_prints(patient: Patient) -> None:
    page = (ROOT / "docs" / "how-to" / "doctor.md").read_text()
    _, healthy, ill = [block.partition("```")[0].strip() for block in page.split("```text")]

    assert healthy == "\n".join(map(as_text, patient.findings()))
    patient.settings["provider"]["client_secret"] = "another-secret-0123456789-abcdefghijklmnopqrst"
    patient.settings["public_url"] = "https://app.test:8443"
    wrong = [as_text(one) for one in patient.findings() if one.verdict is not Verdict.FINE]
    assert ill == "\n".join(wrong)


def test_each_host_is_looked_at(patient: Patient) -> None:
    """The gate that is deployed, and the client at the IdP, know the first host alone."""
    del patient.settings["public_url"]
    patient.settings["public_urls"] = [APP, "https://wiki.test"]

    found = patient.findings()
    fine = {(one.subject, one.says) for one in found if one.verdict is Verdict.FINE}
    assert (ISSUER, f"knows the redirect URI {APP}/.oidcgate/callback") in fine
    assert (f"public URL {APP}", f"{APP} leads to a gate") in fine
    wrong = [one for one in found if one.verdict is Verdict.WRONG]
    assert "https://wiki.test/.oidcgate/callback" in wrong[0].fix
    assert [(one.subject, one.says) for one in wrong] == [
        (ISSUER, "refuses the request itself (status 400)"),
        (
            "public URL https://wiki.test",
            f"the gate that answers there names another redirect URI: {APP}/.oidcgate/callback",
        ),
        ("cookies https://wiki.test", "a sign-in sets no cookie of this gate"),
    ]


def test_a_proxy_that_passes_another_host_on(patient: Patient, tmp_path: Path) -> None:
    def rewritten(app: "WSGIApplication") -> "WSGIApplication":
        return lambda environ, start_response: app({**environ, "HTTP_HOST": "10.0.0.5"}, start_response)

    urls = {"public_url": None, "public_urls": [APP, "https://wiki.test"]}
    (tmp_path / "two").mkdir()
    patient.sites = make_sites(tmp_path / "two", **urls)
    patient.front = rewritten
    assert patient.wrong() == [
        (
            "public URL",
            "requests arrive there for another host (status 421)",
            "have whatever stands in front pass Host on as it came, and let the gate there read this "
            "configuration",
        )
    ]


def test_an_examination_leaves_nobody_signed_in_and_nothing_in_the_store(patient: Patient) -> None:
    patient.findings()

    assert not [event for event in patient.sites.event_names() if "token" in event]
    assert patient.sites.app.calls == []


@pytest.mark.parametrize(
    ("changes", "says", "fix"),
    [
        pytest.param(
            {"client_secret": "another-secret-0123456789-abcdefghijklmnopqrst"},
            "does not believe who this client is (invalid_client)",
            "its secret or key",
            id="secret",
        ),
        pytest.param(
            {"client_id": "nobody"}, "refuses the request itself (status 400)", "register", id="client"
        ),
        pytest.param(
            {"scopes": ["openid", "profile", "email", "sales"]}, "does not offer sales", "enable", id="scope"
        ),
        pytest.param({"id_token_algorithms": ["ES512"]}, "signs with none of", "add one of", id="algorithms"),
    ],
)
def test_what_the_provider_does_not_take(
    patient: Patient, changes: dict[str, Any], says: str, fix: str
) -> None:
    patient.settings["provider"].update(changes)

    assert any(says in one[1] and fix in one[2] for one in patient.wrong()), patient.wrong()


def test_a_redirect_uri_that_is_not_registered(patient: Patient) -> None:
    patient.settings["public_url"] = "https://other.test"

    wrong = patient.wrong()
    assert (
        ISSUER,
        "refuses the request itself (status 400)",
        "register the redirect URI https://other.test/.oidcgate/callback there, byte for byte, and compare "
        "provider.client_id",
    ) in wrong


def test_an_issuer_that_is_another(patient: Patient) -> None:
    patient.settings["provider"]["issuer"] = f"{ISSUER}/r/other"

    ((subject, says, fix),) = patient.wrong()
    assert subject == f"{ISSUER}/r/other"
    assert "discovery document cannot be used" in says
    assert fix == "correct provider.issuer, or the IdP"


def test_a_provider_that_is_down(patient: Patient) -> None:
    patient.sites.provider_is_up = False

    (subject, _, fix), (other, says, _) = patient.wrong()
    assert (subject, fix) == (ISSUER, "see that it can be reached")
    assert (other, says) == ("public URL", "a sign-in there ends at once (status 503)")


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(3, "doubt"), (299, "doubt"), (301, "wrong"), (-301, "wrong")]
)
def test_a_clock_that_is_off(patient: Patient, seconds: int, verdict: str) -> None:
    patient.settings["provider"]["clock_skew_seconds"] = 300
    patient.provider_ahead_seconds = seconds

    says = (
        f"its clock is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} this one; 300 s are borne"
    )
    told = patient.doubts() if verdict == "doubt" else [one[1] for one in patient.wrong()]
    assert told == [says]


def with_cookies(change: Callable[[str], str]) -> "Callable[[WSGIApplication], WSGIApplication]":
    """A proxy that spoils Set-Cookie."""

    def around(app: "WSGIApplication") -> "WSGIApplication":
        def spoilt(environ: Any, start_response: Any) -> Iterable[bytes]:
            def changed(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                kept = [
                    (name, change(value) if name == "Set-Cookie" else value)
                    for name, value in headers
                    if name != "Set-Cookie" or change(value)
                ]
                return start_response(status, kept, exc_info)

            return app(environ, changed)

        return spoilt

    return around


@pytest.mark.row("G-12")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda _: "", "a sign-in sets no cookie of this gate", id="taken-away"),
        pytest.param(
            lambda cookie: cookie.replace("; Secure", ""), "arrives without secure", id="not-secure"
        ),
        pytest.param(
            lambda cookie: cookie.replace("SameSite=Lax", "SameSite=Strict"),
            "arrives without samesite=lax",
            id="strict",
        ),
        pytest.param(lambda cookie: cookie + "; Domain=test", "arrives with a Domain", id="domain"),
        pytest.param(
            lambda cookie: cookie.replace("Path=/.oidcgate/", "Path=/"),
            "arrives without path=/.oidcgate/",
            id="path",
        ),
    ],
)
def test_a_proxy_that_spoils_cookies(patient: Patient, change: Callable[[str], str], says: str) -> None:
    patient.front = with_cookies(change)

    ((subject, said, fix),) = patient.wrong()
    assert subject == "cookies"
    assert says in said
    assert "pass Set-Cookie on as it is" in fix


def another_app(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("404 Not Found", [])
    yield b""


def test_something_else_at_the_public_url(patient: Patient) -> None:
    patient.front = lambda _: another_app

    ((subject, says, _),) = patient.wrong()
    assert subject == "public URL"
    assert "answers 404, which is no gate" in says


def test_a_public_url_that_cannot_be_reached(patient: Patient) -> None:
    def down(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ConnectionError

    patient.front = lambda _: down

    assert patient.wrong() == []
    (says,) = patient.doubts()
    assert says.startswith("cannot be reached from here")


def test_a_gate_with_another_configuration_at_the_public_url(patient: Patient) -> None:
    patient.settings["provider"]["client_id"] = "another"

    assert ("public URL", "the gate that answers there names another client id: gate") in [
        one[:2] for one in patient.wrong()
    ]


def test_a_store_that_is_not_there_yet_is_not_made(patient: Patient, tmp_path: Path) -> None:
    for file in tmp_path.glob("state.db*"):
        file.unlink()
    patient.settings["session"]["store"] = f"sqlite:///{tmp_path / 'sessions.db'}"

    says = [(one.subject, one.says) for one in patient.findings()[:2]]
    assert says[0] == ("state store", "sqlite: its file is not there yet; nobody has signed in")
    assert not list(tmp_path.glob("state.db*")) + list(tmp_path.glob("sessions.db*"))


def test_stores_and_directory_that_do_not_answer(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "users.toml").unlink()
    (tmp_path / "state.db").unlink(missing_ok=True)
    (tmp_path / "state.db").mkdir()

    subjects = [one[0] for one in patient.wrong()]
    assert subjects[0] == "state store"
    assert "directory" in subjects
