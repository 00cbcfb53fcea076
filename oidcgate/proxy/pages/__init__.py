"""The proxy's one page: template, texts, and what it needs.

app_down.html (the trouble's status, page-app-down)
    site: str (where browsers reach the app); number: int (the status); repeatable: bool (asking again does
    nothing twice)

It is shown to whoever asked, so it says nothing of where the app behind is or what went wrong there: that is
in the log.
"""

from pathlib import Path
from typing import Final

from oidcgate.web.pages import Pages, packaged

#: Examples of what it is given.
SAMPLES: Final = {
    "app_down.html": tuple(
        {"site": "app.example.com", "number": 502, "repeatable": repeatable} for repeatable in (True, False)
    )
}


def proxy_pages(own: Path | None = None) -> Pages:
    """Give the proxy's pages, under those of an operator's folder; nothing is read before one is shown."""
    folder = Path(__file__).parent
    return packaged(folder) if own is None else Pages(folder=folder, own=own)
