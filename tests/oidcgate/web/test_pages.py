"""What every page promises: its headers, its policy, its names, and that nobody's name becomes markup."""

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oidcgate.gate.pages
import oidcgate.proxy.pages
import provider.pages
from oidcgate.gate.pages import gate_pages
from oidcgate.web.pages import content_security_policy, policy_source
from provider.pages import About, ErrorKind, form_post, provider_pages
from tests.oidcgate.web.every_page import EVERY_PAGE, GATE, PROVIDER, PROXY, Example, with_every_text

every_page = pytest.mark.parametrize(
    "example", [pytest.param(page, id=id) for id, page in EVERY_PAGE.items()]
)


class Outline(HTMLParser):
    """The elements of a page in order, and the texts between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def by_id(self, id: str) -> tuple[str, dict[str, str | None]]:
        (found,) = [element for element in self.elements if element[1].get("id") == id]
        return found

    def fields(self) -> dict[str, str | None]:
        return {str(a["name"]): a.get("value") for tag, a in self.elements if tag == "input"}


def outline(example: Example, **changes: Any) -> Outline:
    return Outline(example.render(**changes).get_data(as_text=True))


def sha256(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@every_page
def test_headers_are_exactly_these(example: Example) -> None:
    response = example.render()
    headers = dict(response.headers)
    assert headers.pop("Content-Security-Policy")
    assert int(headers.pop("Content-Length")) == len(response.get_data())
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": "en",
        "Cache-Control": "no-store",
        "Referrer-Policy": "strict-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "unsafe-none" if example.pages is PROVIDER else "same-origin",
    }


@every_page
def test_policy_names_the_page_itself_and_nothing_else(example: Example) -> None:
    response = example.render()
    texts = outline(example).texts
    scripts = texts.get("script", [])
    expected = [
        "default-src 'none'",
        f"style-src {sha256(''.join(texts['style']))}",
        *(f"script-src {sha256(script)}" for script in scripts),
        "img-src data:",
        "form-action 'self'" + (" https://app.example.com" if scripts else ""),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    assert response.headers["Content-Security-Policy"] == "; ".join(expected)
    assert (len(scripts) == 1) is (example.template == "form_post.html")


@every_page
def test_pages_need_nothing_that_the_policy_refuses(example: Example) -> None:
    for tag, attributes in outline(example).elements:
        if tag == "img":
            # The one that is not ours: it is told neither where it was shown nor to whom.
            assert (attributes["id"], attributes["referrerpolicy"]) == ("client-logo", "no-referrer")
            assert attributes["src"] == example.context["about"].logo
            continue
        assert tag not in ("iframe", "object", "embed", "base", "audio", "video")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert "src" not in attributes
        if tag == "link":
            assert attributes["rel"] == "icon"
            assert str(attributes["href"]).startswith("data:image/svg+xml,")


@every_page
def test_structure_is_complete(example: Example) -> None:
    page = outline(example)
    tag, attributes = page.by_id(example.main)
    assert tag == "main"
    assert attributes["aria-labelledby"] == "heading"
    assert page.elements[0] == ("html", {"lang": "en"})
    levels = [int(name[1]) for name in page.tags() if re.fullmatch(r"h[1-6]", name)]
    assert levels == sorted(levels)
    assert levels.count(1) == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes["for"] for tag, attributes in page.elements if tag == "label"}
    controls = ("input", "textarea", "select")
    visible = {a["id"] for tag, a in page.elements if tag in controls and a.get("type") != "hidden"}
    assert labelled == visible
    for _, attributes in page.elements:
        if "aria-describedby" in attributes:
            assert page.by_id(str(attributes["aria-describedby"]))


# Markup, attribute ends, template syntax, format placeholders, a right-to-left override, an emoji.
HOSTILE = "\"'><script>alert(1)</script><b onload=x>{{ 7*7 }}{0}{user.__class__}%s&amp;&#60;‮😀"


@every_page
def test_hostile_texts_stay_text(example: Example) -> None:
    changes = with_every_text(example, lambda text: HOSTILE + text)
    calm, hostile = outline(example), outline(example, **changes)
    # A scope without description gets one here: that is the one element more.
    expected = [tag for tag in calm.tags() if tag != "span"]
    assert [tag for tag in hostile.tags() if tag != "span"] == expected
    for (_, before), (_, after) in zip(
        [e for e in calm.elements if e[0] != "span"],
        [e for e in hostile.elements if e[0] != "span"],
        strict=True,
    ):
        assert before.keys() == after.keys()
    everything = "".join(text for texts in hostile.texts.values() for text in texts)
    values = [value for _, attributes in hostile.elements for value in attributes.values()]
    for change in changes.values():
        for text in [change] if isinstance(change, str) else []:
            assert text in everything or text in values


@pytest.mark.parametrize("name", ["provider-login", "provider-account", "provider-consent"])
def test_what_an_application_says_of_itself_stays_an_address(name: str) -> None:
    about = About(*(f"https://{part}.example/{HOSTILE}" for part in ("home", "logo", "policy", "terms")))
    page = outline(EVERY_PAGE[name], about=about)
    assert page.by_id("client-logo")[1]["src"] == about.logo
    for part in ("home", "policy", "terms"):
        id, uri = f"client-{part}", getattr(about, part)
        tag, attributes = page.by_id(id)
        assert tag == "a"
        assert attributes == {
            "id": id,
            "href": uri,
            "target": "_blank",
            "rel": "noopener noreferrer nofollow",
            "referrerpolicy": "no-referrer",
        }
    assert not page.texts.get("script")


@pytest.mark.parametrize("name", ["provider-login", "provider-account", "provider-consent"])
@pytest.mark.parametrize("part", ["home", "policy", "terms", "logo"])
def test_what_an_application_does_not_say_leaves_nothing(name: str, part: str) -> None:
    page = outline(EVERY_PAGE[name], about=About(**{part: "https://app.example/x"}))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert ids & {"client-home", "client-policy", "client-terms", "client-logo"} == {f"client-{part}"}
    assert ("client-links" in ids) is (part != "logo")


def test_an_image_is_allowed_from_its_own_origin_alone() -> None:
    logo = "https://App.Example:8443/a;script-src *"
    policy = EVERY_PAGE["provider-login"].render(images=(logo,)).headers["Content-Security-Policy"]
    assert "; img-src data: https://app.example:8443; " in policy
    assert policy.count("script-src") == 0


def test_names_of_others_cannot_rearrange_a_sentence() -> None:
    html = EVERY_PAGE["gate-unknown-user"].render(user_name="‮evil").get_data(as_text=True)
    assert html.count("‮") == html.count("<bdi>‮evil</bdi>") == 2


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5, unique_by=lambda pair: pair[0]))
@pytest.mark.row("P-03")
def test_form_post_carries_values_as_they_are(fields: list[tuple[str, str]]) -> None:
    html = form_post(
        PROVIDER, language="en", site="id", action="https://app.example/cb?a=b&c=d", fields=fields
    ).get_data(as_text=True)
    page = Outline(html)
    assert page.fields() == dict(fields)
    assert page.by_id("form-post")[1]["action"] == "https://app.example/cb?a=b&c=d"
    assert page.tags().count("script") == 1


@pytest.mark.row("P-03")
def test_form_post_never_percent_encodes() -> None:
    fields = [("state", "100 % sure é+&=\"<'"), ("iss", "https://id.example/r/ä b")]
    html = form_post(
        PROVIDER, language="en", site="id", action="https://app.example/cb", fields=fields
    ).get_data(as_text=True)
    assert 'value="100 % sure é+&amp;=&#34;&lt;&#39;"' in html
    assert Outline(html).fields() == dict(fields)


@pytest.mark.row("P-40")
@pytest.mark.parametrize(
    ("url", "source"),
    [
        pytest.param("https://app.example/cb?x=1#f", "https://app.example", id="origin-only"),
        pytest.param("https://app.example:8443/cb", "https://app.example:8443", id="port"),
        pytest.param("HTTPS://App.Example/cb", "https://app.example", id="case"),
        pytest.param("https://user:pw@app.example/", "https://app.example", id="userinfo-left-out"),
        pytest.param("http://127.0.0.1:5123/", "http://127.0.0.1:5123", id="loopback"),
        pytest.param("http://[::1]:5123/", "http:", id="ipv6-has-no-form"),
        pytest.param("com.example.app:/done", "com.example.app:", id="private-use-scheme"),
        pytest.param("com.example.app://done/x", "com.example.app:", id="private-use-scheme-with-host"),
        pytest.param("https:", "https:", id="any-https"),
    ],
)
def test_form_action_is_reduced_to_an_origin(url: str, source: str) -> None:
    assert policy_source(url) == source
    response = EVERY_PAGE["provider-consent"].render(form_action=(url, url))
    assert f"; form-action 'self' {source}; " in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("/relative", id="relative"),
        pytest.param("", id="empty"),
        pytest.param("//app.example/", id="no-scheme"),
        pytest.param("https://a;script-src *", id="directive-end"),
        pytest.param("https://a b/", id="space"),
        pytest.param("https://*/", id="wildcard"),
        pytest.param("https://bücher.example/", id="not-ascii"),
        pytest.param("https://a:99999/", id="port-out-of-range"),
        pytest.param("https:///path", id="no-host"),
        pytest.param("ja va:x", id="no-scheme-characters"),
    ],
)
def test_form_action_that_cannot_stand_in_a_policy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"absolute URL|in a policy|[Pp]ort"):
        policy_source(url)


def test_policy_lists_a_target_once() -> None:
    policy = content_security_policy(form_action=("https://a.example/1", "https://a.example/2"))
    assert policy.count("https://a.example") == 1


@pytest.mark.parametrize(
    ("package", "pages"),
    [
        pytest.param(oidcgate.gate.pages, GATE, id="gate"),
        pytest.param(oidcgate.proxy.pages, PROXY, id="proxy"),
        pytest.param(provider.pages, PROVIDER, id="provider"),
    ],
)
def test_documented_context_is_what_the_templates_need(package: Any, pages: Any) -> None:
    documented = {
        template: frozenset(re.findall(r"\b([a-z_]+): ", lines)) | {"site"}
        for template, lines in re.findall(
            r"^([a-z_]+\.html) .*\n((?:    .*\n)*)", package.__doc__, flags=re.MULTILINE
        )
    }
    needed = {}
    for path in Path(package.__file__).parent.glob("*.html"):
        names: set[str] = set()
        sources = [path.name]
        for template in sources:
            source = pages.environment.loader.get_source(pages.environment, template)[0]
            names |= jinja2.meta.find_undeclared_variables(pages.environment.parse(source))
            # What a part of several pages needs is asked of each of them.
            sources += re.findall(r'{% (?:extends|include) "([a-z_./]+)" %}', source)
            if template in documented:
                # What a frame of several pages needs is said with the frame.
                documented[path.name] |= documented[template]
        needed[path.name] = frozenset(names - {"t", "language", "style", "parts"})
    assert documented == needed
    frames = {"my_base.html"} if pages is PROVIDER else set()
    assert {page.template for page in EVERY_PAGE.values() if page.pages is pages} == set(needed) - frames


@every_page
def test_missing_context_is_an_error(example: Example) -> None:
    with pytest.raises(jinja2.UndefinedError):
        example.pages.render(example.template, language="en")


def test_unknown_language_and_kind_are_errors() -> None:
    with pytest.raises(KeyError, match="'xx'"):
        PROVIDER.render("logged_out.html", language="xx", site="x")
    with pytest.raises(KeyError, match=r"error\.nonsense\.title"):
        EVERY_PAGE["provider-error-expired"].render(kind="nonsense")


def test_status_is_the_one_asked_for() -> None:
    assert EVERY_PAGE["gate-unknown-user"].render(status=403).status_code == 403


def test_login_fields_are_what_password_managers_expect() -> None:
    page = outline(EVERY_PAGE["provider-login-first"])
    username, password = page.by_id("username")[1], page.by_id("password")[1]
    assert (username["name"], username["autocomplete"]) == ("username", "username")
    assert (password["name"], password["autocomplete"]) == ("password", "current-password")
    assert password["type"] == "password"
    assert "value" not in password
    assert "autofocus" in username
    assert "autofocus" in outline(EVERY_PAGE["provider-login"]).by_id("password")[1]


def test_wrong_password_is_announced_at_the_fields() -> None:
    page = outline(EVERY_PAGE["provider-login-wrong"])
    assert page.by_id("login-problem")[1]["role"] == "alert"
    for id in ("username", "password"):
        assert page.by_id(id)[1]["aria-describedby"] == "login-problem"
        assert page.by_id(id)[1]["aria-invalid"] == "true"
    assert page.texts["title"][0].startswith("Problem: Sign in")
    assert "aria-invalid" not in outline(EVERY_PAGE["provider-login-expired"]).by_id("username")[1]


def test_waiting_is_told_in_a_unit_that_fits() -> None:
    error = EVERY_PAGE[f"provider-error-{ErrorKind.UNAVAILABLE}"]
    assert "wait 120 s" in error.render(retry_after_seconds=120).get_data(as_text=True)
    assert "wait 3 min" in error.render(retry_after_seconds=121).get_data(as_text=True)
    assert "wait" not in error.render(retry_after_seconds=None).get_data(as_text=True)


@pytest.mark.row("A-09")
def test_consent_says_who_asks_for_what_and_where_it_goes() -> None:
    html = EVERY_PAGE["provider-consent"].render().get_data(as_text=True)
    page = Outline(html)
    for id, decision in (("allow", "allow"), ("deny", "deny")):
        tag, attributes = page.by_id(id)
        assert (tag, attributes["name"], attributes["value"]) == ("button", "decision", decision)
    boxes = [a for tag, a in page.elements if tag == "input" and a.get("type") == "checkbox"]
    assert [(box["name"], box["value"], "checked" in box) for box in boxes] == [
        ("scope", "profile", True),
        ("scope", "email", True),
    ]
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    for said in (
        "Directory asks for access to your account",
        "You are signed in as alice",
        "See your profile Your name and user name",
        "See your email address",
        "app.example.com",
    ):
        assert said in text


def test_stranger_is_named_and_offered_another_account() -> None:
    html = EVERY_PAGE["gate-unknown-user"].render().get_data(as_text=True)
    text = " ".join(re.sub(r"<[^>]+>", "", html).split())
    assert "You signed in as mallory, but mallory is not in this directory." in text
    page = Outline(html)
    assert page.fields() == {"csrf": "a token", "interaction": "an id"}
    forms = [attributes for tag, attributes in page.elements if tag == "form"]
    assert forms == [{"method": "post", "action": "/.oidcgate/logout"}]


def test_importing_the_pages_imports_no_template_engine() -> None:
    code = (
        "import sys, oidcgate.gate.pages, provider.pages\n"
        "oidcgate.gate.pages.gate_pages(), provider.pages.provider_pages()\n"
        "print([name for name in ('jinja2', 'markupsafe', 'werkzeug') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_side_finds_its_own_template_of_a_name() -> None:
    assert gate_pages().environment.get_template("logout.html").filename != (
        provider_pages().environment.get_template("logout.html").filename
    )
