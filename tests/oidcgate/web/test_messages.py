"""The catalogues hold exactly the texts that the pages use, and a reader gets the language they asked for."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import hypothesis
import jinja2.nodes as ast
import pytest
from hypothesis import strategies as st

from oidcgate.gate.pages import BreakGlassProblem, LoopCheck
from oidcgate.gate.pages import ErrorKind as GateError
from oidcgate.web.messages import CatalogueError, Messages, load, placeholders
from oidcgate.web.pages import SHARED_FOLDER, Pages
from provider.catalogue_settings import STANDARD_SCOPE_CLAIMS
from provider.pages import (
    DeviceOutcome,
    DeviceProblem,
    FactorProblem,
    LoginProblem,
    LogoutProblem,
    MyNotice,
    PasswordProblem,
    ProfileProblem,
)
from provider.pages import ErrorKind as ProviderError
from provider.property_settings import CONSENTS, DEFAULT_PROPERTIES, USER_NAME
from provider.services.my_pages import MyPage
from provider.services.profile import kind_of
from tests.oidcgate.web.every_page import GATE, PROVIDER, PROXY

# What the variable part of a key may be, per template.
MINE = [page.name.lower() for page in MyPage]
VARIABLE: Mapping[tuple[Pages, str, str], Iterable[str]] = {
    (GATE, "error.html", "kind"): GateError,
    (GATE, "break_glass.html", "problem"): BreakGlassProblem,
    (GATE, "login_loop.html", "check"): [one for one in LoopCheck if one is not LoopCheck.ADDRESS],
    (PROVIDER, "error.html", "kind"): ProviderError,
    (PROVIDER, "login.html", "problem"): LoginProblem,
    (PROVIDER, "otp.html", "problem"): FactorProblem,
    (PROVIDER, "enrol.html", "problem"): FactorProblem,
    (PROVIDER, "logout.html", "problem"): LogoutProblem,
    (PROVIDER, "device.html", "problem"): DeviceProblem,
    (PROVIDER, "device_done.html", "outcome"): DeviceOutcome,
    (PROVIDER, "my_base.html", "here"): MINE,
    (PROVIDER, "my_base.html", "page"): [name for name in MINE if name != "new_authenticator"],
    (PROVIDER, "my_base.html", "notice"): MyNotice,
    (PROVIDER, "my_account.html", "page"): [name for name in MINE if name != "overview"],
    (PROVIDER, "my_profile.html", "problem"): [
        one for one in ProfileProblem if one is not ProfileProblem.LENGTH
    ],
    (PROVIDER, "my_password.html", "name"): ["password", "new_password", "new_password_again"],
    (PROVIDER, "my_password.html", "problem"): PasswordProblem,
    (PROVIDER, "my_new_authenticator.html", "problem"): FactorProblem,
}


def uses(pages: Pages) -> Iterator[tuple[str, frozenset[str]]]:
    """Every key that the templates of one side look up, with the values given for its placeholders."""
    for path in [*pages.folder.rglob("*.html"), *SHARED_FOLDER.glob("*.html")]:
        for call in pages.environment.parse(path.read_text(encoding="utf-8")).find_all(ast.Call):
            if isinstance(call.node, ast.Name) and call.node.name == "t":
                given = frozenset(pair.key for pair in call.kwargs)
                for key in keys(pages, path.name, call.args[0]):
                    yield key, given
    if pages is PROVIDER:  # the consent page is given these by its endpoint
        for scope in STANDARD_SCOPE_CLAIMS:
            yield f"scope.{scope}.name", frozenset()
            yield f"scope.{scope}.description", frozenset()
        for declared in DEFAULT_PROPERTIES:  # and so is the profile page
            if kind_of(declared) == "text" and declared.name not in (USER_NAME, CONSENTS):
                yield f"property.{declared.name}", frozenset()


def keys(pages: Pages, template: str, argument: ast.Expr) -> Iterator[str]:
    if isinstance(argument, ast.Const):
        yield argument.value
        return
    assert isinstance(argument, ast.Concat), f"{template}: a key is a text, or texts joined with ~"
    (variable,) = [part.name for part in argument.nodes if isinstance(part, ast.Name)]
    for value in VARIABLE[pages, template, variable]:
        yield "".join(part.value if isinstance(part, ast.Const) else value for part in argument.nodes)


each_side = pytest.mark.parametrize(
    "pages",
    [pytest.param(GATE, id="gate"), pytest.param(PROXY, id="proxy"), pytest.param(PROVIDER, id="provider")],
)


@each_side
def test_every_key_in_use_is_there_with_its_placeholders(pages: Pages) -> None:
    for language in pages.messages.languages:
        for key, given in uses(pages):
            assert placeholders(pages.messages.pattern(language, key)) <= given, key


@each_side
def test_every_key_there_is_in_use(pages: Pages) -> None:
    assert {key for key, _ in uses(pages)} == set(pages.messages.languages["en"])


@each_side
def test_every_value_given_is_said(pages: Pages) -> None:
    """A value that no text mentions is a mistake in one of them."""
    for key, given in uses(pages):
        said = placeholders(pages.messages.pattern("en", key))
        assert said == given, key


def catalogue(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def test_folders_are_joined_and_tables_become_dotted_keys(tmp_path: Path) -> None:
    catalogue(tmp_path / "a", "en", 'hello = "Hello {name}"\n[page.sub]\ntitle = "Title"')
    catalogue(tmp_path / "b", "en", 'bye = "Bye"')
    messages = load([tmp_path / "a", tmp_path / "b"])
    assert dict(messages.languages["en"]) == {
        "hello": "Hello {name}",
        "page.sub.title": "Title",
        "bye": "Bye",
    }
    assert messages.pattern("en", "bye") == "Bye"


@pytest.mark.parametrize(
    ("german", "problem"),
    [
        pytest.param('a = "A {x}"', "de.toml: b: missing", id="missing"),
        pytest.param('a = "A {x}"\nb = "B"\nc = "C"', "de.toml: c: not in en.toml", id="one-more"),
        pytest.param('a = "A {y}"\nb = "B"', "de.toml: a: its placeholders differ from en.toml", id="other"),
        pytest.param('a = "A {x}"\nb = ""', "de.toml: b: not a text", id="empty"),
        pytest.param('a = "A {x}"\nb = 1', "de.toml: b: not a text", id="number"),
    ],
)
def test_languages_that_differ_are_refused(tmp_path: Path, german: str, problem: str) -> None:
    catalogue(tmp_path, "en", 'a = "A {x}"\nb = "B"')
    catalogue(tmp_path, "de", german)
    with pytest.raises(CatalogueError) as caught:
        load([tmp_path])
    assert problem in str(caught.value).splitlines()


def test_key_in_two_folders_and_missing_default_are_both_told(tmp_path: Path) -> None:
    catalogue(tmp_path / "a", "de", 'a = "A"')
    catalogue(tmp_path / "b", "de", 'a = "A"')
    with pytest.raises(CatalogueError) as caught:
        load([tmp_path / "a", tmp_path / "b"])
    assert str(caught.value).splitlines()[:2] == [
        "de.toml: a: written twice",
        "en.toml: no catalogue in the default language",
    ]


@pytest.mark.parametrize(
    ("accept", "locales", "chosen"),
    [
        pytest.param(None, None, "en", id="nothing"),
        pytest.param("", "", "en", id="empty"),
        pytest.param("de", None, "de", id="exact"),
        pytest.param("de-CH", None, "de", id="shortened"),
        pytest.param("DE-ch", None, "de", id="case"),
        pytest.param("pt-BR, de;q=0.5", None, "pt-br", id="region"),
        pytest.param("pt, de;q=0.5", None, "de", id="region-does-not-serve-the-whole-language"),
        pytest.param("de;q=0.1, en;q=0.9", None, "en", id="quality"),
        pytest.param("de;q=0, en;q=0.1", None, "en", id="quality-zero"),
        pytest.param("fr, it", None, "en", id="none-of-them"),
        pytest.param("*", None, "en", id="star"),
        pytest.param("en", "fr de", "de", id="ui-locales-first"),
        pytest.param("de", "fr", "de", id="ui-locales-unknown"),
        pytest.param("de;q=x, \x00,,;;", None, "en", id="nonsense"),
        pytest.param("a," * 5000 + "de", None, "en", id="too-long-to-read-to-the-end"),
        pytest.param(None, "x " * 5000 + "de", "en", id="too-many-locales"),
    ],
)
def test_language_is_negotiated(accept: str | None, locales: str | None, chosen: str) -> None:
    messages = Messages({"en": {}, "de": {}, "pt-br": {}})
    assert messages.negotiate(accept, locales) == chosen


@pytest.mark.row("E-20")
def test_unknown_ui_locales_change_nothing() -> None:
    assert PROVIDER.messages.negotiate("en-GB", "xx tlh-Latn-x-private") == "en"


TAGS = st.sampled_from(
    ["en", "de", "en-GB", "*", "q=0", "x;q=1e400", ";;", "EN", ",", "-", "zh-Hant-TW;q=nan"]
)


@hypothesis.given(
    st.text(max_size=40) | st.lists(TAGS).map(",".join), st.text(max_size=20) | st.lists(TAGS).map(" ".join)
)
@hypothesis.example("en;q=\u00bd", "\ud800")
@hypothesis.example("en;q=" + "9" * 5000, "e" * 5000)
def test_whatever_is_wished_for_the_language_is_one_there_is(accept_language: str, ui_locales: str) -> None:
    said = PROVIDER.messages.negotiate(accept_language, ui_locales)
    assert said in PROVIDER.messages.languages


@each_side
def test_pages_speak_english_german_and_spanish(pages: Pages) -> None:
    assert set(pages.messages.languages) == {"en", "de", "es"}
    english = pages.messages.languages["en"]
    for language in ("de", "es"):
        texts = pages.messages.languages[language]
        # A name or a code may be the same in all; sentences are not, or they were forgotten.
        same = [key for key, text in texts.items() if " " in text and text == english[key]]
        assert set(same) <= {"problem_title"}
