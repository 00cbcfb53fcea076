"""What a browser is called, from what it says of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.services.browser_label import browser_label

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.row("A-28")
@pytest.mark.parametrize(
    ("said", "label"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 OPR/120.0", "Opera on Windows"),
        (f"{MOZILLA} (X11; Linux x86_64) {WEBKIT} Chrome/140 Safari/537.36 Vivaldi/7", "Vivaldi on Linux"),
        (f"{MOZILLA} (X11; Linux x86_64) {WEBKIT} Chromium/140 Chrome/140 Safari/5", "Chromium on Linux"),
        (f"{MOZILLA} (X11; CrOS x86_64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on ChromeOS"),
        (f"{MOZILLA} (Linux; Android 16; K) {WEBKIT} Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        (
            f"{MOZILLA} (Linux; Android 16; K) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0 Safari/537.36",
            "Samsung Internet on Android",
        ),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X) {WEBKIT} Version/26.0 Safari/605.1.15", "Safari on macOS"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/604.1", "Safari on iPhone"),
        (f"{MOZILLA} (iPad; CPU OS 18_0 like Mac OS X) CriOS/140.0 Safari/604.1", "Chrome on iPad"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) FxiOS/140 Safari/604.1", "Firefox on iPhone"),
        ("curl/8.14.1", "curl"),
        ("Something (Linux)", "Linux"),
        ("", ""),
        ("x" * 1_000 + "Firefox/140.0 Linux", ""),
        ("x" * 990 + "Firefox/140 Linux", "Firefox"),
    ],
)
def test_browsers_and_systems(said: str, label: str) -> None:
    assert browser_label(said) == label


@pytest.mark.row("P-03")
@given(st.text())
def test_nothing_of_what_a_browser_says_is_kept(said: str) -> None:
    label = browser_label(said)
    assert len(label) <= 60
    assert label.isascii()
    assert all(
        word in "Firefox Edge Chrome Safari Linux Windows on macOS curl"
        or word in said
        or word in ("Samsung", "Internet", "Opera", "ChromeOS")
        for word in label.split()
    )
