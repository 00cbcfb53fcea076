"""Templates and texts of an operator's own, over those of one side: what is wrong with them.

How they are found and rendered is `pages` next door; which pages there are, and examples of what each is
given, is each side's own `pages` package.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from oidcgate.web.messages import CatalogueError
from oidcgate.web.pages import SHARED_FOLDER, Pages

__all__ = ["own_page_faults"]

#: What a page is given, by its template: examples that between them reach every branch of it.
Samples = Mapping[str, Sequence[Mapping[str, object]]]


def own_page_faults(pages: Pages, samples: Samples, *, elsewhere: Collection[str] = ()) -> Iterator[str]:
    """What is wrong with the folder of templates and texts that stands over these pages.

    Every page that could be shown is rendered, in every language: whatever a template lacks is an error here
    and not on the page that a person needs.

    Args:
        samples: of every page of this side.
        elsewhere: names of pages of other sides, whose templates may lie in the same folder.

    Yields:
        `FILE: what is wrong`; nothing when there is no such folder or all is right.
    """
    folder = pages.own
    if folder is None:
        return
    if not folder.is_dir():
        yield "is not a folder"
        return
    known = {*samples, *elsewhere, *(path.name for path in SHARED_FOLDER.glob("*.html"))}
    for path in sorted(folder.glob("*.html")):
        if path.name not in known and not path.name.startswith("_"):
            yield f"{path.name}: is no page's name; give what others include a name that begins with _"
    try:
        languages = pages.messages.languages
    except CatalogueError as error:
        yield from str(error).splitlines()
        return
    for template, contexts in samples.items():
        found = (_fault(pages, template, languages, context) for context in contexts)
        fault = next(filter(None, found), None)
        if fault is not None:
            yield f"{template}: {fault}"


def _fault(
    pages: Pages, template: str, languages: Collection[str], context: Mapping[str, object]
) -> str | None:
    for language in languages:
        try:
            pages.render(template, language=language, **context)  # type: ignore[arg-type]  # as a page is given it
        except Exception as error:  # whatever a template does, it must not do it in front of a person
            # Of a few lines the first says it.
            return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None
