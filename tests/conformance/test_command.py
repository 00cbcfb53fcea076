"""`python -m tests.conformance`: what it reads, prints and ends with."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.__main__ import main, possible, table
from tests.conformance.conftest import Certification
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import NEEDS, PLANS, lacking
from tests.conformance.op.target import BackchannelClient, Client, Receiving, Registration, Target, User
from tests.conformance.roles import Judged
from tests.conformance.rp import plans as rp_plans
from tests.conformance.rp.target import RelyingParty
from tests.conformance.target_files import ALWAYS, FOR_SOME, BadTarget, read_relying_party, read_target


def described(target: Target) -> str:
    tables = {name: getattr(target, name) for name in (*ALWAYS, *FOR_SOME)}
    return f'issuer = "{target.issuer}"\nca_file = "{target.ca_file}"\n' + "".join(
        f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in vars(table).items())
        for name, table in tables.items()
        if table is not None
    )


def judged(target: Target) -> Judged:
    return Judged(target.issuer, lambda plan: lacking(plan, target), lambda plans, module: iter(()))


CLIENT = Client("app", "its-secret", "https://app.example/cb")
TARGET = Target("https://id.example", CLIENT, CLIENT, CLIENT, User("alice", "her-password"), "ca.pem")
TOLD = BackchannelClient(*vars(CLIENT).values(), "https://app.example/bye", "https://app.example/told")
RECEIVER = Receiving("https://app.example", "0.0.0.0:8443", "app.pem", "app.key")


@pytest.mark.row("P-39")
def test_a_target_is_read(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described(TARGET))

    target = read_target(path)

    assert (target.issuer, target.basic, target.user) == ("https://id.example", CLIENT, TARGET.user)
    assert target.ca_file == str(tmp_path / "ca.pem")


@pytest.mark.row("P-39")
def test_so_is_what_some_plans_need(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    more = replace(TARGET, backchannel=TOLD, receiver=RECEIVER, registration=Registration("t"))
    path.write_text('rotate_command = ["ssh", "id", "rotate keys"]\n' + described(more))

    target = read_target(path)

    assert target.rotate_command == ("ssh", "id", "rotate keys")
    assert (target.backchannel, target.registration) == (TOLD, Registration("t"))
    assert target.receiver == replace(
        RECEIVER, certificate=str(tmp_path / "app.pem"), key=str(tmp_path / "app.key")
    )


@pytest.mark.row("P-39")
def test_without_plans_those_are_run_that_the_target_has_tables_for() -> None:
    everywhere = [plan for plan in PLANS if plan not in NEEDS]

    assert possible(None, PLANS, judged(TARGET)) == everywhere
    assert possible(None, PLANS, judged(replace(TARGET, backchannel=TOLD, receiver=RECEIVER))) == [
        *everywhere,
        "backchannel",
    ]


@pytest.mark.row("P-39")
def test_a_plan_is_refused_that_the_target_has_nothing_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described(TARGET))

    assert main(["--target", str(path), "--plans", "dynamic"]) == 2
    assert "the plan dynamic needs [receiver] and [registration]" in capsys.readouterr().err


@pytest.mark.row("P-39")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("[user]", "[user", "target.toml", id="no-toml"),
        pytest.param("issuer", "isuer", "isuer", id="unknown-name"),
        pytest.param('issuer = "https://id.example"', "", "issuer is missing", id="no-issuer"),
        pytest.param("[second]", "[other]", "other", id="unknown-table"),
        pytest.param('password = "her-password"', "", "[user] has to have name, password", id="no-password"),
        pytest.param("redirect_uri", "redirect_uris", "[basic] has to have", id="misspelt"),
        pytest.param("[user]", "[registration]\n[user]", "[registration] has to have", id="no-token"),
        pytest.param("[user]", "[logout]\n[user]", "[logout] has to have", id="no-client"),
        pytest.param('issuer = "', 'rotate_command = "x"\nissuer = "', "not a list of words", id="one-word"),
    ],
)
def test_a_target_that_lacks_something_says_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described(TARGET).replace(old, new))

    with pytest.raises(BadTarget) as raised:
        read_target(path)
    assert said in str(raised.value)
    assert main(["--target", str(path)]) == 2
    assert said in capsys.readouterr().err


PARTY = RelyingParty(
    "app",
    "its-secret",
    login="https://app.example/login?iss={issuer}",
    initiate_login="https://app.example/login",
    redirect_uri="https://app.example/cb",
    page="https://app.example/page",
    watched="https://app.example/watched",
    logout="https://app.example/logout",
    post_logout_redirect_uri="https://app.example/bye",
    backchannel_logout="https://app.example/backchannel",
    frontchannel_logout="https://app.example/frontchannel",
    ca_file="ca.pem",
)


def described_party(rp: RelyingParty, provider: Receiving) -> str:
    unwritten = ("ca_file", "set_ahead")
    values = {name: value for name, value in vars(rp).items() if value and name not in unwritten}
    return f'ca_file = "{rp.ca_file}"\n' + "".join(
        f"[{table}]\n" + "".join(f'{key} = "{value}"\n' for key, value in those.items())
        for table, those in (("relying_party", values), ("provider", vars(provider)))
    )


@pytest.mark.row("G-24")
def test_a_relying_party_is_read_and_may_lack_what_some_plans_need(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described_party(replace(PARTY, backchannel_logout="", initiate_login=""), RECEIVER))

    described = read_relying_party(path)

    rp = replace(PARTY, backchannel_logout="", initiate_login="", ca_file=str(tmp_path / "ca.pem"))
    assert described.rp == rp
    assert described.provider.certificate == str(tmp_path / "app.pem")
    assert rp_plans.lacking("backchannel", rp) == ["backchannel_logout"]
    assert {plan for plan in rp_plans.PLANS if rp_plans.lacking(plan, rp)} == {"backchannel", "3rdparty-init"}


@pytest.mark.row("G-24")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "page =", "pages =", "[relying_party] has to have client_id, client_secret", id="misspelt"
        ),
        pytest.param(
            "redirect_uri", "redirect_urls", "and may have backchannel_logout", id="no-redirect-uri"
        ),
        pytest.param('ca_file = "ca.pem"', "", "ca_file is missing", id="no-authority"),
        pytest.param("[provider]", "[op]", "unknown: ['op']", id="unknown-table"),
        pytest.param("listen", "listens", "[provider] has to have certificate, key", id="no-address"),
    ],
)
def test_a_relying_party_that_lacks_something_says_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described_party(PARTY, RECEIVER).replace(old, new))

    assert main(["--role", "rp", "--target", str(path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.row("P-39")
def test_the_table_names_each_outcome_and_counts_them() -> None:
    outcomes = [
        Outcome("basic", "code", "oidcc-server", "passed"),
        Outcome("basic", "code", "oidcc-idtoken-unsigned", "skipped", ("not offered",)),
        Outcome("implicit", "id_token", "oidcc-server", "failed", ("nonce is None [OIDC Core 3.1.3.7]",)),
        Outcome("implicit", "id_token", "oidcc-scope-email", "warning", ("email is missing",)),
    ]

    lines = list(table(iter(outcomes)))

    assert [line.split() for line in lines if "oidcc-" in line] == [[o.module, o.result] for o in outcomes]
    assert [line.strip() for line in lines if line.strip() in ("basic, code", "implicit, id_token")]
    assert "      nonce is None [OIDC Core 3.1.3.7]" in lines
    assert lines[-1] == "\n1 passed, 1 failed, 1 warning, 1 skipped"


@pytest.mark.row("P-39")
def test_an_unknown_plan_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--plans", "basics"])
    assert "basics is not of basic, config" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--role", "rp", "--plans", "implicit"])
    assert "implicit is not of basic, formpost-basic" in capsys.readouterr().err


@pytest.mark.row("P-39", "S-17")
@pytest.mark.live
@pytest.mark.slow
@pytest.mark.xdist_group("conformance-ours")
def test_a_provider_that_a_file_describes_is_judged(
    ours: Certification, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "target.toml"
    path.write_text(described(ours.target))

    assert main(["--target", str(path), "--plans", "config"]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    # A client that nobody knows there, a person who is somebody else's.
    path.write_text(described(ours.target).replace('client_id = "basic"', 'client_id = "nobody"'))
    assert main(["--target", str(path), "--plans", "basic", "--module", "oidcc-server"]) == 1
    assert "no answer came to the client but a page with status 400" in capsys.readouterr().out
