"""Debian's Chromium for tests: a fresh profile, a throwaway authority, names that lead to this machine.

The certificates come from :mod:`tests.support.tls`, the servers from :mod:`tests.support.servers`.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@contextmanager
def chromium(
    folder: Path,
    *,
    authority: Path | None = None,
    hosts: Sequence[str] = (),
    switches: Sequence[str] = (),
    block_third_party_cookies: bool = False,
    dark: bool = False,
    scripts: bool = True,
    width: int = 1280,
    height: int = 800,
) -> Iterator[BrowserContext]:
    """Run a browser with a profile of its own.

    Args:
        folder: where the profile and its certificate store are made.
        authority: a PEM certificate that this browser alone trusts.
        hosts: names that lead to 127.0.0.1.
        switches: of the command line, beside those that it always has.
        block_third_party_cookies: as the setting of the same name in the browser.
        dark: prefer dark pages.
        scripts: False: run no JavaScript.
        width: of the window, in pixels.
        height: of the window, in pixels.
    """
    home = folder / "home"
    profile = folder / "profile"
    home.mkdir(parents=True)
    preferences = profile / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(
        json.dumps(
            {
                "profile": {  # both ways are said: what a fresh profile does has changed between releases
                    "block_third_party_cookies": block_third_party_cookies,
                    "cookie_controls_mode": 1 if block_third_party_cookies else 0,
                    "default_content_setting_values": {"cookies": 1},
                }
            }
        )
    )
    if authority is not None:
        _trust(home, authority)
    rules = ", ".join(f"MAP {host} 127.0.0.1" for host in hosts)
    arguments = [*ARGUMENTS, *switches, *([f"--host-resolver-rules={rules}"] if rules else [])]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=EXECUTABLE,
            headless=True,
            args=arguments,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            viewport={"width": width, "height": height},
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            context.close()


def page_of(context: BrowserContext) -> Page:
    """The page that the browser opened with."""
    return context.pages[0] if context.pages else context.new_page()


def _trust(home: Path, authority: Path) -> None:
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (
        ["certutil", "-N", "-d", f"sql:{store}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{store}", "-t", "C,,", "-n", "throwaway", "-i", str(authority)],
    ):
        subprocess.run(command, check=True, capture_output=True)
