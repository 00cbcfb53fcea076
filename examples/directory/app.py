"""A directory app in plain WSGI: pages and JSON about people, for people who are signed in.

It reads one thing from whoever stands in front of it, `environ["oidcgate.identity"]`, and knows people by its
`user_name`. It has no sign-in, no session and no cookie of its own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule

from examples.directory.people import FilterError, People, Person, read_people, scim_list

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FOLDER = Path(__file__).parent
USERS_FILE = FOLDER / "users.toml"

ROUTES = Map(
    [
        Rule("/", endpoint="home"),
        Rule("/people", endpoint="people"),
        Rule("/people/<user_name>", endpoint="person"),
        Rule("/Users", endpoint="scim_users"),
        Rule("/me", endpoint="me"),
        Rule("/style.css", endpoint="style"),
    ]
)

HEADERS = {
    # No form-action: signing out is a POST that the gate answers with a redirect to the provider.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin",
    "Cache-Control": "no-store",
}


def create_app(path: str | Path = USERS_FILE) -> "WSGIApplication":
    """Make the app over a file of people."""
    return DirectoryApp(Path(path))


@dataclass(frozen=True)
class DirectoryApp:
    """The app over one file of people."""

    path: Path

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except HTTPException as error:
            response = self._page("error.html", status=error.code or 500, text=error.description)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        identity = request.environ.get("oidcgate.identity")
        if identity is None:
            return Response("This app runs behind a gate, and there is none.\n", status=500)
        endpoint, arguments = ROUTES.bind_to_environ(request.environ).match()
        if endpoint == "style":
            return Response((FOLDER / "templates" / "style.css").read_bytes(), content_type="text/css")
        people = read_people(self.path)
        me = people.find(identity.user_name)
        if me is None:
            raise NotFound(f"{identity.user_name} is not in this directory.")
        match endpoint:
            case "home":
                return self._home(me, people, identity.claims)
            case "people":
                return self._people(me, people, request.args.get("q", ""))
            case "person":
                return self._person(me, people, arguments["user_name"])
            case "scim_users":
                return _scim_users(people, request.args)
            case _:
                return _json(me.scim())

    def _home(self, me: Person, people: People, claims: Mapping[str, Any]) -> Response:
        return self._page(
            "home.html",
            me=me,
            manager=people.find(me.manager),
            colleagues=people.colleagues(me),
            signed_in_as=claims.get("preferred_username"),
        )

    def _people(self, me: Person, people: People, query: str) -> Response:
        return self._page("people.html", me=me, query=query, found=people.search(query))

    def _person(self, me: Person, people: People, user_name: str) -> Response:
        person = people.find(user_name)
        if person is None:
            raise NotFound("Nobody of that name is in this directory.")
        return self._page("person.html", me=me, person=person, manager=people.find(person.manager))

    def _page(self, template: str, *, status: int = 200, **context: object) -> Response:
        body = self._templates.get_template(template).render(context)
        return Response(body, status=status, content_type="text/html; charset=utf-8")

    @cached_property
    def _templates(self) -> jinja2.Environment:
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )


def _scim_users(people: People, query: Mapping[str, str]) -> Response:
    try:
        found = people.filtered(query["filter"]) if "filter" in query else list(people.everybody)
    except FilterError as error:
        return _scim_error("invalidFilter", str(error))
    try:
        start_index, count = int(query.get("startIndex", "1")), int(query.get("count", "100"))
    except ValueError:
        return _scim_error("invalidValue", "startIndex and count are whole numbers")
    return _json(scim_list(found, start_index, count))


def _scim_error(kind: str, detail: str) -> Response:
    """Spec: RFC 7644 3.12."""
    schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return _json({"schemas": schemas, "status": "400", "scimType": kind, "detail": detail}, status=400)


def _json(document: object, status: int = 200) -> Response:
    body = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    return Response(body, status=status, content_type="application/scim+json")
