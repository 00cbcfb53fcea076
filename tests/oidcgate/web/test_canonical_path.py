"""One form of a path, or none; and return targets that stay at home."""

import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.web.canonical_path import (
    BadPath,
    PathFault,
    canonical_path,
    check_raw_target,
    opaque_slashes,
    quote_path,
    safe_return_path,
)

ORIGIN = "https://app.example.com"
HOSTILE = [
    line.rstrip("\n")
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").split("\n")
    if line.strip() and not line.startswith("# ")
]


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/..a",
        "/...",
        "/a;v=1",
        "/a;v=1/",
        "/a b",
        "/~a/@b:c",
        "/a%zz",
        "/100%",
    ],
)
def test_plain_paths_stay_as_they_are(path: str) -> None:
    assert canonical_path(path) == path


def test_text_beyond_ascii_is_read_as_utf8() -> None:
    assert canonical_path("/žába".encode().decode("latin-1")) == "/žába"


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("path", "fault"),
    [
        pytest.param("", PathFault.NOT_ABSOLUTE, id="empty"),
        pytest.param("a/b", PathFault.NOT_ABSOLUTE, id="relative"),
        pytest.param("*", PathFault.NOT_ABSOLUTE, id="asterisk"),
        pytest.param("http://x/", PathFault.NOT_ABSOLUTE, id="absolute-form"),
        pytest.param("/\xff", PathFault.NOT_UTF8, id="not UTF-8"),
        pytest.param("/\xc0\xae\xc0\xae/x", PathFault.NOT_UTF8, id="overlong dots"),
        pytest.param("/a\x00", PathFault.CONTROL_CHARACTER, id="NUL"),
        pytest.param("/a\r\nb", PathFault.CONTROL_CHARACTER, id="CR LF"),
        pytest.param("/a\tb", PathFault.CONTROL_CHARACTER, id="tab"),
        pytest.param("/a\x7f", PathFault.CONTROL_CHARACTER, id="DEL"),
        pytest.param("/\xc2\x85", PathFault.CONTROL_CHARACTER, id="C1 next line"),
        pytest.param("/\xe2\x80\xa8", PathFault.CONTROL_CHARACTER, id="line separator"),
        pytest.param("/\xe2\x80\xa9", PathFault.CONTROL_CHARACTER, id="paragraph separator"),
        pytest.param("/a\\b", PathFault.BACKSLASH, id="backslash"),
        pytest.param("//a", PathFault.EMPTY_SEGMENT, id="two slashes in front"),
        pytest.param("/a//b", PathFault.EMPTY_SEGMENT, id="two slashes inside"),
        pytest.param("/a//", PathFault.EMPTY_SEGMENT, id="two slashes behind"),
        pytest.param("/;x/b", PathFault.EMPTY_SEGMENT, id="parameters of nothing"),
        pytest.param("/a/;x", PathFault.EMPTY_SEGMENT, id="parameters of nothing, last"),
        pytest.param("/.", PathFault.DOT_SEGMENT, id="dot"),
        pytest.param("/a/..", PathFault.DOT_SEGMENT, id="dots, last"),
        pytest.param("/a/../b", PathFault.DOT_SEGMENT, id="dots, inside"),
        pytest.param("/a/..;/b", PathFault.DOT_SEGMENT, id="dots as Tomcat reads them"),
        pytest.param("/a/.;x=1/b", PathFault.DOT_SEGMENT, id="dot as Tomcat reads it"),
        pytest.param("/a%2fb", PathFault.ENCODED_DELIMITER, id="slash encoded twice"),
        pytest.param("/a%5Cb", PathFault.ENCODED_DELIMITER, id="backslash encoded twice"),
        pytest.param("/%2e%2E/b", PathFault.ENCODED_DELIMITER, id="dots encoded twice"),
        pytest.param("/a%00", PathFault.ENCODED_DELIMITER, id="NUL encoded twice"),
    ],
)
def test_what_readers_disagree_about_is_refused_by_name(path: str, fault: PathFault) -> None:
    with pytest.raises(BadPath) as caught:
        canonical_path(path)
    assert caught.value.fault is fault
    assert str(caught.value) == fault.value


def fault_of(check: Callable[[], object]) -> PathFault | None:
    try:
        check()
    except BadPath as bad:
        return bad.fault
    return None


@pytest.mark.row("G-21")
def test_each_byte_by_itself() -> None:
    """Which characters a path may hold, and which of them may still be escaped after it was decoded."""
    unsafe = {".", "/", "\\", "\0"}
    for byte in range(128):
        character = chr(byte)
        expected = PathFault.CONTROL_CHARACTER if byte < 0x20 or byte == 0x7F else None
        expected = PathFault.BACKSLASH if character == "\\" else expected
        assert fault_of(lambda text=f"/a{character}b": canonical_path(text)) is expected, ascii(character)
        for escape in (f"%{byte:02x}", f"%{byte:02X}"):
            twice = fault_of(lambda text=f"/a{escape}b": canonical_path(text))
            assert twice is (PathFault.ENCODED_DELIMITER if character in unsafe else None), escape


@pytest.mark.row("G-21")
def test_each_escape_on_the_wire() -> None:
    for byte in range(256):
        for escape in (f"%{byte:02x}", f"%{byte:02X}"):
            fault = fault_of(lambda raw=f"/a{escape}", byte=byte: check_raw_target(raw, f"/a{chr(byte)}"))
            assert fault is (PathFault.ENCODED_DELIMITER if byte in b"/\\\0" else None), escape


@pytest.mark.row("G-21")
@pytest.mark.parametrize("raw", ["/%", "/a%2", "/%4g", "/%g4", "/%%41", "/%-1"])
def test_half_an_escape_is_refused_even_if_the_server_let_it_stand(raw: str) -> None:
    with pytest.raises(BadPath) as caught:
        check_raw_target(raw, raw)
    assert caught.value.fault is PathFault.RAW_MISMATCH


@pytest.mark.row("G-21")
@pytest.mark.parametrize("path", ["/2f", "/a5c", "/00"])
def test_digits_are_no_escape(path: str) -> None:
    check_raw_target(f"/%20{path[1:]}", f"/ {path[1:]}")
    assert canonical_path(path) == path


@pytest.mark.row("G-21")
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=30).map(lambda text: "/" + text))
@example("/a/../b")
@example("/%2e%2e/")
@example("/a;")
def test_a_canonical_path_has_no_segment_that_resolves_away(path: str) -> None:
    try:
        canonical = canonical_path(path)
    except BadPath:
        return
    assert canonical.encode("utf-8") == path.encode("latin-1")
    assert not {".", ".."} & set(canonical.split("/"))
    assert "" not in canonical.split("/")[1:-1]
    assert "\\" not in canonical
    # A browser that resolves it ends where it began. (`urljoin` would lose a semicolon at the end.)
    quoted = quote_path(canonical).replace(";", "%3B")
    assert urlsplit(urljoin(ORIGIN, quoted)).path == quoted


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        pytest.param("/a/b", "/a/b", id="same"),
        pytest.param("/a?x=/../b", "/a", id="query does not count"),
        pytest.param("/%61b", "/ab", id="escaped letter"),
        pytest.param("/%C5%BE", "/\xc5\xbe", id="escaped UTF-8"),
        pytest.param("/a%20b", "/a b", id="space"),
    ],
)
def test_a_target_that_decodes_to_the_path_passes(raw: str, decoded: str) -> None:
    check_raw_target(raw, decoded)


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("raw", "decoded", "fault"),
    [
        pytest.param("/x", "/admin/x", PathFault.RAW_MISMATCH, id="moved by a header"),
        pytest.param("/admin", "/public", PathFault.RAW_MISMATCH, id="another path"),
        pytest.param("/a%2Fb", "/a/b", PathFault.ENCODED_DELIMITER, id="encoded slash"),
        pytest.param("/a%5cb", "/a\\b", PathFault.ENCODED_DELIMITER, id="encoded backslash"),
        pytest.param("/a%00", "/a\x00", PathFault.ENCODED_DELIMITER, id="encoded NUL"),
        pytest.param("/%zz", "/%zz", PathFault.RAW_MISMATCH, id="broken escape"),
        pytest.param("http://app.example.com/a", "/a", PathFault.NOT_ABSOLUTE, id="absolute-form"),
        pytest.param("*", "/", PathFault.NOT_ABSOLUTE, id="asterisk-form"),
        pytest.param("/a#b", "/a", PathFault.RAW_MISMATCH, id="fragment"),
        pytest.param("/\u20ac", "/x", PathFault.NOT_UTF8, id="not bytes"),
    ],
)
def test_a_target_that_says_another_path_is_refused(raw: str, decoded: str, fault: PathFault) -> None:
    with pytest.raises(BadPath) as caught:
        check_raw_target(raw, decoded)
    assert caught.value.fault is fault


def as_a_browser_resolves(base: str, target: str) -> str:
    """What the WHATWG URL algorithm does with a reference, as far as it matters for where it leads."""
    target = target.strip("".join(map(chr, range(33)))).translate(dict.fromkeys(map(ord, "\t\r\n")))
    return urljoin(base, target.replace("\\", "/"))


def test_the_list_of_hostile_targets_is_complete() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.row("G-22")
@pytest.mark.parametrize("target", HOSTILE, ids=quote)
def test_hostile_targets_are_refused(target: str) -> None:
    # Staying on the origin would do; that none of them is let through at all is simpler to be sure of.
    assert safe_return_path(target, [ORIGIN]) is None


@pytest.mark.row("G-22")
@given(
    st.lists(
        st.sampled_from(
            [
                *"/\\:@.?#%;&=~\t\r\n\0 ",
                "%2f",
                "%5c",
                "%00",
                "%2e",
                "..",
                "//",
                "evil.example",
                "https:",
                ORIGIN,
                "é",
            ]
        ),
        max_size=9,
    ).map("".join)
)
def test_no_target_leaves_the_origin(target: str) -> None:
    path = safe_return_path(target, [ORIGIN])
    if path is None:
        return
    assert path.startswith("/")
    parts = urlsplit(as_a_browser_resolves(ORIGIN, path))
    assert (parts.scheme, parts.netloc) == ("https", "app.example.com")
    assert ORIGIN + path == as_a_browser_resolves(ORIGIN, path)


@pytest.mark.row("G-22")
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b?c=d&e=/f//g", "/a/b?c=d&e=/f//g"),
        ("/a?next=https://evil.example", "/a?next=https://evil.example"),
        ("/a#part/2", "/a#part/2"),
        ("/" + "a" * 2047, "/" + "a" * 2047),
        ("/%C5%BEaba", "/%C5%BEaba"),
        (f"{ORIGIN}/a?b", "/a?b"),
        (ORIGIN, "/"),
    ],
)
def test_own_targets_come_back_as_paths(target: str, path: str) -> None:
    assert safe_return_path(target, [ORIGIN]) == path


@pytest.mark.row("G-22")
@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "/" + "a" * 2048,
        f"{ORIGIN}:443/",
        f"{ORIGIN}.evil.example/",
        "/a?b\\c",
        "/žába",
        "/a?",
        "/a#",
    ],
)
def test_what_is_not_plainly_ours_is_refused(target: str) -> None:
    assert safe_return_path(target, [ORIGIN]) is None


@pytest.mark.row("G-22")
@given(st.sampled_from("-._~09azAZ"), st.booleans())
def test_a_target_has_one_spelling(character: str, small: bool) -> None:
    escape = f"%{ord(character):02x}" if small else f"%{ord(character):02X}"
    assert safe_return_path(f"/{escape}oidcgate/logout", [ORIGIN]) is None
    # In the query it is the app's to read.
    assert safe_return_path(f"/a?b={escape}", [ORIGIN]) == f"/a?b={escape}"


# RFC 3986 2.3 and 2.2, less the brackets.
UNRESERVED = string.ascii_letters + string.digits + "-._~"
RESERVED = ":/?#@!$&'()*+,;="


@pytest.mark.row("G-22")
def test_each_character_of_a_return_path() -> None:
    for character in map(chr, range(256)):
        target = f"/a?b={character}c"
        # "#" begins the fragment, "%" an escape: neither is refused as such.
        expected = target if character in UNRESERVED + RESERVED + "%" else None
        assert safe_return_path(target, []) == expected, ascii(character)


@pytest.mark.row("G-22")
def test_what_stands_for_itself_may_not_be_escaped_in_a_return_path() -> None:
    for byte in range(0x20, 0x7F):
        for escape in (f"%{byte:02x}", f"%{byte:02X}"):
            expected = None if chr(byte) in UNRESERVED + "/\\" else f"/a{escape}b"
            assert safe_return_path(f"/a{escape}b", []) == expected, escape


def test_an_origin_is_own_only_when_it_is_given() -> None:
    assert safe_return_path(f"{ORIGIN}/a", []) is None


def test_only_what_a_path_cannot_hold_is_escaped() -> None:
    for character in map(chr, range(0x20, 0x7F)):
        expected = character if character in UNRESERVED + "/!$&'()*+,;=:@" else f"%{ord(character):02X}"
        assert quote_path(f"/a{character}") == f"/a{expected}"
    assert quote_path("/ž") == "/%C5%BE"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_quoting_is_undone_by_reading(segment: str) -> None:
    try:
        path = canonical_path(f"/{segment}".encode().decode("latin-1"))
    except BadPath:
        return
    quoted = quote_path(path)
    assert quoted.isascii()
    assert quote(segment, safe="!$&'()*+,;=:@~/") == quoted[1:]


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        pytest.param("/a/b", None, id="none"),
        pytest.param("/a%2Fb", "/a%2Fb", id="one"),
        pytest.param("/a%2fb%2F%24c", "/a%2Fb%2F$c", id="several-either-case"),
        pytest.param("/%C3%A9%2Fx", "/é%2Fx", id="beside-text"),
    ],
)
def test_an_encoded_slash_is_part_of_a_name_to_some(raw: str, read: str | None) -> None:
    assert opaque_slashes(raw) == read


@pytest.mark.parametrize("raw", ["/a%5Cb", "/a%00b", "/a%2Fb%5cc"])
def test_other_encoded_delimiters_are_refused_also_where_slashes_may_stand(raw: str) -> None:
    with pytest.raises(BadPath) as refused:
        check_raw_target(raw, unquote_to_bytes(raw).decode("latin-1"), insecure_encoded_slash=True)
    assert refused.value.fault is PathFault.ENCODED_DELIMITER


def test_an_encoded_slash_may_stand_only_where_that_is_asked_for() -> None:
    check_raw_target("/a%2Fb", "/a/b", insecure_encoded_slash=True)
    with pytest.raises(BadPath):
        check_raw_target("/a%2Fb", "/a/b")
