"""Texts that people read: one TOML catalogue per language, looked up by key, the language negotiated.

Lives here: loading and checking catalogues, and choosing a language. A catalogue named `en.toml` lies beside
the templates that use it. Not here: markup and escaping (`pages` next door) and texts for operators and logs,
which are English and stay with the code that writes them.
"""

import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

DEFAULT_LANGUAGE = "en"

# A request may name any number of languages; what nobody sends by hand is not read.
_MAX_HEADER_CHARACTERS = 500
_MAX_LOCALES = 20


class CatalogueError(Exception):
    """The catalogues cannot be used together: a key or a placeholder is missing, doubled or not a text."""


@dataclass(frozen=True)
class Messages:
    """Every text of one set of pages, in every language it is written in.

    Attributes:
        languages: language tag in lower case -> key -> text. Every language has the same keys and each key
            the same placeholders (`{name}`), which `load` makes sure of.
        default: the language of a reader who asks for none of these.
    """

    languages: Mapping[str, Mapping[str, str]]
    default: str = DEFAULT_LANGUAGE

    def pattern(self, language: str, key: str) -> str:
        """Give the text for `key` with its placeholders still in it.

        Raises:
            KeyError: no such language or no such key: a fault of the caller, never of the reader.
        """
        try:
            return self.languages[language][key]
        except KeyError:
            raise KeyError(f"no text {key!r} in language {language!r}") from None

    def negotiate(self, accept_language: str | None, ui_locales: str | None = None) -> str:
        """Choose the language to answer in.

        `ui_locales` (space separated, best first) comes before the browser's `Accept-Language`, since the
        application knows what the person chose there. A tag is shortened from the right until it fits
        (`de-CH` finds `de`).

        Spec: OIDC Core 3.1.2.1 (ui_locales), RFC 4647 3.4, RFC 9110 12.5.4.
        """
        for tag in _wished(accept_language or "", ui_locales or ""):
            found = self._lookup(tag)
            if found is not None:
                return found
        return self.default

    def _lookup(self, tag: str) -> str | None:
        parts = tag.lower().replace("_", "-").split("-")
        while parts:
            candidate = "-".join(parts)
            if candidate in self.languages:
                return candidate
            parts.pop()
        return None


def load(folders: Iterable[Path], default: str = DEFAULT_LANGUAGE, *, own: Path | None = None) -> Messages:
    """Read every `<language>.toml` of the folders and join them into one set of texts.

    Args:
        own: an operator's folder, whose texts stand in place of those. A language that is only there has to
            have every text. What is no text of these pages is another side's, and left out.

    Raises:
        CatalogueError: a language lacks a key or placeholder that the default language has, has one more, or
            a key is written in two folders. The message lists all of them.
    """
    languages: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            texts = languages.setdefault(path.stem.lower(), {})
            for key, text in _flatten(tomllib.loads(path.read_text(encoding="utf-8"))):
                if not isinstance(text, str) or not text.strip():
                    problems.append(f"{path.name}: {key}: not a text")
                elif key in texts:
                    problems.append(f"{path.name}: {key}: written twice")
                else:
                    texts[key] = text
    if own is not None:
        problems += _laid_over(languages, own, default)
    if default not in languages:
        problems.append(f"{default}.toml: no catalogue in the default language")
    problems += _differences(languages, default)
    if problems:
        raise CatalogueError("\n".join(problems))
    frozen = {language: MappingProxyType(texts) for language, texts in languages.items()}
    return Messages(languages=MappingProxyType(frozen), default=default)


def _laid_over(languages: dict[str, dict[str, str]], own: Path, default: str) -> Iterator[str]:
    """Put the texts of an operator over ours; yields what is wrong with them."""
    reference = dict(languages.get(default, {}))
    for path in sorted(own.glob("*.toml")):
        try:
            said = dict(_flatten(tomllib.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            yield f"{path.name}: cannot be read: {error}"
            continue
        texts = languages.setdefault(path.stem.lower(), {})
        for key, text in said.items():
            if key not in reference:
                continue
            if not isinstance(text, str) or not text.strip():
                yield f"{path.name}: {key}: not a text"
            elif not _has_placeholders_of(text, reference[key]):
                yield f"{path.name}: {key}: its placeholders are not {_listed(placeholders(reference[key]))}"
            else:
                texts[key] = text


def _has_placeholders_of(text: str, reference: str) -> bool:
    try:
        return placeholders(text) == placeholders(reference)
    except ValueError:  # a brace that nothing closes
        return False


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"


def placeholders(text: str) -> frozenset[str]:
    """Name the placeholders of a text: `{client}` gives `client`."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _differences(languages: Mapping[str, Mapping[str, str]], default: str) -> Iterator[str]:
    reference = languages.get(default, {})
    for language, texts in languages.items():
        for key in sorted(reference.keys() - texts.keys()):
            yield f"{language}.toml: {key}: missing"
        for key in sorted(texts.keys() - reference.keys()):
            yield f"{language}.toml: {key}: not in {default}.toml"
        for key in sorted(reference.keys() & texts.keys()):
            if placeholders(texts[key]) != placeholders(reference[key]):
                yield f"{language}.toml: {key}: its placeholders differ from {default}.toml"


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _wished(accept_language: str, ui_locales: str) -> Iterator[str]:
    yield from ui_locales[:_MAX_HEADER_CHARACTERS].split()[:_MAX_LOCALES]
    if accept_language:
        # Imported when a header is there to parse: `import oidcgate` stays cheap.
        from werkzeug.datastructures import LanguageAccept
        from werkzeug.http import parse_accept_header

        accepted = parse_accept_header(accept_language[:_MAX_HEADER_CHARACTERS], LanguageAccept)
        for tag, quality in list(accepted)[:_MAX_LOCALES]:
            if quality > 0:
                yield tag
