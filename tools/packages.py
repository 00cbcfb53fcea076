"""Debian packages that the tests need: installs them where it may, else names them and stops.

Browser tests drive Debian's own chromium: no browser is ever downloaded from elsewhere. No daemon of the
system is started. Next door: bootstrap (the Python side).
"""

import ctypes.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tools.bootstrap import as_root, say


def has_fonts() -> bool:
    """Without any font a page renders as boxes and its screenshot shows nothing."""
    return any(Path("/usr/share/fonts").rglob("*.tt[fc]"))


def has_postgresql() -> bool:
    """The server's programs; Debian keeps them out of PATH."""
    return shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


# package: how to see that it is there, whoever installed it
NEEDED: Mapping[str, Callable[[], object]] = {
    "chromium": lambda: shutil.which("chromium"),
    "fonts-dejavu-core": has_fonts,
    # The Node.js that comes from PyPI, for Playwright and for the peers from npm, is linked against it.
    "libatomic1": lambda: ctypes.util.find_library("atomic"),
    "libnss3-tools": lambda: shutil.which("certutil"),
    "memcached": lambda: shutil.which("memcached"),
    "nginx": lambda: shutil.which("nginx") or Path("/usr/sbin/nginx").exists(),
    "openssl": lambda: shutil.which("openssl"),
    "postgresql": has_postgresql,
    "redis-server": lambda: shutil.which("redis-server"),
    "slapd": lambda: shutil.which("slapd") or Path("/usr/sbin/slapd").exists(),
}

# Debian's PostgreSQL makes and starts a server of its own when it is installed. Only the programs are wanted:
# the tests start their own, in a folder of their own. This setting has to be there first.
NO_SERVER = """\
mkdir -p /etc/postgresql-common/createcluster.d &&
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/programs-only.conf
"""

# Debian starts what serves as soon as it is installed, unless this file says no. It is ours for so long only;
# one that is there already is somebody else's, and speaks for itself.
POLICY = "/usr/sbin/policy-rc.d"
NOT_STARTED = """\
policy=$1; shift
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy" || exit 1
fi
"$@"
"""
# Nor at the next start of the machine. What cannot be disabled was not enabled.
NOT_ENABLED = "update-rc.d {} disable || true"
DAEMONS = ("memcached", "nginx", "redis-server", "slapd")


def missing(needed: Mapping[str, Callable[[], object]]) -> list[str]:
    return [package for package, present in needed.items() if not present()]


def steps(packages: Sequence[str]) -> Iterable[list[str]]:
    """The commands that install the packages, in order."""
    if "postgresql" in packages:
        yield ["sh", "-c", NO_SERVER]
    yield ["apt-get", "update", "-qq"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    yield ["sh", "-c", NOT_STARTED, "sh", POLICY, *install]
    for daemon in DAEMONS:
        if daemon in packages:
            yield ["sh", "-c", NOT_ENABLED.format(daemon)]


def install(packages: Sequence[str], prefix: Sequence[str]) -> bool:
    # sudo drops the environment, so the variable is set behind it.
    quiet = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
    return all(
        subprocess.run([*quiet, *step], stdout=sys.stderr, check=False).returncode == 0
        for step in steps(packages)
    )


def main() -> int:
    packages = missing(NEEDED)
    if not packages:
        return 0
    names = " ".join(packages)
    prefix = as_root()
    if prefix is None or shutil.which("apt-get") is None:
        say(f"The tests need: {names}. Install them (Debian: apt-get install {names}), then run this again.")
        return 1
    say(f"Installing Debian packages for the tests: {names} ...")
    if not install(packages, prefix) or missing(NEEDED):
        say(f"apt-get could not install: {names} (its own words stand above).")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
