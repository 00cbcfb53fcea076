"""The ways in which a provider can lie to clients that register themselves, as pieces to be put together."""

import json
import re
import ssl
from collections.abc import Callable, Sequence
from typing import Any
from urllib.request import urlopen

import jwt

from tests.conformance.lies import changed
from tests.conformance.lying_proxy import PATHS, Lie, Memory, Question, Told


def forgets(*names: str) -> Lie:
    """Registrations reach the provider without these members, and are answered as if they had been heard."""
    return registers({}, forgotten=names)


def registers(instead: dict[str, Any], *, forgotten: Sequence[str] = ()) -> Lie:
    """Registrations reach the provider with other members, and are answered as if with those sent."""

    def ask(question: Question, memory: Memory) -> None:
        if question.is_for("registration"):
            sent = json.loads(question.body)
            memory.kept["registered"] = {name: sent.get(name) for name in (*forgotten, *instead)}
            heard = {name: value for name, value in {**sent, **instead}.items() if name not in forgotten}
            question.body = json.dumps(heard).encode()

    def tell(question: Question, told: Told, memory: Memory) -> None:
        if question.is_for("registration") and told.status == 201:
            told.body = json.dumps({**json.loads(told.body), **memory.kept["registered"]}).encode()

    return Lie((ask,), (tell,))


def forgets_the_fragment() -> Lie:
    """Redirect URIs are registered without what is behind the #."""

    def ask(question: Question, _: Memory) -> None:
        if question.is_for("registration"):
            question.body = re.sub(rb"#\w+", b"", question.body)

    return Lie(ask=(ask,))


def says_again(status: int = 200, **changes: Any) -> Lie:
    """What is read at registration_client_uri is other."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.path.startswith(f"{PATHS['registration']}/") and question.method == "GET":
            told.status = status
            told.body = json.dumps(changed(json.loads(told.body), changes)).encode()

    return Lie(tell=(tell,))


def refuses_grant(grant_type: str, status: int = 401, error: str = "invalid_client") -> Lie:
    """Token requests of one kind are refused."""

    def ask(question: Question, _: Memory) -> Told | None:
        asked = question.is_for("token") and question.parameters.get("grant_type") == grant_type
        return Told.of(status, {"error": error}) if asked else None

    return Lie(ask=(ask,))


def userinfo_asserts(*, header: dict[str, Any] | None = None, serve: bool = True, **claims: Any) -> Lie:
    """Signed userinfo says something else, and is signed anew.

    Args:
        header: members of the JOSE header that are other.
        serve: whether the key it is signed with is among the provider's.
    """

    def change(given: dict[str, Any], payload: dict[str, Any]) -> None:
        given.update(header or {})
        new = changed(payload, claims)
        payload.clear()
        payload.update(new)

    def tell(question: Question, told: Told, memory: Memory) -> None:
        if question.is_for("userinfo") and told.status == 200:
            told.body = memory.resigned(told.body.decode(), change).encode()
        elif question.is_for("jwks") and serve:
            keys = json.loads(told.body)["keys"]
            told.body = json.dumps({"keys": [*keys, memory.public_key()]}).encode()

    return Lie(tell=(tell,))


def redirects_to_what_is_registered(uri: str) -> Lie:
    """Another query of the redirect URI is taken for the registered one."""

    def ask(question: Question, _: Memory) -> None:
        if question.is_for("authorization"):
            question.change({"redirect_uri": uri})

    return Lie(ask=(ask,))


def later_keys(change: Callable[[list[dict[str, Any]], Memory], list[dict[str, Any]]]) -> Lie:
    """After the first reading the JWKS has other keys."""

    def tell(question: Question, told: Told, memory: Memory) -> None:
        if question.is_for("jwks"):
            memory.counted["jwks"] += 1
            if memory.counted["jwks"] > 1:
                keys = change(json.loads(told.body)["keys"], memory)
                told.body = json.dumps({"keys": keys}).encode()

    return Lie(tell=(tell,))


def stays_the_same(endpoint: str) -> Lie:
    """What an endpoint said first it says for ever."""

    def tell(question: Question, told: Told, memory: Memory) -> None:
        if question.is_for(endpoint):
            told.body = memory.kept.setdefault(f"first of {endpoint}", told.body)

    return Lie(tell=(tell,))


def believes_request_objects() -> Lie:
    """Request objects are fetched and followed, whoever signed them."""

    def ask(question: Question, _: Memory) -> None:
        url = question.parameters.get("request_uri")
        if url is not None and question.is_for("authorization"):
            token = _fetched(url).decode()
            inside = jwt.decode(token, options={"verify_signature": False})
            said = {name: value for name, value in inside.items() if name not in ("iss", "aud")}
            question.change({**said, "request_uri": None})

    return Lie(ask=(ask,))


def answers_forgeries(error: str) -> Lie:
    """Errors that go to clients are another."""

    def tell(_: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if answer is not None and "error" in dict(answer.pairs):
            answer.pairs = tuple((name, error if name == "error" else value) for name, value in answer.pairs)
            answer.write(told)

    return Lie(tell=(tell,))


def shows_errors_as(status: int) -> Lie:
    """Errors that would go to clients are pages."""

    def tell(_: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if answer is not None and "error" in dict(answer.pairs):
            told.status, told.headers = status, [("Content-Type", "text/html")]
            told.body = b"<!doctype html><h1>Error</h1>"

    return Lie(tell=(tell,))


def pages_with(name: str, value: str) -> Lie:
    """Pages have another header."""

    def tell(_: Question, told: Told, __: Memory) -> None:
        if "html" in told.header("Content-Type"):
            told.set_header(name, value)

    return Lie(tell=(tell,))


def serves_pictures_itself() -> Lie:
    """Pages have pictures of the provider's own site, which it fetched elsewhere."""
    own = "/pictures/of-a-client"

    def ask(question: Question, memory: Memory) -> Told | None:
        if question.path != own:
            return None
        return Told(200, [("Content-Type", "image/png")], _fetched(memory.kept["picture"]))

    def tell(_: Question, told: Told, memory: Memory) -> None:
        found = re.search(rb'<img src="([^"]*)"', told.body)
        if found is not None and "html" in told.header("Content-Type"):
            memory.kept["picture"] = found[1].decode()
            told.body = told.body.replace(found[1], own.encode())

    return Lie((ask,), (tell,))


def _fetched(url: str) -> bytes:
    """Whose certificate it is does not matter to a liar."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with urlopen(url, timeout=30, context=context) as response:
        body: bytes = response.read()
    return body
