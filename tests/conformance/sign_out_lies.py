"""The ways in which a provider can lie about sign-outs, as pieces that are put together."""

import json
from threading import Timer
from typing import Any
from urllib.parse import urlencode

from tests.conformance.lies import changed
from tests.conformance.lying_proxy import FrontAnswer, Lie, Memory, Question, Told


def goes_back_at_once(uri: str = "") -> Lie:
    """A sign-out goes to whatever address was sent (or to this one), and nobody is signed out."""

    def ask(question: Question, _: Memory) -> Told | None:
        return _back(question.parameters, uri) if question.is_for("end_session") else None

    return Lie(ask=(ask,))


def goes_back_when_agreed() -> Lie:
    """A sign-out goes to whatever address was sent, once the person agrees."""

    def ask(question: Question, memory: Memory) -> Told | None:
        if question.is_for("end_session_confirm"):
            return _back(memory.kept["sign-out"], "")
        if question.is_for("end_session"):
            memory.kept["sign-out"] = question.parameters
            # The honest one asks, once the address is gone.
            question.change({"post_logout_redirect_uri": None, "id_token_hint": None})
        return None

    return Lie(ask=(ask,))


def _back(given: dict[str, str], uri: str) -> Told:
    state = {"state": given["state"]} if "state" in given else {}
    where = uri or given["post_logout_redirect_uri"]
    mark = "&" if "?" in where else "?"
    return Told(303, [("Location", f"{where}{mark}{urlencode(state)}" if state else where)], b"")


def comes_back(*, place: str | None = None, uri: str = "", **changes: Any) -> Lie:
    """What a sign-out brings back is other, or comes in another place, or to another client's address."""

    def tell(question: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if answer is not None and question.is_for("end_session_confirm"):
            pairs = tuple(changed(dict(answer.pairs), changes).items())
            FrontAnswer(uri or answer.uri, place or "query", pairs).write(told)

    return Lie(tell=(tell,))


def ends_with(status: int, *, content_type: str = "text/html") -> Lie:
    """A sign-out is answered with a page, and nobody is signed out."""

    def ask(question: Question, _: Memory) -> Told | None:
        if not question.is_for("end_session"):
            return None
        return Told(status, [("Content-Type", content_type)], b"<!doctype html><h1>Signed out</h1>")

    return Lie(ask=(ask,))


def silent_requests(error: str | None = None, *, asks: bool = False, page: int = 0) -> Lie:
    """Requests with prompt=none get another error, or a question, or a page."""

    def ask(question: Question, _: Memory) -> Told | None:
        if not question.is_for("authorization") or question.parameters.get("prompt") != "none":
            return None
        if asks:
            question.change({"prompt": None})
        return Told(page, [("Content-Type", "text/html")], b"<!doctype html><h1>Error</h1>") if page else None

    def tell(_: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if error is not None and answer is not None and "error" in dict(answer.pairs):
            answer.pairs = tuple(changed(dict(answer.pairs), {"error": error}).items())
            answer.write(told)

    return Lie((ask,), (tell,))


def tells(*, header: dict[str, Any] | None = None, serve: bool = True, **claims: Any) -> Lie:
    """Logout tokens say something else, and are signed anew.

    Args:
        header: members of the JOSE header that are other.
        serve: whether the key they are signed with is among the provider's.
    """

    def change(given: dict[str, Any], payload: dict[str, Any]) -> None:
        given.update(header or {})
        new = changed(payload, claims)
        payload.clear()
        payload.update(new)

    def ask(question: Question, memory: Memory) -> None:
        if question.is_for("notice"):
            token = memory.resigned(question.parameters["logout_token"], change)
            question.change({"logout_token": token})

    def tell(question: Question, told: Told, memory: Memory) -> None:
        if question.is_for("jwks") and serve:
            document = json.loads(told.body)
            told.body = json.dumps({"keys": [*document["keys"], memory.public_key()]}).encode()

    return Lie((ask,), (tell,))


def notices(
    *, dropped: bool = False, method: str = "", number: int = 1, content_type: str = "", **changes: str | None
) -> Lie:
    """The client is told in another way: method, content type, parameters; or never, or more than once."""

    def ask(question: Question, memory: Memory) -> Told | None:
        if not question.is_for("notice"):
            return None
        question.change(changes)
        if dropped:
            return Told(200, [], b"")
        if method:
            question.method, question.query, question.form = method, question.form, ()
        if content_type:
            kept = {name: value for name, value in question.headers.items() if name.lower() != "content-type"}
            question.headers = {**kept, "Content-Type": content_type}
        for _ in range(number - 1):
            memory.honest(question)
        return None

    return Lie(ask=(ask,))


def notices_later(seconds: float) -> Lie:
    """The client is told when the person is back already."""

    def ask(question: Question, memory: Memory) -> Told | None:
        if not question.is_for("notice"):
            return None
        Timer(seconds, memory.honest, [question]).start()
        return Told(200, [], b"")

    return Lie(ask=(ask,))


def frames_with(old: str, new: str) -> Lie:
    """The page with frames, or the frame that is asked, has another text."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.is_for("end_session_confirm") or question.is_for("check_session"):
            told.body = told.body.replace(old.encode(), new.encode())

    return Lie(tell=(tell,))
