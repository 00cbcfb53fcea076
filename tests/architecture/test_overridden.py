"""What we replace inside other people's classes, and what we rely on there, is as it was when we looked.

uvicorn, gunicorn, pymemcache and ldap3 promise none of this. A new version that changes one of these pieces
fails here, by name, with the place of ours to look at. Look, change what has to change, then write the new
print that the message shows.
"""

import ast
import hashlib
import importlib
import inspect
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS
from pymemcache.client.base import Client, PooledClient
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oidcgate.serve.prepared import Prepared
from oidcgate.serve.protocol import SidecarProtocol
from oidcgate.serve.reading import RequestReader
from tests.oidcgate.serve.sidecars import configured

READING = "oidcgate/serve/reading.py (RequestReader replaces it)"
PROTOCOL = "oidcgate/serve/protocol.py (SidecarProtocol replaces it)"
ENDS = "oidcgate/serve/worker.py and threads.py (how a worker gives up its address)"

#: Module, what in it, where to look, and the print of what we looked at.
PIECES = (
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.__init__",
        "oidcgate/serve/reading.py",
        "ef1b7c9c785b",
    ),
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.connection_made",
        "oidcgate/serve/protocol.py",
        "52a70c678525",
    ),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.connection_lost", PROTOCOL, "8a5a84898dab"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.eof_received", PROTOCOL, "463e2d67aaf5"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.data_received", PROTOCOL, "8583b7d501b5"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.shutdown", PROTOCOL, "4372fe9ca7a1"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.on_url", READING, "381560766601"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.on_message_begin", READING, "4f7bac281585"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.on_header", READING, "fa663d220912"),
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.on_headers_complete",
        READING,
        "f5d7f89383b9",
    ),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol.on_body", READING, "04bff947c3d5"),
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.on_message_complete",
        READING,
        "4ce97e51d988",
    ),
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.pause_writing",
        "oidcgate/serve/exchange.py",
        "5b627149ec45",
    ),
    (
        "uvicorn.protocols.http.httptools_impl",
        "HttpToolsProtocol.resume_writing",
        "oidcgate/serve/exchange.py",
        "f5985154ac3e",
    ),
    (
        "uvicorn.protocols.http.flow_control",
        "FlowControl",
        "oidcgate/serve/protocol.py and exchange.py",
        "37b3f0d49510",
    ),
    ("uvicorn.server", "ServerState.__init__", "oidcgate/serve/service.py (Service is one)", "845d62a73c46"),
    ("uvicorn.lifespan.on", "LifespanOn.startup", "oidcgate/serve/worker.py (_Lifespan)", "e995d04cc8f5"),
    ("uvicorn.lifespan.on", "LifespanOn.shutdown", "oidcgate/serve/worker.py (_Lifespan)", "ade07c102f8b"),
    (
        "gunicorn.app.base",
        "BaseApplication.__init__",
        "oidcgate/serve/arbiter.py (SidecarServer)",
        "30447daf8853",
    ),
    (
        "gunicorn.app.base",
        "BaseApplication.reload",
        "oidcgate/serve/arbiter.py (_Arbiter.reload)",
        "6103997ea4a1",
    ),
    (
        "gunicorn.arbiter",
        "Arbiter.start",
        "oidcgate/serve/prepared.py (Prepared.starting, .ready)",
        "e4d706bbe129",
    ),
    (
        "gunicorn.arbiter",
        "Arbiter.reload",
        "oidcgate/serve/arbiter.py (_Arbiter.reload), prepared.py (_moved)",
        "f700e5277eec",
    ),
    ("gunicorn.arbiter", "Arbiter.stop", ENDS, "f3eaa2a56626"),
    (
        "gunicorn.arbiter",
        "Arbiter.spawn_worker",
        "oidcgate/serve/arbiter.py (_Arbiter.spawn_worker)",
        "a80369bcdbb6",
    ),
    (
        "gunicorn.arbiter",
        "Arbiter.reap_workers",
        "oidcgate/serve/prepared.py (Prepared.worker_ended)",
        "446cd1aedeba",
    ),
    (
        "gunicorn.sock",
        "create_sockets",
        "oidcgate/serve/listening.py (what gunicorn would say)",
        "7833ff213688",
    ),
    ("gunicorn.sock", "BaseSocket", ENDS, "1b098a93d106"),
    ("gunicorn.sock", "UnixSocket.__init__", "oidcgate/serve/listening.py (_taken_path)", "8e9eaef75e3f"),
    ("gunicorn.systemd", "listen_fds", "oidcgate/serve/prepared.py (_own_addresses)", "616d98281f33"),
    ("gunicorn.workers.base", "Worker.__init__", "oidcgate/serve/worker.py", "3c34c14eaf50"),
    ("gunicorn.workers.base", "Worker.init_process", "oidcgate/serve/worker.py", "f0f0eb8f39e5"),
    ("gunicorn.workers.base", "Worker.init_signals", "oidcgate/serve/worker.py (replaced)", "d155fbf2197b"),
    (
        "gunicorn.workers.base",
        "Worker.handle_abort",
        "oidcgate/serve/worker.py (init_signals)",
        "633bf9610dd6",
    ),
    ("gunicorn.workers.base", "Worker.notify", "oidcgate/serve/worker.py (each_sweep)", "0ab38f20f4e1"),
    (
        "gunicorn.workers.gthread",
        "ThreadWorker.set_accept_enabled",
        "oidcgate/serve/threads.py (ThreadedWorker)",
        "c9b452c51136",
    ),
    (
        "gunicorn.workers.gthread",
        "ThreadWorker.accept",
        "oidcgate/serve/threads.py (ThreadedWorker)",
        "6caa4b7133e9",
    ),
    (
        "gunicorn.workers.gthread",
        "ThreadWorker.run",
        "oidcgate/serve/threads.py (ThreadedWorker)",
        "07d09ff570f4",
    ),
    (
        "pymemcache.client.base",
        "Client._connect",
        "oidcgate/storage/memcached.py (_OneServer replaces it)",
        "e14acfe6403b",
    ),
    (
        "pymemcache.client.base",
        "Client.close",
        "oidcgate/storage/memcached.py (_OneServer, abandon)",
        "b9e79be79b25",
    ),
    (
        "pymemcache.client.base",
        "Client.raw_command",
        "oidcgate/storage/memcached.py (delete)",
        "8430e053e143",
    ),
    (
        "pymemcache.client.base",
        "PooledClient._create_client",
        "oidcgate/storage/memcached.py (_Pool)",
        "23ebf3a8bf64",
    ),
    ("pymemcache.client.base", "PooledClient.gets", "oidcgate/storage/memcached.py (get)", "ebbe95f546c7"),
    ("pymemcache.client.base", "PooledClient.cas", "oidcgate/storage/memcached.py (swap)", "8fee4e9eb123"),
    ("pymemcache.client.base", "PooledClient.set", "oidcgate/storage/memcached.py (put)", "f37b4c0285ad"),
    ("pymemcache.pool", "ObjectPool", "oidcgate/storage/memcached.py (close_idle, abandon)", "f303e2120e7f"),
    (
        "ldap3.strategy.base",
        "BaseStrategy.open",
        "oidcgate/directory/ldap_connection.py (_OurSocket replaces it)",
        "b423aaf83980",
    ),
    (
        "ldap3.strategy.base",
        "BaseStrategy.close",
        "oidcgate/directory/ldap_connection.py (_close)",
        "ae2665ec8df6",
    ),
    (
        "ldap3.strategy.sync",
        "SyncStrategy.receiving",
        "oidcgate/directory/ldap_connection.py (_Wire)",
        "3f7277b33e19",
    ),
    (
        "ldap3.strategy.sync",
        "SyncStrategy.post_send_search",
        "oidcgate/directory/ldap_connection.py (_searched)",
        "2a732bf176d8",
    ),
    (
        "ldap3.core.connection",
        "Connection.__init__",
        "oidcgate/directory/ldap_connection.py (_opened, which puts its own strategy in)",
        "5c239cd436c2",
    ),
)


def print_of(thing: Any) -> str:
    """Changes with the code, not with its comments and line breaks."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("module", "name", "ours", "print_then"),
    [pytest.param(*piece, id=f"{piece[0]}.{piece[1]}") for piece in PIECES],
)
def test_a_piece_of_somebody_else_is_as_it_was(module: str, name: str, ours: str, print_then: str) -> None:
    distribution = module.partition(".")[0]
    thing: Any = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part, None)
        assert thing is not None, f"{distribution} {version(distribution)} has no {name}: look at {ours}"
    now = print_of(thing)
    assert now == print_then, (
        f"{module}.{name} is another one in {distribution} {version(distribution)}: look at {ours}, "
        f"then write {now!r}"
    )


def test_uvicorns_protocol_does_nothing_that_ours_has_not_heard_of() -> None:
    callbacks = {
        name
        for name, value in vars(HttpToolsProtocol).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    replaced = {
        name for name in callbacks if getattr(SidecarProtocol, name) is not getattr(HttpToolsProtocol, name)
    }
    # Called by uvicorn's own versions of the others alone.
    unused = {
        "handle_websocket_upgrade",
        "on_response_complete",
        "send_400_response",
        "timeout_keep_alive_handler",
    }
    inherited = {"on_url", "pause_writing", "resume_writing"}
    assert callbacks - replaced == unused | inherited, (
        "uvicorn's protocol answers to something new: look at oidcgate/serve/reading.py and protocol.py"
    )
    # httptools finds its callbacks by name, once for each parser.
    assert {name for name in dir(RequestReader) if name.startswith("on_")} == {
        *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"),
        "on_response_complete",
    }


@pytest.mark.parametrize("engine", ["async", "wsgi"])
def test_gunicorn_knows_every_setting_and_hook_that_it_is_given(engine: str, tmp_path: Path) -> None:
    given = Prepared(configured(tmp_path, "http://127.0.0.1:1", engine=engine).file, {}).options()
    known = {setting.name for setting in KNOWN_SETTINGS}
    assert set(given) <= known, "look at oidcgate/serve/prepared.py (Prepared.options)"


def test_a_pool_of_memcached_clients_makes_ours_and_lets_go_of_them() -> None:
    class Mine(Client):  # type: ignore[misc]  # pymemcache has no types
        pass

    class Pool(PooledClient):
        client_class = Mine

    pool = Pool(("127.0.0.1", 1), connect_timeout=1, timeout=2, pool_idle_timeout=60, ignore_exc=False)
    client = pool.client_pool.get()
    assert type(client) is Mine
    assert (client.server, client.connect_timeout, client.timeout, client.sock) == (
        ("127.0.0.1", 1),
        1,
        2,
        None,
    )
    assert (pool.client_pool.used, pool.client_pool.free) == ((client,), ())
    pool.client_pool.release(client)
    assert (pool.client_pool.used, pool.client_pool.free) == ((), (client,))
    pool.client_pool.destroy(pool.client_pool.get())
    assert (pool.client_pool.used, pool.client_pool.free) == ((), ())
