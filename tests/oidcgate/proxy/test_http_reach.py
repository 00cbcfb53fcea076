"""Where a `Proxy` goes: routes, TLS, Unix sockets, places among connections, and the life of its server."""

import asyncio
import ssl
from pathlib import Path

import pytest

from oidcgate.proxy.routes import Limits, Route, Upstream
from oidcgate.proxy.troubles import Trouble
from tests.oidcgate.proxy.calls import LOOK_SECONDS, Call, Line, fronted, played
from tests.oidcgate.proxy.conftest import Run
from tests.support.tls import Authority

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def named(name: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)


def test_routes(run: Run) -> None:
    async def test() -> None:
        async with played() as app, played() as api, played() as other:
            routes = (
                Route(Upstream(app.url)),
                Route(Upstream(api.url), path="/api"),
                Route(Upstream(other.url), host="other.example.com"),
            )
            async with fronted(*routes) as proxy:
                for upstream, host, path in (
                    (app, b"app.example.com", "/x"),
                    (api, b"app.example.com", "/api/x"),
                    (other, b"other.example.com", "/api/x"),
                ):
                    call = Call(proxy, path=path)
                    call.scope["headers"] = [(b"host", host)]
                    head = await (await upstream.line()).answers(HELLO)
                    assert f"GET {path} ".encode() in head
                    assert b"\r\nhost: %b\r\n" % host in head
                    assert b"\r\nx-forwarded-host: %b\r\n" % host in head
                    assert (await call.done()).status == 200

    run(test())


@pytest.mark.row("A-25")
def test_each_upstream_is_told_what_is_meant_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = [(b"x-forwarded-user", b"alice"), (b"x-salary", b"90000")]
    carried: list[list[tuple[bytes, bytes]]] = []

    async def carry(*args: object, own_headers: list[tuple[bytes, bytes]], **more: object) -> None:
        carried.append([pair for pair in own_headers if pair in forward])

    monkeypatch.setattr("oidcgate.proxy.http.carry", carry)

    async def test() -> None:
        async with played() as app, played() as other:
            routes = (
                Route(Upstream(app.url)),
                Route(Upstream(other.url), path="/other", own_headers=("X-Forwarded-User",)),
            )
            async with fronted(*routes) as proxy:
                for upstream, path, salary in ((app, "/x", True), (other, "/other/x", False)):
                    call = Call(proxy, path=path, forward=forward)
                    head = await (await upstream.line()).answers(HELLO)
                    assert b"\r\nx-forwarded-user: alice\r\n" in head
                    assert (b"90000" in head) is salary
                    assert (await call.done()).status == 200
                    live = Call(proxy, path=path, forward=forward)
                    live.scope["type"] = "websocket"
                    await live.done()

    run(test())
    assert carried == [forward, forward[:1]]


@pytest.mark.parametrize(
    ("kind", "extensions", "said"),
    [
        pytest.param("http", {}, ["http.response.start", "http.response.body"], id="http"),
        pytest.param(
            "websocket",
            {"websocket.http.response": {}},
            ["websocket.http.response.start", "websocket.http.response.body"],
            id="websocket",
        ),
        pytest.param("websocket", {}, ["websocket.close"], id="a-server-that-can-only-say-no"),
    ],
)
def test_what_no_route_serves(run: Run, kind: str, extensions: dict[str, object], said: list[str]) -> None:
    async def test() -> None:
        async with fronted(Route(Upstream("http://127.0.0.1:1"), host="other.example.com")) as proxy:
            call = Call(proxy)
            call.scope |= {"type": kind, "extensions": extensions}
            await call.done()
            assert proxy.troubles == [Trouble.NO_ROUTE]
            assert [message["type"] for message in call.sent] == said
            if len(said) > 1:
                assert (call.status, call.body) == (421, b'{"error": "misdirected_request"}')

    run(test())


def test_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with played(path=tmp_path / "app.sock") as upstream, fronted(upstream.url) as proxy:
            for _ in range(2):
                call = Call(proxy)
                line = line if upstream.opened else await upstream.line()  # noqa: F821
                assert b"\r\nhost: app.example.com\r\n" in await line.answers(HELLO)
                assert (await call.done()).body == b"hello"
            assert upstream.opened == 1

    run(test())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"))


def server_context(authority: Authority, name: str = "127.0.0.1") -> ssl.SSLContext:
    certificate = authority.issue(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


class TestTLS:
    def test_with_its_authority(self, run: Run, authority: Authority) -> None:
        async def test() -> None:
            async with played(tls=server_context(authority)) as upstream:
                route = Route(Upstream(upstream.url, ca_file=authority.certificate))
                async with fronted(route) as proxy:
                    for _ in range(2):
                        call = Call(proxy, "POST", body=b"x" * 100_000)
                        line = line if upstream.opened else await upstream.line()  # noqa: F821
                        await line.request()
                        assert await line.read(100_000) == b"x" * 100_000
                        line.say(HELLO)
                        assert (await call.done()).body == b"hello"
                    assert upstream.opened == 1

        run(test())

    def test_of_an_authority_that_is_not_ours(self, run: Run, authority: Authority, tmp_path: Path) -> None:
        async def test() -> None:
            other = Authority.create(tmp_path / "other")
            async with played(tls=server_context(authority)) as upstream:
                for ca_file in (None, other.certificate):
                    async with fronted(Route(Upstream(upstream.url, ca_file=ca_file))) as proxy:
                        call = await Call(proxy, headers=[(b"cookie", b"canary")]).done()
                    assert (call.status, proxy.troubles) == (502, [Trouble.TLS])

        run(test())

    def test_for_another_host(self, run: Run, authority: Authority) -> None:
        async def test() -> None:
            async with played(tls=server_context(authority, "other.example.com")) as upstream:
                route = Route(Upstream(upstream.url, ca_file=authority.certificate))
                async with fronted(route) as proxy:
                    call = await Call(proxy).done()
                assert (call.status, proxy.troubles) == (502, [Trouble.TLS])

        run(test())

    def test_with_a_certificate_of_ours(self, run: Run, authority: Authority) -> None:
        ours = authority.issue("gate")
        context = server_context(authority)
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED

        async def test() -> None:
            async with played(tls=context) as upstream:
                with_ours = Upstream(upstream.url, authority.certificate, ours.certificate, ours.key)
                async with fronted(Route(with_ours)) as proxy:
                    call = Call(proxy)
                    line = await upstream.line()
                    await line.answers(HELLO)
                    assert (await call.done()).status == 200
                    peer = line.writer.get_extra_info("peercert")
                    assert peer["subject"] == ((("commonName", "gate"),),)
                async with fronted(Route(Upstream(upstream.url, authority.certificate))) as proxy:
                    assert (await Call(proxy).done()).status == 502

        run(test())


def places(number: int) -> Limits:
    return Limits(upstream_connections=number)


LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TestPlaces:
    """At most so many connections to one upstream."""

    def test_who_comes_too_late_waits_for_a_connection(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=places(1)) as proxy,
            ):
                calls = [Call(proxy) for _ in range(3)]
                line = await upstream.line()
                for number, call in enumerate(calls):
                    await line.answers(named(b"%d" % number))
                    assert (await call.done()).body == b"%d" % number
                assert upstream.opened == 1

        run(test())

    def test_or_for_the_place_of_one_that_is_closed(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=places(2)) as proxy,
            ):
                calls = [Call(proxy) for _ in range(6)]
                for _ in range(3):
                    lines = [await upstream.line(), await upstream.line()]
                    assert upstream.unattended == 0
                    for line in lines:
                        await line.answers(
                            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                        )
                for call in calls:
                    assert (await call.done()).status == 200
                assert upstream.opened == 6

        run(test())

    def test_the_rest_of_a_body_waits_with_its_beginning(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url, limits=places(1)) as proxy:
                first = Call(proxy)
                line = await upstream.line()
                chunked = [(b"transfer-encoding", b"chunked")]
                second = Call(proxy, "POST", headers=chunked, body=None)
                for piece in (b"a", b"b"):
                    await second.feed(piece)
                await second.feed(b"c", more=False)
                # Long enough for everybody to be looked at more than once.
                await asyncio.sleep(LOOK_SECONDS * 5)
                assert second.unread == 2
                await line.answers(HELLO)
                await first.done()
                await line.request()
                assert await line.read(23) == b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
                line.say(HELLO)
                assert (await second.done()).status == 200

        run(test())

    def test_not_for_ever(self, run: Run) -> None:
        async def test() -> None:
            few = Limits(upstream_connections=1, connect_seconds=0.5)
            async with played() as upstream, fronted(upstream.url, limits=few) as proxy:
                first = Call(proxy)
                line = await upstream.line()
                second = await Call(proxy).done()
                assert (second.status, second.body) == (503, b'{"error": "unavailable"}')
                assert second.header(b"retry-after") == [b"1"]
                assert proxy.troubles == [Trouble.TOO_MANY]
                await line.answers(HELLO)
                assert (await first.done()).status == 200

        run(test())

    def test_who_gives_up_waiting_takes_no_place(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=places(1)) as proxy,
            ):
                first = Call(proxy)
                line = await upstream.line()
                waiting = [Call(proxy) for _ in range(3)]
                await asyncio.sleep(0)
                waiting[0].task.cancel()
                await waiting[1].leave()
                await waiting[1].done()
                await line.answers(HELLO)
                await first.done()
                await line.answers(HELLO)
                assert (await waiting[2].done()).status == 200
                last = Call(proxy)
                await line.answers(HELLO)
                assert (await last.done()).status == 200
                assert waiting[1].sent == []

        run(test())

    def test_a_place_is_free_again_after_every_kind_of_end(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream:
                dead = upstream.url
            async with fronted(dead, limits=places(1)) as proxy:
                for _ in range(3):
                    assert (await Call(proxy).done()).status == 502
                assert set(proxy.troubles) == {Trouble.UNREACHABLE}

            async with (
                played() as upstream,
                fronted(upstream.url, limits=places(1)) as proxy,
            ):
                for end in (Line.close, Line.reset):
                    call = Call(proxy)
                    line = await upstream.line()
                    await line.request()
                    end(line)
                    assert (await call.done()).status == 502
                call = Call(proxy)
                line = await upstream.line()
                call.task.cancel()
                await line.closed()
                call = Call(proxy)
                await (await upstream.line()).answers(HELLO)
                assert (await call.done()).status == 200

        run(test())


class TestPool:
    def test_the_one_used_last_serves_next(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                calls = [Call(proxy), Call(proxy)]
                lines = [await upstream.line(), await upstream.line()]
                for line in lines:
                    await line.answers(HELLO)
                for call in calls:
                    await call.done()
                for _ in range(3):
                    call = Call(proxy)
                    await lines[1].answers(HELLO)
                    assert (await call.done()).status == 200
                assert upstream.opened == 2

        run(test())

    def test_unused_ones_are_closed_after_their_time(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=Limits(pooled_seconds=0.1)) as proxy,
            ):
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(HELLO)
                await call.done()
                assert await line.closed() == b""
                call = Call(proxy)
                await (await upstream.line()).answers(HELLO)
                assert (await call.done()).status == 200

        run(test())


class TestLifespan:
    def test_a_start_and_a_stop(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
                heard: asyncio.Queue[dict[str, str]] = asyncio.Queue()
                task = asyncio.ensure_future(proxy({"type": "lifespan"}, said.get, heard.put))
                said.put_nowait({"type": "lifespan.startup"})
                assert (await heard.get())["type"] == "lifespan.startup.complete"
                unused, used = Call(proxy), Call(proxy)
                lines = [await upstream.line(), await upstream.line()]
                await lines[0].answers(HELLO)
                await lines[1].request()
                await unused.done()
                said.put_nowait({"type": "lifespan.shutdown"})
                assert (await heard.get())["type"] == "lifespan.shutdown.complete"
                await task
                await lines[0].closed()
                # What is under way ends as it should, and keeps nothing open.
                lines[1].say(HELLO)
                assert (await used.done()).body == b"hello"
                await lines[1].closed()

        run(test())

    def test_certificates_that_cannot_be_read_stop_the_start(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "no.pem").write_text("this is no certificate")

        async def test() -> None:
            for name in ("missing.pem", "no.pem"):
                route = Route(Upstream("https://app.internal", ca_file=tmp_path / name))
                async with fronted(route) as proxy:
                    heard: list[dict[str, str]] = []

                    async def receive() -> dict[str, str]:
                        return {"type": "lifespan.startup"}

                    async def send(message: dict[str, str], heard: list[dict[str, str]] = heard) -> None:
                        heard.append(message)

                    await proxy({"type": "lifespan"}, receive, send)
                assert heard[0]["type"] == "lifespan.startup.failed"
                assert "https://app.internal" in heard[0]["message"]

        run(test())

    def test_other_scopes_are_refused(self, run: Run) -> None:
        async def test() -> None:
            async with fronted("http://127.0.0.1:1") as proxy:
                with pytest.raises(ValueError, match="mystery"):
                    await proxy({"type": "mystery"}, None, None)

        run(test())
