"""Templates and texts of an operator's own stand in place of ours, and what is wrong with them is told."""

from pathlib import Path

import pytest

from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.page_settings import PagesSettings, page_problems
from oidcgate.gate.pages import gate_pages
from oidcgate.gate.pages.samples import PAGES_ELSEWHERE
from oidcgate.gate.pages.samples import SAMPLES as OF_THE_GATE
from oidcgate.proxy.pages import SAMPLES as OF_THE_PROXY
from oidcgate.proxy.pages import proxy_pages
from oidcgate.serve.checks import SIDECAR_CHECKS
from oidcgate.web.messages import CatalogueError
from oidcgate.web.own_pages import own_page_faults
from oidcgate.web.pages import Pages

LOGGED_OUT = """{% extends "base.html" %}
{% block title %}Bye{% endblock %}
{% block id %}page-logged-out{% endblock %}
{% block content %}<h1 id="heading">Bye from {{ site }}</h1>{% endblock %}
"""


def folder_with(folder: Path, **files: str) -> Path:
    """A folder with these files; `__` in a name stands for a dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    return [problem.message for problem in page_problems(PagesSettings(folder=folder))]


@pytest.mark.parametrize(
    ("pages", "samples"),
    [
        pytest.param(gate_pages(), OF_THE_GATE, id="gate"),
        pytest.param(proxy_pages(), OF_THE_PROXY, id="proxy"),
    ],
)
def test_there_are_samples_of_every_page_and_ours_are_right(pages: Pages, samples: dict[str, object]) -> None:
    assert {path.name for path in pages.folder.glob("*.html")} == set(samples)
    assert list(own_page_faults(Pages(pages.folder, own=pages.folder), samples)) == []  # type: ignore[arg-type]


def test_the_gate_knows_the_pages_of_the_proxy() -> None:
    assert set(PAGES_ELSEWHERE) == set(OF_THE_PROXY)


class TestWhatStandsInPlaceOfOurs:
    def test_a_template(self, tmp_path: Path) -> None:
        pages = gate_pages(folder_with(tmp_path, logged_out__html=LOGGED_OUT))
        shown = pages.render("logged_out.html", language="en", site="<b>")
        assert "Bye from &lt;b&gt;" in shown.get_data(as_text=True)
        # All others are ours.
        assert "page-session-ended" in pages.render(
            "session_ended.html", language="en", site="x", login_url="/", kept=False
        ).get_data(as_text=True)
        assert faults(tmp_path) == []

    def test_a_part_that_others_include(self, tmp_path: Path) -> None:
        page = LOGGED_OUT.replace("Bye from", "{% include '_foot.html' %} Bye from")
        folder_with(tmp_path, logged_out__html=page, _foot__html="Acme")
        assert faults(tmp_path) == []

    def test_the_style(self, tmp_path: Path) -> None:
        pages = gate_pages(folder_with(tmp_path, style__css="main { color: red }"))
        shown = pages.render("logged_out.html", language="en", site="x", everywhere=True, login_url=None)
        assert "<style>main { color: red }</style>" in shown.get_data(as_text=True)

    def test_a_text(self, tmp_path: Path) -> None:
        folder_with(tmp_path, en__toml='[logged_out]\ntitle = "Bye"', de__toml='[app_down]\ntitle = "Weg"')
        pages = gate_pages(tmp_path)
        assert pages.messages.pattern("en", "logged_out.title") == "Bye"
        assert pages.messages.pattern("de", "logged_out.title") == "Sie sind abgemeldet"
        assert proxy_pages(tmp_path).messages.pattern("de", "app_down.title") == "Weg"
        assert faults(tmp_path) == []

    def test_a_language(self, tmp_path: Path) -> None:
        english = gate_pages().messages.languages["en"] | proxy_pages().messages.languages["en"]
        lines = "".join(f'{key} = """{text}"""\n' for key, text in english.items())
        pages = gate_pages(folder_with(tmp_path, fr__toml=lines))
        assert pages.messages.negotiate("fr-CA, en;q=0.5") == "fr"
        assert faults(tmp_path) == []


class TestWhatIsWrong:
    """Each is told with its file, and stops the start."""

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            pytest.param(
                {"logged_out__html": LOGGED_OUT.replace("site", "sight")},
                "logged_out.html: UndefinedError: 'sight' is undefined",
                id="a-name-that-is-not-given",
            ),
            pytest.param(
                {"logged_out__html": "{% if %}"},
                "logged_out.html: TemplateSyntaxError: Expected an expression, got 'end of statement block'",
                id="syntax",
            ),
            pytest.param(
                {"logged_out__html": "{{ t('nothing.such') }}"},
                "logged_out.html: KeyError: \"no text 'nothing.such' in language",
                id="a-text-that-is-not-there",
            ),
            pytest.param(
                {"logged_out__html": "{% include '_none.html' %}"},
                "logged_out.html: TemplateNotFound: '_none.html' not found in search paths: ",
                id="a-part-that-is-not-there",
            ),
            pytest.param(
                {"loggedout__html": LOGGED_OUT},
                "loggedout.html: is no page's name; give what others include a name that begins with _",
                id="no-pages-name",
            ),
            pytest.param(
                {"en__toml": '[logout]\nheading = "Bye"'},
                "en.toml: logout.heading: its placeholders are not {site}",
                id="placeholder-missing",
            ),
            pytest.param(
                {"en__toml": '[logout]\nheading = "Bye {"'},
                "en.toml: logout.heading: its placeholders are not {site}",
                id="brace",
            ),
            pytest.param(
                {"en__toml": "[logout]\nheading = 1"}, "en.toml: logout.heading: not a text", id="number"
            ),
            pytest.param(
                {"fr__toml": '[logout]\nbutton = "x"'}, "fr.toml: choose.last: missing", id="half-a-language"
            ),
        ],
    )
    def test_in_a_file(self, tmp_path: Path, files: dict[str, str], told: str) -> None:
        assert any(fault.startswith(told) for fault in faults(folder_with(tmp_path, **files)))

    def test_a_catalogue_that_is_no_toml(self, tmp_path: Path) -> None:
        (told,) = faults(folder_with(tmp_path, en__toml="a = "))
        assert told.startswith("en.toml: cannot be read: ")
        with pytest.raises(CatalogueError):
            _ = gate_pages(tmp_path).messages

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        assert faults(tmp_path / "none") == ["is not a folder"]

    def test_an_own_page_of_the_proxy_is_tried_by_the_sidecar(self, tmp_path: Path) -> None:
        folder_with(tmp_path, app_down__html="{{ nothing }}")
        data = {
            "public_url": "https://app.example.com",
            "provider": {"issuer": "https://id.example.com", "client_id": "a", "client_secret": "b"},
            "users": {"source": "any"},
            "session": {"secret": "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"},
            "proxy": {"upstream": "http://127.0.0.1:8081"},
            "pages": {"folder": str(tmp_path)},
        }
        config = config_from_mapping(data)
        told = [problem.message for check in SIDECAR_CHECKS for problem in check(config)]
        assert "app_down.html: UndefinedError: 'nothing' is undefined" in told
