"""An answer that a page of the IdP posts (`response_mode=form_post`), sent again by a page of ours.

Of a POST from another site a browser keeps our cookies, which have SameSite=Lax: which attempt the answer
belongs to and who is signed in by now could not be seen. So a page of ours posts the same fields once more,
from our own origin, and all cookies come along (docs/decisions/0046). Nothing is kept in between, and nothing
of the answer is in an address.

Not here: what becomes of an answer (`login` next door).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from werkzeug import Request, Response

from oidcgate.gate.answers import Answers
from oidcgate.web.parameters import query_pairs

__all__ = ["send_again", "was_sent_again"]

_AGAIN: Final = "again"
# Not the form's own `submit`: a field of that name would stand in its place.
_SEND: Final = 'HTMLFormElement.prototype.submit.call(document.getElementById("answer"));'


def send_again(
    answers: Answers, environ: Mapping[str, Any], path: str, pairs: Iterable[tuple[str, str]]
) -> Response:
    """The page that posts an answer again, as it came.

    Args:
        path: where it came.
        pairs: its parameters.
    """
    page = answers.page(
        "answer.html",
        environ,
        script=_SEND,
        # A sign-in leads on to wherever the app, or the IdP for a sign-in that has to be seen, sends people.
        form_action=("https:", "http:"),
        # Decoded as it is: a `?` in it, of an address that nobody configured, would begin the query.
        action=f"{quote(path)}?{_AGAIN}=",
        fields=tuple(pairs),
    )
    # Passed in a popup too, and its opener must find it again when it is signed in.
    page.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return page


def was_sent_again(request: Request) -> bool:
    """Whether that page sent it: a browser that sends no cookies even so goes in no circle.

    Another site may say so as well. Then nobody's cookies come along, and so there is no attempt.

    Raises:
        BadRequest: the query cannot be read.
    """
    return (_AGAIN, "") in query_pairs(request)
