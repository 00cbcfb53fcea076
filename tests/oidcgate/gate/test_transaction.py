"""Login attempts as cookies: one each, capped, opened only by their own state."""

import time

import msgspec
import pytest
from werkzeug.http import parse_cookie

from oidcgate.gate.transaction import MAX_PENDING, TTL_SECONDS, Transaction, Transactions
from oidcgate.web.cookies import CookieNames, cookie_value
from oidcgate.web.sealing import KeyRing, Sealer

NOW = 1_900_000_000
SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
NAMES = CookieNames.of("https://app.example.com")


def transactions(secret: str = SECRET, gate: str = "gate") -> Transactions:
    return Transactions(Sealer(KeyRing([secret]), "transaction", gate), NAMES)


def attempt(number: int = 0, *, started_at: int = NOW, return_path: str = "/x") -> Transaction:
    return Transaction(
        seed=number.to_bytes(32),
        issuer="https://id.example",
        return_path=return_path,
        loops=0,
        started_at=started_at,
    )


class Jar:
    """The cookies of a browser, as the routes under `/.oidcgate/` see them."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def take(self, set_cookies: list[str]) -> None:
        for line in set_cookies:
            name, value = line.partition(";")[0].split("=", 1)
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


def test_an_attempt_comes_back_as_it_was() -> None:
    jar, kept = Jar(), transactions()
    jar.take(kept.begin(attempt(), jar.header, NOW))
    assert kept.open(jar.header, attempt().state, NOW + 5) == attempt()
    assert kept.pending(jar.header, NOW + 5) == [attempt()]


def test_what_derives_from_a_seed_is_independent_and_fit_for_its_use() -> None:
    one, other = attempt(1), attempt(2)
    derived = [one.state, one.nonce, one.verifier, one.session_id, other.state, other.nonce, other.verifier]
    assert len(set(derived)) == len(derived)
    # RFC 7636 4.1 asks for 43 to 128 unreserved characters; all of them have 256 bits.
    assert all(len(value) == 43 and value.replace("-", "").replace("_", "").isalnum() for value in derived)
    assert one.state == attempt(1).state


def test_repr_keeps_the_seed() -> None:
    assert "seed" not in repr(attempt())
    assert attempt().verifier not in repr(attempt())


@pytest.mark.row("G-02")
def test_the_cookie_is_short_lived_and_for_our_routes_only() -> None:
    proof, line = transactions().begin(attempt(), "", NOW)
    attributes = line.split("; ")[1:]
    assert line.startswith(f"__Secure-oidcgate-tx-{NAMES.session[-12:]}-{attempt().state}=")
    said = {f"Max-Age={TTL_SECONDS}", "HttpOnly", "Secure", "SameSite=Lax"}
    assert set(attributes) == {"Path=/.oidcgate/", *said}
    assert TTL_SECONDS <= 600
    # What the app's requests carry beside it is small.
    assert proof.startswith(f"__Host-oidcgate-at-{NAMES.session[-12:]}-{attempt().state[:16]}=1; ")
    assert set(proof.split("; ")[1:]) == {"Path=/", *said}
    assert len(proof.partition(";")[0]) == 50


@pytest.mark.row("F-13", "G-24")
class TestNotOpened:
    """An attempt of another browser, gate, key, time or state."""

    def header(self, kept: Transactions, number: int = 0) -> str:
        jar = Jar()
        jar.take(kept.begin(attempt(number), "", NOW))
        return jar.header

    def test_by_a_browser_without_it(self) -> None:
        assert transactions().open("", attempt().state, NOW) is None

    @pytest.mark.parametrize("proof", ["", "{name}=0", "{name}=1; {name}=1"], ids=["no", "other", "two"])
    def test_where_a_sibling_host_planted_it(self, proof: str) -> None:
        name = NAMES.proof(attempt().state)
        own, planted = self.header(transactions()).split("; ")
        assert own == f"{name}=1"
        header = "; ".join(filter(None, [proof.format(name=name), planted]))
        assert transactions().open(header, attempt().state, NOW) is None

    def test_by_another_state(self) -> None:
        assert transactions().open(self.header(transactions()), attempt(1).state, NOW) is None

    def test_under_a_name_that_was_changed(self) -> None:
        header = self.header(transactions()).replace(attempt().state, attempt(1).state)
        header = header.replace(attempt().state[:16], attempt(1).state[:16])
        assert cookie_value(header, NAMES.proof(attempt(1).state)) == "1"
        assert transactions().open(header, attempt(1).state, NOW) is None

    def test_when_it_is_there_twice(self) -> None:
        header = self.header(transactions())
        assert transactions().open(f"{header}; {header}", attempt().state, NOW) is None

    @pytest.mark.parametrize("seconds", [TTL_SECONDS, 10 * TTL_SECONDS, -3600])
    def test_out_of_its_time(self, seconds: int) -> None:
        assert transactions().open(self.header(transactions()), attempt().state, NOW + seconds) is None

    def test_under_a_retired_key(self) -> None:
        assert transactions(SECRET[::-1]).open(self.header(transactions()), attempt().state, NOW) is None

    def test_at_another_gate(self) -> None:
        assert transactions(gate="other").open(self.header(transactions()), attempt().state, NOW) is None

    def test_altered_or_cut(self) -> None:
        header = self.header(transactions())
        for broken in (header[:-1], header[:-1] + ("A" if header[-1] != "A" else "B"), header + "x" * 8000):
            assert transactions().open(broken, attempt().state, NOW) is None

    def test_sealed_by_us_for_something_else(self) -> None:
        value = Sealer(KeyRing([SECRET]), "logout", "gate").seal(b"\x90", NOW)
        header = f"{NAMES.proof(attempt().state)}=1; {NAMES.transaction(attempt().state)}={value}"
        assert transactions().open(header, attempt().state, NOW) is None

    def test_sealed_by_us_with_a_text_that_is_not_utf_8(self) -> None:
        plain = msgspec.msgpack.encode(attempt()).replace(b"https://id.example", b"https://id.exampl\xff")
        value = transactions().sealer.seal(plain, NOW)
        header = f"{NAMES.proof(attempt().state)}=1; {NAMES.transaction(attempt().state)}={value}"
        assert transactions().open(header, attempt().state, NOW) is None

    def test_sealed_by_us_and_no_attempt(self) -> None:
        value = Sealer(KeyRing([SECRET]), "transaction", "gate").seal(b"\x93\x01", NOW)
        header = f"{NAMES.proof(attempt().state)}=1; {NAMES.transaction(attempt().state)}={value}"
        assert transactions().open(header, attempt().state, NOW) is None


@pytest.mark.row("G-01", "G-02")
class TestManyTabs:
    """Attempts make room for each other, the oldest first."""

    def test_as_many_as_are_allowed_are_open_at_once(self) -> None:
        jar, kept = Jar(), transactions()
        for number in range(MAX_PENDING):
            jar.take(kept.begin(attempt(number, started_at=NOW + number), jar.header, NOW + number))
        assert len(jar.cookies) == 2 * MAX_PENDING
        for number in range(MAX_PENDING):
            assert kept.open(jar.header, attempt(number).state, NOW + 20) is not None

    def test_one_more_takes_the_place_of_the_oldest(self) -> None:
        jar, kept = Jar(), transactions()
        for number in range(MAX_PENDING + 3):
            jar.take(kept.begin(attempt(number, started_at=NOW + number), jar.header, NOW + number))
        assert len(jar.cookies) == 2 * MAX_PENDING
        gone = [
            n for n in range(MAX_PENDING + 3) if kept.open(jar.header, attempt(n).state, NOW + 30) is None
        ]
        assert gone == [0, 1, 2]

    def test_long_deep_links_never_fill_the_header(self) -> None:
        jar, kept = Jar(), transactions()
        for number in range(40):
            jar.take(
                kept.begin(
                    attempt(number, started_at=NOW + number, return_path="/" + "x" * 2000),
                    jar.header,
                    NOW + number,
                )
            )
            # gunicorn refuses a header of 8,190 bytes; what the app has set needs room too.
            assert len(jar.header) <= 7_000
        assert kept.open(jar.header, attempt(39).state, NOW + 50) is not None

    def test_the_apps_own_cookies_count(self) -> None:
        jar, kept = Jar(), transactions()
        jar.cookies["app"] = "x" * 6000
        for number in range(8):
            jar.take(kept.begin(attempt(number, started_at=NOW + number), jar.header, NOW + number))
        assert len(jar.header) <= 7_000
        assert jar.cookies["app"] == "x" * 6000
        assert kept.open(jar.header, attempt(7).state, NOW + 9) is not None

    def test_what_does_not_open_goes_first(self) -> None:
        jar, kept = Jar(), transactions()
        jar.take(kept.begin(attempt(0, started_at=NOW - TTL_SECONDS), "", NOW - TTL_SECONDS))
        jar.cookies[NAMES.transaction("of-an-old-key")] = "AAAA"
        jar.take(kept.begin(attempt(1), jar.header, NOW))
        state = attempt(1).state
        assert set(jar.cookies) == {NAMES.transaction(state), NAMES.proof(state)}

    def test_a_name_that_no_cookie_of_ours_can_have_stops_nothing(self) -> None:
        kept, planted = transactions(), f"{NAMES.transaction_prefix}(x)=v"
        assert len(kept.begin(attempt(), planted, NOW)) == 2

    @pytest.mark.row("G-02", "G-28")
    def test_a_header_full_of_attempts_costs_and_answers_no_more_than_a_browsers(self) -> None:
        kept = transactions()
        forged = "; ".join(f"{NAMES.transaction_prefix}{number:x}=v" for number in range(20_000))
        began = time.process_time()
        answer = kept.begin(attempt(), forged, NOW)
        # Counting each name among all others took half a minute here.
        assert time.process_time() - began < 2
        assert len(answer) <= 2 * (1 + 4 * MAX_PENDING)

    @pytest.mark.row("G-28")
    def test_a_header_full_of_real_attempts_is_no_burden_to_a_logout(self) -> None:
        kept, jar = transactions(), Jar()
        for number in range(6 * MAX_PENDING):
            jar.take(kept.begin(attempt(number), "", NOW))
        # Each of them is a write to the state store. Those that count are the youngest.
        pending = kept.pending(jar.header, NOW)
        assert pending == [attempt(number) for number in range(2 * MAX_PENDING, 6 * MAX_PENDING)]

    def test_ending_one_leaves_the_others(self) -> None:
        jar, kept = Jar(), transactions()
        for number in range(2):
            jar.take(kept.begin(attempt(number), jar.header, NOW))
        jar.take(kept.end(attempt(0).state))
        assert kept.open(jar.header, attempt(0).state, NOW) is None
        assert kept.open(jar.header, attempt(1).state, NOW) is not None


def test_a_cookie_is_one_that_any_reader_understands() -> None:
    _, line = transactions().begin(attempt(), "", NOW)
    name, value = line.partition(";")[0].split("=", 1)
    assert dict(parse_cookie(f"{name}={value}")) == {name: value}
