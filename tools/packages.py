"""Debian packages that the tests need: installs them where it may, else names them and stops.

Browser tests drive Debian's own chromium: no browser is ever downloaded from elsewhere.
Next door: bootstrap (the Python side).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.bootstrap import as_root, say


def has_fonts() -> bool:
    """Without any font a page renders as boxes and its screenshot shows nothing."""
    return any(Path("/usr/share/fonts").rglob("*.tt[fc]"))


# package: how to see that it is there, whoever installed it
NEEDED: Mapping[str, Callable[[], object]] = {
    "chromium": lambda: shutil.which("chromium"),
    "openssl": lambda: shutil.which("openssl"),
    "libnss3-tools": lambda: shutil.which("certutil"),
    "fonts-dejavu-core": has_fonts,
}


def missing(needed: Mapping[str, Callable[[], object]]) -> list[str]:
    return [package for package, present in needed.items() if not present()]


def install(packages: Sequence[str], prefix: Sequence[str]) -> bool:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run([*prefix, "apt-get", *step], env=environ, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            return False
    return True


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
