"""Modules about clients that ask a frame whether the session is still the one they know.

Spec: OpenID Connect Session Management 1.0.
"""

from urllib.parse import urlsplit

from tests.conformance.op.outcome import need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.screen import Screen, window
from tests.conformance.op.sign_out import SignedIn, check_members, registered

_PATIENCE_MILLISECONDS = 5_000
#: Of a page of the client: load the provider's frame and ask it until it answers. A frame is asked again, as
#: a client does that polls, for it may listen only after it was loaded.
_ASK = """([frame, message, patience]) => new Promise((resolve) => {
    const origin = new URL(frame).origin, asked = document.createElement("iframe");
    const end = (what) => { clearInterval(again); clearTimeout(late); asked.remove(); resolve(what); };
    const again = setInterval(() => asked.contentWindow.postMessage(message, origin), 100);
    const late = setTimeout(() => end(null), patience);
    window.addEventListener("message", (event) => {
        if (event.source === asked.contentWindow && event.origin === origin) end(event.data);
    });
    asked.src = frame;
    document.body.append(asked);
})"""


@module("oidcc-session-management-discovery-endpoint-verification")
def _discovery(run: Run) -> None:
    check_members(run, urls=("check_session_iframe", "end_session_endpoint"))


@module("oidcc-session-management-rp-initiated-logout")
def _asked_by_frame(run: Run) -> None:
    client = registered(run.target.session, "session")
    with window(run) as screen:
        person = SignedIn(run, client, screen, run.complete(browser=screen, client=client))
        state = person.grant.answer.get("session_state", "")
        need(bool(state), "the answer has no session_state", "OIDC Session Management 2")
        need(" " not in state, f"session_state has a space: {state!r}", "OIDC Session Management 2")
        message = f"{client.client_id} {state}"
        _answers(run, screen, client.redirect_uri, message, "unchanged")
        request = person.request()
        person.came_back(person.sign_out(request), request)
        _answers(run, screen, client.redirect_uri, message, "changed")
        person.is_over()


def _answers(run: Run, screen: Screen, page: str, message: str, right: str) -> None:
    """What the provider's frame says to a page of the client's origin."""
    frame = run.endpoint("check_session_iframe")
    # The page of the redirect URI would show the code again.
    origin = "{0.scheme}://{0.netloc}/".format(urlsplit(page))
    screen.tab.goto(origin)
    said = screen.tab.evaluate(_ASK, [frame, message, _PATIENCE_MILLISECONDS])
    clause = "OIDC Session Management 3.2"
    need(said is not None, f"the frame {frame} does not answer", clause)
    need(said == right, f"the frame says {said!r}, not {right!r}", clause)
