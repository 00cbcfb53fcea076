"""Real Chromium for what needs scripts and frames."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from tests.conformance.rp.run import Run
from tests.support.chromium import chromium


class Windows:
    """One Chromium for all modules that need one: started by the first, ended by `close`."""

    def __init__(self, ca_file: str) -> None:
        """Name what it believes.

        Args:
            ca_file: a PEM certificate of the authority of the relying party and of the modules' provider.
        """
        self._ca_file = Path(ca_file)
        self._stack = ExitStack()

    def close(self) -> None:
        """End the browser."""
        self._stack.close()

    @cached_property
    def _context(self) -> BrowserContext:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self._stack.enter_context(chromium(folder / "browser", authority=self._ca_file))

    @contextmanager
    def window(self) -> Iterator[Page]:
        """A window in a browser that was never anywhere, until the block ends."""
        context = self._context
        context.clear_cookies()
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        try:
            yield tab
        finally:
            tab.close()


@contextmanager
def window(run: Run) -> Iterator[Page]:
    """A window for a module: of the Chromium that its run was given, or of one of its own."""
    windows = run.windows or Windows(run.rp.ca_file)
    try:
        with windows.window() as tab:
            yield tab
    finally:
        if windows is not run.windows:
            windows.close()
