"""The settings of the pages that people see: `[pages]`, and what is wrong with the folder it names.

Templates, texts and what each page needs are `oidcgate.gate.pages`; what can be wrong with a folder of an
operator's own is found by `oidcgate.web.own_pages`.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from oidcgate.settings import Problem, setting

__all__ = ["PagesSettings", "page_problems"]


@dataclasses.dataclass(frozen=True)
class PagesSettings:
    """`[pages]`: what the gate's own pages look like and say."""

    folder: Path | None = setting(
        default=None,
        help="A folder whose templates (*.html), texts (de.toml) and style.css stand in place of ours, each "
        "file that is there.",
    )


def page_problems(settings: PagesSettings) -> Iterator[Problem]:
    """What is wrong with the templates and texts in `pages.folder`."""
    if settings.folder is None:
        return
    # Only who has pages of their own needs templates to be read before one is shown.
    from oidcgate.gate.pages import gate_pages
    from oidcgate.gate.pages.samples import PAGES_ELSEWHERE, SAMPLES
    from oidcgate.web.own_pages import own_page_faults

    for fault in own_page_faults(gate_pages(settings.folder), SAMPLES, elsewhere=PAGES_ELSEWHERE):
        yield Problem("pages.folder", str(settings.folder), fault, "mend it, or take the file away")
