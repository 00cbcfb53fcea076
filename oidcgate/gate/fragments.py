"""The `#fragment` of an address, kept through a sign-in by the browser itself (G-11).

A server never sees a fragment, and providers lose it. So a browser that runs scripts passes a small page on
its way to the provider: what stands behind the `#` is put into the storage of its tab, under a key that the
attempt remembers sealed; on its way back a second such page puts it where it was. Nobody is sent it, and
whoever has none passes one page and no second. Scripts are allowed by their hash, which is a nonce that
nobody can send again.
"""

import base64
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from werkzeug import Response

from oidcgate.gate.answers import Answers

__all__ = ["Fragments"]

_KEY_BYTES: Final = 16

# `replace` leaves no entry behind in the history: "back" leads to the page before the sign-in.
_SAVE: Final = """
(function () {
  var link = document.getElementById("continue"), next = link.href, hash = location.hash;
  if (hash.length > 1) {
    try {
      sessionStorage.setItem("oidcgate.fragment." + link.dataset.key, hash);
      next += link.dataset.key;
    } catch (refused) {}
  }
  location.replace(next);
})();
"""
_RESTORE: Final = """
(function () {
  var link = document.getElementById("continue"), name = "oidcgate.fragment." + link.dataset.key, hash = "";
  try {
    hash = sessionStorage.getItem(name) || "";
    sessionStorage.removeItem(name);
  } catch (refused) {}
  location.replace(link.href + (hash.charAt(0) === "#" ? hash : ""));
})();
"""


@dataclasses.dataclass(frozen=True)
class Fragments:
    """The two pages.

    Attributes:
        wanted: whether fragments are kept at all.
        random_bytes: unpredictable bytes, for the keys.
    """

    answers: Answers
    wanted: bool
    random_bytes: Callable[[int], bytes]

    def save(self, environ: Mapping[str, Any], url: str) -> Response | None:
        """The page that looks for a fragment and goes on to `url`, which ends where the key is to follow.

        Returns:
            None for whom there is none to keep: who runs no scripts, or does not show a page of its own.
        """
        if not self.wanted or environ.get("HTTP_SEC_FETCH_DEST") != "document":
            return None
        key = base64.urlsafe_b64encode(self.random_bytes(_KEY_BYTES)).rstrip(b"=").decode()
        return self._page(environ, url, key, _SAVE)

    def restore(self, environ: Mapping[str, Any], url: str, key: str) -> Response:
        """The page that goes on to `url` with the fragment that was kept under `key`."""
        return self._page(environ, url, key, _RESTORE)

    def _page(self, environ: Mapping[str, Any], url: str, key: str, script: str) -> Response:
        page = self.answers.page("passing.html", environ, script=script, url=url, key=key)
        # Passed in a popup too, and its opener must find it again when it is signed in.
        page.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return page
