"""The ways in which a provider can lie, as pieces that are put together."""

import json
import time
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.conformance.lying_proxy import FrontAnswer, HangUp, Lie, Memory, Question, Told

#: As a changed value: take it away.
GONE: Any = object()
#: As a changed claim: the time of the first ID token, in all of them.
TIME_OF_THE_FIRST: Any = object()


def changed(old: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Values replaced, made from the old ones by functions, or taken away."""
    new = dict(old)
    for name, value in changes.items():
        if value is GONE:
            new.pop(name, None)
        else:
            new[name] = value(old.get(name)) if callable(value) else value
    return new


# Questions that are not asked as they came.


def ignores(*names: str, endpoint: str = "authorization") -> Lie:
    """Requests reach the provider without these parameters."""
    return hears(dict.fromkeys(names), endpoint)


def hears(changes: dict[str, str | None], endpoint: str = "authorization") -> Lie:
    """Requests reach the provider with other parameters."""

    def ask(question: Question, _: Memory) -> None:
        if question.is_for(endpoint):
            question.change(changes)

    return Lie(ask=(ask,))


def supplies(name: str, value: str) -> Lie:
    """Authorization requests without a parameter reach the provider with it."""

    def ask(question: Question, _: Memory) -> None:
        if question.is_for("authorization") and name not in question.parameters:
            question.change({name: value})

    return Lie(ask=(ask,))


def refuses(
    name: str, value: str | None = None, *, present: bool = True, error: str = "invalid_request"
) -> Lie:
    """Authorization requests with a parameter, or without it, are refused by redirect."""

    def ask(question: Question, memory: Memory) -> Told | None:
        given = question.parameters
        if not question.is_for("authorization") or (name in given) != present:
            return None
        if value is not None and given.get(name) != value:
            return None
        return _redirected(question, error, memory)

    return Lie(ask=(ask,))


def redirects_anywhere() -> Lie:
    """Errors go to whatever redirect URI was sent."""

    def ask(question: Question, memory: Memory) -> Told | None:
        given = question.parameters
        if not question.is_for("authorization") or given["redirect_uri"] in memory.clients:
            return None
        return _redirected(question, "invalid_request", memory)

    return Lie(ask=(ask,))


def shows_a_page(status: int, name: str, *, present: bool = True) -> Lie:
    """Authorization requests with a parameter, or without it, get an error page."""

    def ask(question: Question, _: Memory) -> Told | None:
        if not question.is_for("authorization") or (name in question.parameters) != present:
            return None
        return Told(status, [("Content-Type", "text/html")], b"<!doctype html><h1>Error</h1>")

    return Lie(ask=(ask,))


def goes_in_circles() -> Lie:
    """The authorization endpoint redirects to itself."""

    def ask(question: Question, memory: Memory) -> Told | None:
        where = f"{memory.issuer}{question.path}?{urlencode(question.query)}"
        return Told(303, [("Location", where)], b"") if question.is_for("authorization") else None

    return Lie(ask=(ask,))


def hangs_up(endpoint: str) -> Lie:
    """The connection ends where an answer is due."""

    def ask(question: Question, _: Memory) -> None:
        if question.is_for(endpoint):
            raise HangUp

    return Lie(ask=(ask,))


def unpacks_request_objects() -> Lie:
    """Request objects are read, and what they say goes before the parameters."""

    def ask(question: Question, _: Memory) -> None:
        given = question.parameters.get("request")
        if given is not None and question.is_for("authorization"):
            inside = jwt.decode(given, options={"verify_signature": False})
            question.change({**{n: v for n, v in inside.items() if n not in ("iss", "aud")}, "request": None})

    return Lie(ask=(ask,))


def _redirected(question: Question, error: str, memory: Memory) -> Told:
    given = question.parameters
    told = Told(303, [], b"")
    words = given.get("response_type", "code").split()
    place = "query" if words == ["code"] else "fragment"
    place = "form" if given.get("response_mode") == "form_post" else place
    state = [("state", given["state"])] if "state" in given else []
    where = given.get("redirect_uri", memory.clients[0])
    FrontAnswer(where, place, (("error", error), ("iss", memory.issuer), *state)).write(told)
    return told


def answers(
    endpoint: str, status: int, document: Any = None, *, method: str | None = None, header: str = ""
) -> Lie:
    """An endpoint answers by itself, to one method, or to requests without a header."""

    def ask(question: Question, _: Memory) -> Told | None:
        known = {name.lower() for name in question.headers}
        if not question.is_for(endpoint) or method not in (None, question.method) or header in known:
            return None
        return Told.of(status, document or {"error": "invalid_request"})

    return Lie(ask=(ask,))


def repeats(endpoint: str, parameter: str | None = None) -> Lie:
    """The first success of an endpoint is told again, for each value of a parameter (or for each token)."""

    def name(question: Question) -> str | None:
        value = question.parameters.get(parameter) if parameter else question.headers.get("Authorization")
        return f"{endpoint} {value}" if question.is_for(endpoint) and value else None

    def ask(question: Question, memory: Memory) -> Told | None:
        return memory.kept.get(name(question) or "")

    def tell(question: Question, told: Told, memory: Memory) -> None:
        known = name(question)
        if known and told.status == 200:
            memory.kept.setdefault(known, Told(told.status, list(told.headers), told.body))

    return Lie((ask,), (tell,))


def errors_of(endpoint: str, **changes: Any) -> Lie:
    """Errors of an endpoint have other members."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.is_for(endpoint) and told.status >= 400:
            told.body = json.dumps(changed(json.loads(told.body), changes)).encode()

    return Lie(tell=(tell,))


def takes_anybodys(parameter: str) -> Lie:
    """Whoever presents a parameter is taken for the one who authenticated first."""

    def ask(question: Question, memory: Memory) -> None:
        if question.is_for("token"):
            first = memory.kept.setdefault("Authorization", question.headers.get("Authorization", ""))
            if parameter in question.parameters:
                question.headers["Authorization"] = first

    return Lie(ask=(ask,))


# Answers that are not told as they came.


def says(endpoint: str, **changes: Any) -> Lie:
    """The JSON of an endpoint has other members; an empty one is not touched when it is an error."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.is_for(endpoint) and told.status in (200, 201):
            told.body = json.dumps(changed(json.loads(told.body), changes)).encode()

    return Lie(tell=(tell,))


def refreshes(**changes: Any) -> Lie:
    """Token responses for a refresh token have other members."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.parameters.get("grant_type") == "refresh_token" and told.status == 200:
            told.body = json.dumps(changed(json.loads(told.body), changes)).encode()

    return Lie(tell=(tell,))


def rewrites(old: str, new: str, *, html: bool = True) -> Lie:
    """Pages, or else documents, have another text."""

    def tell(_: Question, told: Told, __: Memory) -> None:
        if ("html" in told.header("Content-Type")) == html:
            told.body = told.body.replace(old.encode(), new.encode())

    return Lie(tell=(tell,))


def repeats_what_is_sent() -> Lie:
    """Answers to forms are redirects that send the form on. Spec: RFC 9110 15.4.8."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.method == "POST" and told.header("Location"):
            told.status = 307

    return Lie(tell=(tell,))


def status_of(endpoint: str, status: int) -> Lie:
    """An endpoint answers what it would, with another status."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.is_for(endpoint):
            told.status = status

    return Lie(tell=(tell,))


def header_of(endpoint: str, name: str, value: str) -> Lie:
    """A response has another header."""

    def tell(question: Question, told: Told, _: Memory) -> None:
        if question.is_for(endpoint):
            told.set_header(name, value)

    return Lie(tell=(tell,))


def sends(*, place: str | None = None, twice: str | None = None, **changes: Any) -> Lie:
    """What goes to the client through the browser is other, or is elsewhere."""

    def tell(_: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if answer is not None:
            answer.pairs = tuple(changed(dict(answer.pairs), changes).items())
            answer.pairs += tuple(pair for pair in answer.pairs if pair[0] == twice)
            answer.place = place or answer.place
            answer.write(told)

    return Lie(tell=(tell,))


def error_pages_with(status: int) -> Lie:
    """Error pages have another status."""

    def tell(_: Question, told: Told, __: Memory) -> None:
        if told.status == 400 and "html" in told.header("Content-Type"):
            told.status = status

    return Lie(tell=(tell,))


def asserts(
    *, from_the: int = 1, header: dict[str, Any] | None = None, serve: bool = True, **claims: Any
) -> Lie:
    """ID tokens say something else, and are signed anew.

    Args:
        from_the: the first authorization in which they do; before it they are only signed anew.
        header: members of the JOSE header that are other.
        serve: whether the key they are signed with is among the provider's.
    """

    def change(given: dict[str, Any], payload: dict[str, Any], memory: Memory) -> None:
        given.update(header or {})
        since = memory.kept.setdefault("time of the first", int(time.time()))
        if memory.counted["authorizations"] >= from_the:
            told = {name: since if value is TIME_OF_THE_FIRST else value for name, value in claims.items()}
            new = changed(payload, told)
            payload.clear()
            payload.update(new)

    def resign(token: str, memory: Memory) -> str:
        return memory.resigned(token, lambda given, payload: change(given, payload, memory))

    def tell(question: Question, told: Told, memory: Memory) -> None:
        answer = memory.front_answer(told)
        if answer is not None:
            memory.counted["authorizations"] += 1
            pairs = dict(answer.pairs)
            if "id_token" in pairs:
                pairs["id_token"] = resign(pairs["id_token"], memory)
                answer.pairs = tuple(pairs.items())
                answer.write(told)
        elif question.is_for("token") and told.status == 200:
            document = json.loads(told.body)
            if question.parameters.get("grant_type") == "refresh_token":
                memory.counted["authorizations"] += 1
            document["id_token"] = resign(document["id_token"], memory)
            told.body = json.dumps(document).encode()
        elif question.is_for("jwks") and serve:
            document = json.loads(told.body)
            told.body = json.dumps({"keys": [*document["keys"], memory.public_key()]}).encode()

    return Lie(tell=(tell,))


def keys(**changes: Any) -> Lie:
    """The first key of the JWKS has other members."""

    def first(old: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [changed(old[0], changes), *old[1:]]

    return says("jwks", keys=first)
