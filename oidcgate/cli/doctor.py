"""`oidcgate doctor`: does what the configuration names work, from here and from outside?"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click

from oidcgate.cli.opening import config_option
from oidcgate.cli.problems import end_with, told
from oidcgate.gate.build import build
from oidcgate.gate.bundles import bundle_problems
from oidcgate.gate.config import load_config
from oidcgate.gate.diagnosis import Finding, Verdict
from oidcgate.gate.directories import known_users_check
from oidcgate.gate.doctor import Doctor
from oidcgate.gate.installed import uninstalled
from oidcgate.gate.parts import GateParts
from oidcgate.gate.stores import store_check
from oidcgate.net.fetch import AddressRules, Fetcher


@click.command()
@config_option
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates to trust at the public URL in place of the public ones.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def doctor(path: Path, ca_file: Path | None, as_json: bool) -> None:
    """Ask stores, directory, IdP and the gate at its public URL, and say what to mend.

    Asks each IdP for tokens with a made-up code, to see whether it knows this client. Exit status 1 when
    something is found that keeps people out or is not safe.
    """
    # What is told below needs no second telling by the log.
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        checks = uninstalled, known_users_check(path), store_check(path, os.environ)
        parts = build(load_config(path, os.environ, checks=checks))
        end_with(bundle_problems(ca_file))
    hosts = frozenset(urlsplit(there.config.public_url).hostname or "" for there in parts.at_each_host)
    rules = AddressRules(trusted_hosts=hosts, insecure_allow_http_loopback=not parts.config.secure)
    found: list[Finding] = []
    for finding in doctor_of(parts, Fetcher(rules, ca_file=ca_file), os.urandom).examine():
        found.append(finding)
        click.echo(json.dumps(asdict(finding)) if as_json else as_text(finding))
    wrong = sum(one.verdict is Verdict.WRONG for one in found)
    if not as_json:
        doubts = sum(one.verdict is Verdict.DOUBT for one in found)
        click.echo(f"{len(found)} looked at: {wrong} problem(s), {doubts} warning(s).")
    if wrong:
        raise SystemExit(1)


def doctor_of(parts: GateParts, outside: Fetcher, random_bytes: Callable[[int], bytes]) -> Doctor:
    """Who looks at this gate; see `Doctor`."""
    return Doctor(
        config=parts.config,
        names=parts.names,
        users=parts.users,
        sessions=parts.sessions,
        state=parts.state,
        relying_parties=parts.relying_parties.values(),
        clock=parts.clock,
        outside=outside,
        random_bytes=random_bytes,
        elsewhere=tuple(doctor_of(there, outside, random_bytes) for there in parts.elsewhere),
    )


def as_text(finding: Finding) -> str:
    """A finding as people read it; the fix on a line of its own."""
    line = f"{finding.verdict:<8} {finding.subject}: {finding.says}"
    return f"{line}\n{'':<8} fix: {finding.fix}" if finding.fix else line
