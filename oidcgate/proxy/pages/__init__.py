"""The proxy's one page: template, texts, and what it needs.

app_down.html (the trouble's status, page-app-down)
    site: str (where browsers reach the app); number: int (the status); repeatable: bool (asking again does
    nothing twice)

It is shown to whoever asked, so it says nothing of where the app behind is or what went wrong there: that is
in the log.
"""

from pathlib import Path

from oidcgate.web.pages import Pages


def proxy_pages() -> Pages:
    """Give the proxy's pages; nothing is read before the first one is shown."""
    return Pages(folder=Path(__file__).parent)
