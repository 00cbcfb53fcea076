"""Pages that a person sees: templates rendered into answers that carry a strict Content-Security-Policy.

Lives here: the one way from a template to a werkzeug Response, its security headers, and the look shared by
both sides (`templates/`). Not here: the texts (`messages` next door), CSRF tokens (`csrf` next door), which
page to show and when (each side's own `pages` package lists its templates and what they need).
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oidcgate.web import messages as catalogue
from oidcgate.web.messages import Messages

if TYPE_CHECKING:
    import jinja2
    import markupsafe
    import werkzeug

SHARED_FOLDER = Path(__file__).parent / "templates"

# What a host may be written with in a policy. Anything else could end the directive (`;`) or the header.
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_SCHEME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+-.")

# With all other headers below the 4096 bytes that some proxies take.
_MOST_FRAME_CHARACTERS = 2048


@dataclass(frozen=True)
class Pages:
    """The pages of one side: the templates and catalogues of its folder over the shared ones.

    Attributes:
        folder: holds the templates (`*.html`) and catalogues (`<language>.toml`) of this side.
        own: an operator's folder, whose templates, texts and `style.css` go before ours; `own_pages` next
            door says what is wrong with it.
        opener_policy: value of Cross-Origin-Opener-Policy. `same-origin` cuts the page off from a window that
            opened it; a provider that is signed in to through a popup needs `unsafe-none`, because the cut
            outlives the page and the application would wait for its popup for ever.
    """

    folder: Path
    own: Path | None = None
    opener_policy: str = "same-origin"

    @cached_property
    def messages(self) -> Messages:
        """Every text of these pages; read once, on first use."""
        return catalogue.load((SHARED_FOLDER, self.folder), own=self.own)

    @cached_property
    def environment(self) -> "jinja2.Environment":
        """The templates; made once, on first use, so that importing costs nothing."""
        import jinja2

        return jinja2.Environment(
            loader=jinja2.FileSystemLoader([*filter(None, [self.own]), self.folder, SHARED_FOLDER]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    @cached_property
    def style(self) -> str:
        """The whole style sheet; it is written into each page, so a page needs nothing but itself."""
        own = None if self.own is None else self.own / "style.css"
        path = own if own is not None and own.is_file() else SHARED_FOLDER / "style.css"
        return path.read_text(encoding="utf-8")

    def render(
        self,
        template: str,
        *,
        status: int = 200,
        language: str,
        form_action: Iterable[str] = (),
        frame_src: Iterable[str] = (),
        script: str = "",
        images: Iterable[str] = (),
        **context: object,
    ) -> "werkzeug.Response":
        """Render one page.

        Args:
            template: file name in this side's folder.
            status: HTTP status of the answer.
            language: one of the catalogue's languages, from `messages.negotiate`.
            form_action: URLs that a form of this page may lead to besides this origin, redirects after the
                POST included: Chromium applies the policy to every hop. A URL counts with its origin;
                `https:` alone allows every https origin, for a chain of hops nobody can list.
            frame_src: URLs that frames of this page load; each counts with its origin.
            script: the one inline script this page runs, allowed by its hash and given to the template as
                `script`.
            images: URLs of the images that this page shows; any of the same origins may load.
            context: what the template needs; its first lines say what that is.

        Raises:
            ValueError: a URL of the policy is no absolute one.
            jinja2.UndefinedError: the template needs a name that is not in `context`.
        """
        import markupsafe
        import werkzeug

        body = self.environment.get_template(template).render(
            context,
            language=language,
            style=markupsafe.Markup(self.style),  # noqa: S704 (our own file)
            script=markupsafe.Markup(script),  # noqa: S704 (written by us, named by its hash)
            t=partial(self._text, language),
        )
        response = werkzeug.Response(body, status=status, content_type="text/html; charset=utf-8")
        response.headers["Content-Language"] = language
        response.headers["Content-Security-Policy"] = content_security_policy(
            style=self.style, script=script, form_action=form_action, frame_src=frame_src, images=images
        )
        response.headers["Cache-Control"] = "no-store"
        # Never a path or a query (a code may be in it), yet not `no-referrer`: that would make the browser
        # send `Origin: null` with our own forms, and a check of Origin could not tell them from a stranger's.
        response.headers["Referrer-Policy"] = "strict-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Cross-Origin-Opener-Policy"] = self.opener_policy
        return response

    def _text(self, language: str, key: str, **values: Any) -> "markupsafe.Markup":
        """Give a text as markup, each value escaped unless it is markup itself."""
        import markupsafe

        return markupsafe.escape(self.messages.pattern(language, key)).format(**values)


@lru_cache(maxsize=8)
def packaged(folder: Path, *, opener_policy: str = "same-origin") -> Pages:
    """Give the pages of one side as they are in the package: one set for the process, whoever shows them."""
    return Pages(folder=folder, opener_policy=opener_policy)


def content_security_policy(
    *,
    style: str = "",
    script: str = "",
    form_action: Iterable[str] = (),
    images: Iterable[str] = (),
    frame_src: Iterable[str] = (),
    frame_ancestors: Iterable[str] = (),
) -> str:
    """Write the policy of a page that loads nothing but images and frames, and runs `script` at most.

    Args:
        images: URLs with the origins of those that are not written into the page.
        frame_src: URLs that it loads in frames. Where their origins would be too long for a header, their
            schemes stand in for them.
        frame_ancestors: URLs with the origins of the pages that may frame it; nobody may without.

    Raises:
        ValueError: a URL is no absolute one.

    Spec: W3C Content Security Policy Level 3.
    """
    targets = dict.fromkeys(["'self'", *map(policy_source, form_action)])
    shown = dict.fromkeys(["data:", *map(policy_source, images)])
    frames = _frame_sources(frame_src)
    ancestors = [policy_source(url) for url in frame_ancestors] or ["'none'"]
    directives = [
        "default-src 'none'",
        *([f"style-src {_hash_source(style)}"] if style else []),
        *([f"script-src {_hash_source(script)}"] if script else []),
        *([f"frame-src {frames}"] if frames else []),
        f"img-src {' '.join(shown)}",
        f"form-action {' '.join(targets)}",
        f"frame-ancestors {' '.join(ancestors)}",
        "base-uri 'none'",
    ]
    return "; ".join(directives)


def _frame_sources(urls: Iterable[str]) -> str:
    origins = dict.fromkeys(map(policy_source, urls))
    every = " ".join(origins)
    if len(every) <= _MOST_FRAME_CHARACTERS:
        return every
    return " ".join(dict.fromkeys(f"{one.partition(':')[0]}:" for one in origins))


def policy_source(url: str) -> str:
    """Write the origin of `url` as a source expression.

    A private-use scheme of a native application (`com.example.app:/done`) has no origin and counts with its
    scheme. So does an IPv6 host, because the grammar of a policy has no form for one: the browser would drop
    the entry and block the redirect to a native application on `[::1]`.

    Raises:
        ValueError: no absolute URL, or a host that cannot stand in a policy.
    """
    parts = urlsplit(url)
    if not parts.scheme or not _SCHEME_CHARACTERS.issuperset(parts.scheme):
        raise ValueError(f"{url!r} is no absolute URL")
    if parts.scheme not in ("http", "https") or url == f"{parts.scheme}:":
        return f"{parts.scheme}:"
    host = parts.hostname or ""
    if ":" in host:
        return f"{parts.scheme}:"
    if not host or not _HOST_CHARACTERS.issuperset(host):
        raise ValueError(f"the host of {url!r} cannot stand in a policy")
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def _hash_source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
