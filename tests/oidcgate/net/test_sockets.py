"""The limits over real sockets: a peer that is slow, huge, elsewhere, or somebody else."""

import contextlib
import gzip
import ipaddress
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from oidcgate.net.addresses import Address
from oidcgate.net.fetch import AddressRules, Fetcher, FetchError, FetchFailure
from tests.oidcgate.net.peer import HEAD, Conversation, Peer, Script, answer
from tests.support.tls import Authority

LOOPBACK = AddressRules(insecure_allow_http_loopback=True)
GOOD = answer(b'{"a":1}')


def once(data: bytes) -> Script:
    """Answer every request of the connection with `data`."""

    def script(conversation: Conversation) -> None:
        while conversation.request():
            conversation.send(data)

    return script


def once_and_close(data: bytes) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(data)

    return script


def fetcher(**changes: object) -> Fetcher:
    return Fetcher(LOOPBACK, **({"total_seconds": 0.6, "max_bytes": 10_000} | changes))


def failure(peer: Peer, fetch: Fetcher | None = None, path: str = "/x?secret=canary") -> FetchError:
    with pytest.raises(FetchError) as caught:
        (fetch or fetcher()).get_json(f"http://127.0.0.1:{peer.port}{path}")
    assert "canary" not in caught.value.detail + "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.row("P-09")
def test_a_good_answer_is_read_and_the_connection_used_again() -> None:
    with Peer(once(GOOD)) as peer:
        fetch = fetcher()
        for _ in range(3):
            fetched = fetch.get_json(f"http://127.0.0.1:{peer.port}/x", {"Authorization": "Bearer t"})
            assert (fetched.status, fetched.document) == (200, {"a": 1})
        assert fetched.headers["content-type"] == "application/json"
        assert peer.connections == 1
        fetch.close()


def test_the_request_says_what_it_has_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    heard: list[bytes] = []

    def script(conversation: Conversation) -> None:
        while data := conversation.request():
            heard.append(data)
            conversation.send(answer(b"{}", b"Set-Cookie: a=b\r\n"))

    with Peer(script) as peer:
        fetch = fetcher()
        for _ in range(2):
            fetch.get_json(f"http://localhost:{peer.port}/a?b=c", {"X-A": "1"})
        fetch.close()
    for request in heard:
        lines = request.lower().split(b"\r\n")
        assert lines[0] == b"get /a?b=c http/1.1"
        assert b"host: localhost:%d" % peer.port in lines
        assert b"accept: application/json" in lines
        assert b"x-a: 1" in lines
        # Neither the environment's passwords and proxy nor the peer's cookie.
        assert not any(line.startswith((b"authorization", b"cookie", b"proxy")) for line in lines)


@pytest.mark.row("P-09", "G-28")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda conversation: conversation.hang(), id="silent"),
        pytest.param(
            lambda conversation: (conversation.request(), conversation.hang()), id="silent-after-the-request"
        ),
        pytest.param(lambda conversation: conversation.drip(HEAD * 1000), id="slow-head"),
        pytest.param(
            lambda conversation: conversation.drip(b"HTTP/1.1 200 " + b"O" * 9000), id="slow-status-line"
        ),
        pytest.param(
            lambda conversation: (
                conversation.send(HEAD + b"Content-Length: 9000\r\n\r\n"),
                conversation.drip(b" " * 9000),
            ),
            id="slow-body",
        ),
        pytest.param(
            lambda conversation: (conversation.send(HEAD + b"\r\n"), conversation.drip(b" " * 9000)),
            id="slow-body-without-length",
        ),
        pytest.param(
            lambda conversation: (
                conversation.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
                conversation.drip(b"1\r\n \r\n" * 9000),
            ),
            id="slow-chunks",
        ),
        pytest.param(
            lambda conversation: (
                conversation.send(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9000\r\n\r\n"),
                conversation.drip(gzip.compress(bytes(range(256)) * 100, 0)),
            ),
            id="slow-gzip",
        ),
    ],
)
def test_a_slow_peer_ends_at_the_total_deadline(script: Script) -> None:
    with Peer(script) as peer:
        started = time.monotonic()
        assert failure(peer).reason is FetchFailure.TIMEOUT
        # A drip sends within every single wait; only a total can end this soon.
        assert time.monotonic() - started < 5


@pytest.mark.row("P-09")
def test_a_kept_connection_gets_a_new_deadline() -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(GOOD)
        conversation.request()
        conversation.hang()

    with Peer(script) as peer:
        fetch = fetcher()
        fetch.get_json(f"http://127.0.0.1:{peer.port}/x")
        assert failure(peer, fetch).reason is FetchFailure.TIMEOUT


BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(answer(b" " * 10_001), FetchFailure.TOO_LARGE, id="one-byte-too-long"),
        pytest.param(HEAD + b"\r\n" + b" " * 200_000, FetchFailure.TOO_LARGE, id="without-length"),
        pytest.param(
            HEAD + b"Content-Length: 99999999999\r\n\r\n" + b" " * 20_000,
            FetchFailure.TOO_LARGE,
            id="huge-length",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"4e20\r\n" + b" " * 20_000,
            FetchFailure.TOO_LARGE,
            id="chunked",
        ),
        pytest.param(answer(BOMB, b"Content-Encoding: gzip\r\n"), FetchFailure.TOO_LARGE, id="gzip-bomb"),
        pytest.param(
            answer(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip\r\n"),
            FetchFailure.TOO_LARGE,
            id="gzip-bomb-twice",
        ),
        pytest.param(
            answer(b"x" * 50, b"Content-Encoding: gzip\r\n"), FetchFailure.CONNECTION, id="not-gzip"
        ),
        pytest.param(b"", FetchFailure.CONNECTION, id="closed-at-once"),
        pytest.param(b"SSH-2.0-x\r\n", FetchFailure.CONNECTION, id="another-protocol"),
        pytest.param(HEAD + b"Content-Length: 50\r\n\r\n{}", FetchFailure.CONNECTION, id="closed-early"),
        pytest.param(
            HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", FetchFailure.CONNECTION, id="header-line-too-long"
        ),
        pytest.param(HEAD + b"X: 1\r\n" * 200 + b"\r\n", FetchFailure.CONNECTION, id="too-many-headers"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            FetchFailure.REDIRECT,
            id="redirect",
        ),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\n\r\n", FetchFailure.REDIRECT, id="not-modified"),
        pytest.param(
            b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", FetchFailure.STATUS, id="server-error"
        ),
        pytest.param(
            b"HTTP/1.1 404 Gone\r\nContent-Length: 2\r\n\r\n{}", FetchFailure.STATUS, id="not-found"
        ),
        pytest.param(
            b"HTTP/1.1 404 Gone\r\nContent-Length: 5\r\n\r\n<html", FetchFailure.STATUS, id="not-found-page"
        ),
        pytest.param(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\n{}", FetchFailure.STATUS, id="created"),
        pytest.param(answer(b"<html>"), FetchFailure.NOT_JSON, id="page"),
        pytest.param(answer(b""), FetchFailure.NOT_JSON, id="empty"),
        pytest.param(answer(b"[]"), FetchFailure.NOT_JSON, id="array"),
        pytest.param(answer(b'{"a":1,"a":2}'), FetchFailure.NOT_JSON, id="member-twice"),
        pytest.param(answer(b"[" * 9000), FetchFailure.NOT_JSON, id="bracket-bomb"),
    ],
)
def test_an_answer_that_is_none_is_named(data: bytes, reason: FetchFailure) -> None:
    with Peer(once_and_close(data)) as peer:
        assert failure(peer, fetcher(total_seconds=10)).reason is reason


def test_the_cap_itself_is_allowed() -> None:
    body = b'{"a":1}'.ljust(10_000)
    with Peer(once_and_close(answer(gzip.compress(body), b"Content-Encoding: gzip\r\n"))) as peer:
        assert fetcher().get_json(f"http://127.0.0.1:{peer.port}/x").document == {"a": 1}


def test_after_a_refused_answer_the_connection_is_not_used_again() -> None:
    with Peer(once(answer(b" " * 20_000))) as peer:
        fetch = fetcher()
        failure(peer, fetch)
        failure(peer, fetch)
        assert peer.connections == 2


def test_nobody_listening_is_named() -> None:
    with Peer(once(GOOD)) as peer:
        port = peer.port
    with pytest.raises(FetchError) as caught:
        fetcher().get_json(f"http://127.0.0.1:{port}/x")
    assert caught.value.reason is FetchFailure.CONNECTION
    assert "refused" in caught.value.detail


# --- names and addresses


class Names:
    """A resolver under the test's control."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if not answer:
            raise OSError("no such name")
        return [ipaddress.ip_address(address) for address in answer]


INSIDE = AddressRules(allow_private=("127.0.0.0/30",))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


@pytest.fixture
def tls_peer(authority: Authority) -> Iterator[Peer]:
    with Peer(once(GOOD), tls=server_tls(authority, "id.test")) as peer:
        yield peer


def server_tls(authority: Authority, *names: str) -> ssl.SSLContext:
    issued = authority.issue(*names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


def secure(
    authority: Authority | None, names: Names, rules: AddressRules = INSIDE, **changes: object
) -> Fetcher:
    ca_file = None if authority is None else authority.certificate
    return Fetcher(rules, resolver=names, ca_file=ca_file, **({"total_seconds": 5} | changes))


def refused(fetch: Fetcher, url: str) -> FetchFailure:
    with pytest.raises(FetchError) as caught:
        fetch.get_json(url)
    assert caught.value.url_without_query == url
    return caught.value.reason


def test_where_only_a_host_is_known_no_scheme_is_said() -> None:
    assert (
        FetchError(FetchFailure.CONNECTION, "//id.example:443", "gone").url_without_query == "id.example:443"
    )


@pytest.mark.row("P-09")
def test_over_tls_the_name_stays_in_sni_and_host_while_the_address_is_the_checked_one(
    authority: Authority, tls_peer: Peer
) -> None:
    names = Names(id_test=[["127.0.0.1"]])
    fetch = secure(authority, names)
    for _ in range(2):
        assert fetch.get_json(f"https://id.test:{tls_peer.port}/x").document == {"a": 1}
    assert names.asked == ["id.test"]
    assert (tls_peer.connections, tls_peer.server_names) == (1, ["id.test"])
    fetch.close()


@pytest.mark.row("P-09")
def test_a_name_that_rebinds_is_never_connected_to(authority: Authority, tls_peer: Peer) -> None:
    # Asked once per connection: who asks twice would check the first answer and connect to the second.
    names = Names(id_test=[["93.184.215.14", "127.0.0.9"], ["127.0.0.9"]])
    fetch = secure(authority, names)
    for _ in range(2):
        assert refused(fetch, f"https://id.test:{tls_peer.port}/x") is FetchFailure.REFUSED_ADDRESS
    assert tls_peer.connections == 0


@pytest.mark.row("P-09")
@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]", "[fe80::1]"])
def test_an_address_in_the_url_is_judged_without_a_resolver(host: str) -> None:
    names = Names()
    assert refused(secure(None, names), f"https://{host}/x") is FetchFailure.REFUSED_ADDRESS
    assert names.asked == []


@pytest.mark.row("P-09")
@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_loopback_are_judged_as_what_they_resolve_to(host: str) -> None:
    with Peer(once(GOOD)) as peer:
        assert refused(Fetcher(AddressRules(), total_seconds=5), f"https://{host}:{peer.port}/x") in (
            FetchFailure.REFUSED_ADDRESS,
            FetchFailure.CONNECTION,
        )
        assert peer.connections == 0


def test_the_next_address_is_tried_when_one_does_not_answer(authority: Authority, tls_peer: Peer) -> None:
    names = Names(id_test=[["127.0.0.2", "127.0.0.1"]])
    assert secure(authority, names).get_json(f"https://id.test:{tls_peer.port}/x").document == {"a": 1}


def test_an_address_of_version_6_is_dialled() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Peer(once(GOOD), address="::1") as peer:
        assert fetcher().get_json(f"http://[::1]:{peer.port}/x").document == {"a": 1}


def test_a_name_without_address_is_named(authority: Authority) -> None:
    assert refused(secure(authority, Names(id_test=[[]])), "https://id.test/x") is FetchFailure.CONNECTION


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    over = threading.Event()

    def hang(host: str, port: int) -> list[Address]:
        over.wait(30)
        return []

    fetch = Fetcher(AddressRules(), total_seconds=0.2, resolver=hang)
    try:
        # More than may resolve at once: the later ones wait for a turn, and their deadline ends that too.
        for _ in range(18):
            assert refused(fetch, "https://id.test/x") is FetchFailure.TIMEOUT
    finally:
        over.set()


def test_a_certificate_for_another_name_is_refused(authority: Authority, tls_peer: Peer) -> None:
    names = Names(other_test=[["127.0.0.1"]])
    assert refused(secure(authority, names), f"https://other.test:{tls_peer.port}/x") is FetchFailure.TLS


def test_an_unknown_authority_is_refused_whatever_the_environment_says(
    authority: Authority, tls_peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(authority.certificate))
    names = Names(id_test=[["127.0.0.1"]])
    assert refused(secure(None, names), f"https://id.test:{tls_peer.port}/x") is FetchFailure.TLS


def test_a_session_cannot_switch_the_certificate_check_off(tls_peer: Peer) -> None:
    session = secure(None, Names(id_test=[["127.0.0.1"]])).mount(requests.Session())
    session.verify = False
    with pytest.raises(FetchError) as caught:
        session.get(f"https://id.test:{tls_peer.port}/x", verify=False)
    assert caught.value.reason is FetchFailure.TLS


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda conversation: conversation.drip(HEAD * 1000), id="slow-head"),
        pytest.param(
            lambda conversation: (
                conversation.send(HEAD + b"Content-Length: 9000\r\n\r\n"),
                conversation.drip(b" " * 9000),
            ),
            id="slow-body",
        ),
    ],
)
@pytest.mark.row("P-09")
def test_a_slow_peer_ends_at_the_total_deadline_over_tls(authority: Authority, script: Script) -> None:
    with Peer(script, tls=server_tls(authority, "id.test")) as peer:
        fetch = secure(authority, Names(id_test=[["127.0.0.1"]]), total_seconds=0.6)
        started = time.monotonic()
        assert refused(fetch, f"https://id.test:{peer.port}/x") is FetchFailure.TIMEOUT
        assert time.monotonic() - started < 5


@pytest.mark.row("P-09")
def test_a_slow_handshake_ends_at_the_total_deadline(authority: Authority) -> None:
    with Peer(lambda conversation: conversation.drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 9000)) as peer:
        fetch = secure(authority, Names(id_test=[["127.0.0.1"]]), total_seconds=0.6)
        started = time.monotonic()
        assert refused(fetch, f"https://id.test:{peer.port}/x") is FetchFailure.TIMEOUT
        assert time.monotonic() - started < 5


# --- the same guard under Authlib


def client(fetch: Fetcher) -> OAuth2Session:
    session: OAuth2Session = fetch.mount(
        OAuth2Session("app", "s3cret", token_endpoint_auth_method="client_secret_post")
    )
    return session


def redeem(session: OAuth2Session, port: int) -> dict[str, object]:
    token: dict[str, object] = session.fetch_token(
        f"http://127.0.0.1:{port}/token", grant_type="authorization_code", code="canary", code_verifier="v"
    )
    return token


def test_authlib_redeems_a_code_through_the_guard() -> None:
    bodies: list[bytes] = []

    def script(conversation: Conversation) -> None:
        head, _, body = conversation.request().partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += conversation.connection.recv(4096)
        bodies.append(body)
        conversation.send(answer(b'{"access_token":"a","token_type":"Bearer"}'))

    with Peer(script) as peer:
        assert redeem(client(fetcher()), peer.port)["access_token"] == "a"
    form = parse_qs(bodies[0].decode())
    assert (form["code"], form["client_id"], form["client_secret"]) == (["canary"], ["app"], ["s3cret"])


@pytest.mark.row("G-28", "P-09")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(lambda conversation: conversation.drip(HEAD * 1000), FetchFailure.TIMEOUT, id="slow"),
        pytest.param(once_and_close(answer(b" " * 10_001)), FetchFailure.TOO_LARGE, id="huge"),
        pytest.param(once_and_close(answer(b"[" * 9000)), FetchFailure.NOT_JSON, id="bracket-bomb"),
        pytest.param(
            once_and_close(answer("[".encode("utf-16-be") * 4000)),
            FetchFailure.NOT_JSON,
            id="bracket-bomb-utf-16",
        ),
        pytest.param(once_and_close(answer(b"<html>")), FetchFailure.NOT_JSON, id="page"),
        pytest.param(
            once_and_close(
                b"HTTP/1.1 307 Else\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            ),
            FetchFailure.REDIRECT,
            id="redirect",
        ),
        pytest.param(
            once_and_close(b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\n{}"),
            FetchFailure.STATUS,
            id="gateway",
        ),
        pytest.param(
            once_and_close(b"HTTP/1.1 429 Slow\r\nContent-Length: 5\r\n\r\n<html"),
            FetchFailure.STATUS,
            id="rate-limit-page",
        ),
    ],
)
def test_authlib_meets_the_same_refusals(script: Script, reason: FetchFailure) -> None:
    with Peer(script) as peer:
        with pytest.raises(FetchError) as caught:
            redeem(client(fetcher()), peer.port)
        assert caught.value.reason is reason
        assert "canary" not in repr(caught.value)


def test_an_oauth_error_reaches_authlib() -> None:
    body = b'{"error":"invalid_grant"}'
    refusal = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with Peer(once_and_close(refusal)) as peer, pytest.raises(OAuthError, match="invalid_grant"):
        redeem(client(fetcher()), peer.port)


def test_a_session_that_ends_leaves_the_shared_connections_open() -> None:
    with Peer(once(GOOD)) as peer:
        fetch = fetcher()
        for _ in range(2):
            with fetch.mount(requests.Session()) as session:
                assert session.get(f"http://127.0.0.1:{peer.port}/x").json() == {"a": 1}
        assert peer.connections == 1
        fetch.close()


def post(peer: Peer, **changes: object) -> int:
    return fetcher(**changes).post_form(
        f"http://127.0.0.1:{peer.port}/out?tenant=canary", {"logout_token": "a.b.c"}
    )


def only_the_head(head: bytes, more: Script | None = None) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(head)
        if more is not None:
            more(conversation)

    return script


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, b"OK"),
        (200, b""),
        (200, b"<html>fine</html>"),
        (400, b'{"error":"invalid_request"}'),
        (500, b"x"),
    ],
)
def test_of_a_posted_form_the_status_counts_whatever_comes_with_it(status: int, said: bytes) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(said))
    with Peer(once_and_close(head + said)) as peer:
        assert post(peer) == status


def test_a_form_says_what_it_has_to_and_its_connection_is_used_again() -> None:
    heard: list[bytes] = []

    def script(conversation: Conversation) -> None:
        while data := conversation.request():
            if b"a.b.c" not in data:
                data += conversation.connection.recv(4096)
            heard.append(data)
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    with Peer(script) as peer:
        fetch = fetcher()
        for _ in range(3):
            assert fetch.post_form(f"http://127.0.0.1:{peer.port}/out", {"logout_token": "a.b.c"}) == 200
        assert peer.connections == 1
        fetch.close()
    assert len(heard) == 3
    assert heard[0].startswith(b"POST /out HTTP/1.1\r\n")
    assert b"Content-Type: application/x-www-form-urlencoded" in heard[0]
    assert heard[0].endswith(b"logout_token=a.b.c")


@pytest.mark.row("P-09")
def test_a_gigabyte_behind_the_status_is_not_read() -> None:
    sent = 0

    def flood(conversation: Conversation) -> None:
        nonlocal sent
        chunk = b"x" * 65_536
        for _ in range(16_384):
            conversation.send(chunk)
            sent += len(chunk)

    with Peer(only_the_head(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", flood)) as peer:
        assert post(peer) == 200
    assert sent < 20_000_000  # what fits into the buffers of two sockets


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "length",
    [
        pytest.param(b"Content-Length: 900", id="short"),
        pytest.param(b"Transfer-Encoding: chunked", id="chunked"),
    ],
)
def test_what_drips_behind_the_status_is_not_waited_for_longer_than_a_call(length: bytes) -> None:
    script = only_the_head(b"HTTP/1.1 204 X\r\n" + length + b"\r\n\r\n", lambda one: one.drip(b"x" * 500))
    with Peer(script) as peer:
        started = time.monotonic()
        assert post(peer) == 204
        assert time.monotonic() - started < 5


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(lambda one: (one.request(), one.hang()), FetchFailure.TIMEOUT, id="hangs"),
        pytest.param(
            lambda one: (one.request(), one.drip(HEAD * 99)), FetchFailure.TIMEOUT, id="drips-its-head"
        ),
        pytest.param(lambda one: one.request(), FetchFailure.CONNECTION, id="closes"),
        pytest.param(
            once_and_close(b"HTTP/1.1 302 X\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"),
            FetchFailure.REDIRECT,
            id="redirects",
        ),
    ],
)
def test_a_form_that_gets_no_answer_says_why(script: Script, reason: FetchFailure) -> None:
    with Peer(script) as peer:
        with pytest.raises(FetchError) as caught:
            post(peer)
        assert peer.connections == 1
    assert caught.value.reason is reason
    assert "canary" not in str(caught.value)
    assert "a.b.c" not in str(caught.value)


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "url", ["http://app.example/", "https://u:p@app.example/", "ftp://app.example/", "https://", "x"]
)
def test_a_form_goes_nowhere_else(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        Fetcher(AddressRules()).post_form(url, {})
    assert caught.value.reason is FetchFailure.REFUSED_URL


@pytest.mark.row("P-09")
def test_a_form_goes_to_no_inner_address_and_to_nobody_without_the_right_certificate(
    authority: Authority, tls_peer: Peer
) -> None:
    url, names = f"https://id.test:{tls_peer.port}/out", {"id_test": [["127.0.0.1"]]}

    def why(fetch: Fetcher) -> FetchFailure:
        with pytest.raises(FetchError) as caught:
            fetch.post_form(url, {"logout_token": "a.b.c"})
        return caught.value.reason

    assert why(secure(authority, Names(**names), AddressRules())) is FetchFailure.REFUSED_ADDRESS
    assert tls_peer.connections == 0
    assert why(secure(None, Names(**names))) is FetchFailure.TLS
    assert secure(authority, Names(**names)).post_form(url, {"logout_token": "a.b.c"}) == 200


@pytest.mark.row("G-04")
def test_it_is_known_when_nothing_can_have_been_sent() -> None:
    """Whoever sends what is good once may send it again only then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(FetchError) as caught:
        fetcher().get_json(f"http://127.0.0.1:{port}/x")
    assert (caught.value.reason, caught.value.sent) == (FetchFailure.CONNECTION, False)
    with Peer(once_and_close(b"")) as peer:
        error = failure(peer)
    assert (error.reason, error.sent) == (FetchFailure.CONNECTION, True)


@pytest.mark.row("G-04")
def test_a_connection_that_does_not_come_about_in_time_carried_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # Whoever comes after these is not answered at all.
        with contextlib.ExitStack() as waiting:
            for _ in range(4):
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            with pytest.raises(FetchError) as caught:
                fetcher().get_json(f"http://127.0.0.1:{port}/x")
    assert (caught.value.reason, caught.value.sent) == (FetchFailure.TIMEOUT, False)
