"""`oidcgate sessions revoke` asks the providers to revoke what the sessions that it ended had kept."""

import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.kept_tokens import Kept
from tests.oidcgate.gate.parts import Clock, record
from tests.support.lying_provider import ISSUER, LyingProvider

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
NOW = 1_800_000_000


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> LyingProvider:
    """One that has the endpoint, and answers the commands."""
    provider = LyingProvider(Clock(NOW))
    provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
    provider.breaks("/revoke", text="")
    monkeypatch.setattr("oidcgate.cli.opening.time.time", lambda: NOW + 60)
    monkeypatch.setattr("oidcgate.cli.opening.build", partial(build, transport=provider.adapter))
    return provider


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A gate with three sessions of Alice: two keep a refresh token, and the last an ID token alone."""
    path = tmp_path / "oidcgate.toml"
    path.write_text(
        'public_url = "https://app.example.com"\n'
        f'[provider]\nname = "Example"\nissuer = "{ISSUER}"\nclient_id = "app"\nclient_secret = "canary"\n'
        f'[users]\nsource = "any"\n[session]\nsecret = "{SECRET}"\nkeep_tokens = true\n'
    )
    parts = build(load_config(path, {}))
    with closing(parts.state):
        for number in (1, 2, 3):
            name = f"s{number}"
            refresh_token = f"canary-{name}" if number < 3 else None
            kept = Kept(name, "id-token", refresh_token=refresh_token, access_token=None)
            parts.sessions.kept_tokens.keep(kept, NOW + number)
            parts.sessions.create(record(name, "Alice", iss=ISSUER, tokens=True), NOW + number)
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["sessions", "revoke", "--config", str(config), *arguments])


def sent(provider: LyingProvider) -> list[str]:
    calls = [call for call in provider.adapter.request_history if call.url == f"{ISSUER}/revoke"]
    return sorted(dict(parse_qsl(call.text))["token"] for call in calls)


@pytest.mark.row("G-08")
def test_the_tokens_of_each_are_revoked(config: Path, provider: LyingProvider) -> None:
    result = run(config, "--user", "alice")
    assert result.exit_code == 0, result.output
    assert sent(provider) == ["canary-s1", "canary-s2"]
    assert sorted(result.stdout.splitlines()[-2:]) == [
        f"tokens of s1: revoked at {ISSUER}",
        f"tokens of s2: revoked at {ISSUER}",
    ]
    assert "canary" not in result.output
    run(config, "--user", "alice")
    assert sent(provider) == ["canary-s1", "canary-s2"], "they are gone here"


def test_of_one_session_alone(config: Path, provider: LyingProvider) -> None:
    result = run(config, "--id", "s2")
    assert result.exit_code == 0, result.output
    assert sent(provider) == ["canary-s2"]
    assert result.stdout.endswith(f"tokens of s2: revoked at {ISSUER}\n")


def test_a_provider_without_such_an_endpoint_is_named(config: Path, provider: LyingProvider) -> None:
    del provider.metadata["revocation_endpoint"]
    result = run(config, "--id", "s1")
    assert result.exit_code == 0, result.output
    told = f"tokens of s1: deleted here, not revoked: {ISSUER} has no endpoint for that"
    assert told in result.stdout
    assert "logout.tokens_not_revoked" not in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status_code": 503, "text": "later"}, id="503"),
        pytest.param({"exc": requests.ConnectionError}, id="away"),
    ],
)
def test_what_a_provider_did_not_revoke_is_told_and_the_sessions_have_ended(
    config: Path, provider: LyingProvider, answer: dict[str, Any]
) -> None:
    provider.breaks("/revoke", **answer)
    result = run(config, "--id", "s1")
    assert result.exit_code == 0, result.output
    assert "tokens of s1: deleted here, not revoked: " in result.stdout
    assert "logout.tokens_not_revoked" in result.stderr
    assert "sessions that ended: 1" in result.stdout


def test_a_token_that_was_sent_for_new_ones_is_told(config: Path, provider: LyingProvider) -> None:
    parts = build(load_config(config, {}))
    with closing(parts.state):
        kept = Kept("s1", "id-token", claim="of-a-worker", answer_by=NOW + 90)
        parts.sessions.kept_tokens.keep(kept, NOW + 50)
    result = run(config, "--id", "s1")
    assert result.exit_code == 0, result.output
    assert sent(provider) == []
    assert "tokens of s1: deleted here, not revoked: the refresh token had been sent for" in result.stdout
    assert "logout.tokens_not_revoked" in result.stderr


def test_programs_read_what_became_of_them(config: Path, provider: LyingProvider) -> None:
    result = run(config, "--user", "alice", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["session_id"]: line["tokens"] for line in lines} == {
        "s1": "revoked",
        "s2": "revoked",
        "s3": "none",
    }
