"""The commands of `oidcgate`, one module each; `main` is the group that `python -m oidcgate` runs."""

import click

from oidcgate.cli.check import check
from oidcgate.cli.doctor import doctor
from oidcgate.cli.explain import explain
from oidcgate.cli.init import init
from oidcgate.cli.secret import secret
from oidcgate.cli.serve import serve
from oidcgate.cli.sessions import sessions
from oidcgate.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="oidcgate")
def main() -> None:
    """OpenID Connect in front of an app: prepares and checks its configuration, and serves the sidecar."""


main.add_command(check)
main.add_command(doctor)
main.add_command(explain)
main.add_command(init)
main.add_command(secret)
main.add_command(serve)
main.add_command(sessions)
main.add_command(users)
