"""Front-channel logout: a frame of the IdP names a session, and that one ends."""

from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from oidcgate.gate.frontchannel import Misses
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import APP, GONE, ISSUER, NOW, Browser, Scene

FRONT_CHANNEL = "/.oidcgate/frontchannel-logout"
SID = "session-of-alice"
#: What a browser sends for a frame on another site: no cookie that is Lax.
FRAME = {
    "Accept": "text/html",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
    "Sec-Fetch-Site": "cross-site",
}


def frame(scene: Scene, method: str = "GET", peer: str = "192.0.2.1", **values: Any) -> TestResponse:
    query = urlencode({name: value for name, value in values.items() if value is not GONE}, doseq=True)
    url = f"{FRONT_CHANNEL}?{query}"
    client, where = scene.browser().client, {"REMOTE_ADDR": peer}
    return client.open(url, base_url=APP, method=method, headers=FRAME, environ_overrides=where)


def signed_in(**lies: Any) -> tuple[Scene, Browser]:
    scene = Scene.set()
    scene.provider.metadata |= lies
    scene.provider.claims["sid"] = SID
    browser = scene.browser()
    browser.sign_in()
    return scene, browser


class TestWhatItEnds:
    def test_the_session_that_it_names(self) -> None:
        scene, browser = signed_in()
        answer = frame(scene, iss=ISSUER, sid=SID)
        assert answer.status_code == 200
        assert not browser.has_session()
        assert scene.audit[-1] | {"at": ""} == {
            "event": "logout.by_provider",
            "at": "",
            "channel": "front",
            "issuer": ISSUER,
            "sub": None,
            "sessions": 1,
        }

    def test_again_says_the_same(self) -> None:
        scene, _ = signed_in()
        first, second = (frame(scene, iss=ISSUER, sid=SID) for _ in range(2))
        assert first.status_code == second.status_code
        assert first.data == second.data
        assert dict(first.headers) == dict(second.headers)

    @pytest.mark.parametrize(
        "values",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"sid": SID}, id="iss-missing"),
            pytest.param({"iss": ISSUER}, id="sid-missing"),
            pytest.param({"iss": ISSUER, "sid": ""}, id="sid-empty"),
            pytest.param({"iss": "https://evil.example", "sid": SID}, id="iss-foreign"),
            pytest.param({"iss": ISSUER + "/", "sid": SID}, id="iss-with-a-slash"),
            pytest.param({"iss": ISSUER, "sid": [SID, SID]}, id="two-sid"),
            pytest.param({"iss": [ISSUER, "https://evil.example"], "sid": SID}, id="two-iss"),
            pytest.param({"iss": ISSUER, "sid": "s" * 256}, id="sid-long"),
        ],
    )
    def test_nothing_without_both(self, values: dict[str, Any]) -> None:
        scene, browser = signed_in()
        answer = frame(scene, **values)
        assert answer.status_code == 400
        said = answer.get_json()
        assert said["error"] == "invalid_request"
        assert said["incident"] == scene.audit[-1]["incident"]
        assert scene.audit[-1]["event"] == "logout.refused"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert browser.has_session()

    def test_nothing_that_it_does_not_name(self) -> None:
        scene, browser = signed_in()
        assert frame(scene, iss=ISSUER, sid="another").status_code == 200
        assert browser.has_session()

    def test_nothing_by_a_request_that_only_looks(self) -> None:
        scene, browser = signed_in()
        looked = frame(scene, method="HEAD", iss=ISSUER, sid=SID)
        assert (looked.status_code, looked.headers["Allow"]) == (405, "GET")
        assert frame(scene, method="POST", iss=ISSUER, sid=SID).status_code == 405
        assert browser.has_session()

    def test_the_cookie_alone_signs_nobody_out(self) -> None:
        # Any page may put our address into a frame, and on one site the cookie travels with it.
        _, browser = signed_in()
        browser.get(f"{FRONT_CHANNEL}?{urlencode({'iss': ISSUER, 'sid': 'guessed'})}", FRAME)
        assert browser.has_session()

    @pytest.mark.row("T-03")
    def test_a_sign_in_under_way(self) -> None:
        scene = Scene.set()
        assert self.overtaken(scene)

    @pytest.mark.row("T-03", "G-28")
    def test_a_sign_in_under_way_however_much_others_guess(self) -> None:
        scene = Scene.set()
        for n in range(100):
            frame(scene, peer="203.0.113.9", iss=ISSUER, sid=f"guess-{n}")
        assert self.overtaken(scene)

    @staticmethod
    def overtaken(scene: Scene) -> bool:
        scene.provider.claims["sid"] = SID
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        scene.provider.while_redeeming = lambda: frame(scene, iss=ISSUER, sid=SID)
        browser.get(callback)
        return not browser.has_session()

    @pytest.mark.row("T-03")
    def test_what_began_afterwards_goes_on(self) -> None:
        scene, browser = signed_in()
        frame(scene, iss=ISSUER, sid=SID)
        scene.clock.now += 1
        browser.sign_in()
        assert browser.has_session()


class TestTheAnswer:
    def test_only_the_provider_may_frame_it(self) -> None:
        scene, _ = signed_in(end_session_endpoint="https://login.id.example:8443/out")
        answer = frame(scene, iss=ISSUER, sid=SID)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors https://id.example https://login.id.example:8443;" in policy
        assert "X-Frame-Options" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers

    def test_with_a_provider_that_is_away(self) -> None:
        scene = Scene.set()
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        answer = frame(scene, iss=ISSUER, sid=SID)
        assert answer.status_code == 200
        assert "frame-ancestors https://id.example;" in answer.headers["Content-Security-Policy"]

    def test_with_a_store_that_is_away(self) -> None:
        scene, browser = signed_in()
        state: Any = scene.parts.state

        def fails(*_: object, **__: object) -> object:
            raise StoreUnavailable(StoreFailure.LOCKED, "locked")

        put, state.put = state.put, fails
        assert frame(scene, iss=ISSUER, sid=SID).status_code == 503
        state.put = put
        assert browser.has_session()


@pytest.mark.row("G-28")
class TestGuesses:
    """What names no session costs little, and those who can name one are served all the same."""

    def test_are_counted_and_real_ones_are_not(self) -> None:
        scene, browser = signed_in()
        answers = [frame(scene, iss=ISSUER, sid=f"guess-{n}").status_code for n in range(70)]
        assert answers == [200] * 60 + [429] * 10
        answer = frame(scene, iss=ISSUER, sid="guess")
        assert answer.headers["Retry-After"] == "60"
        assert browser.has_session()
        assert frame(scene, iss=ISSUER, sid=SID).status_code == 200
        assert not browser.has_session()

    def test_leave_little_behind(self) -> None:
        scene = Scene.set()
        state: Any = scene.parts.state
        for n in range(200):
            frame(scene, iss=ISSUER, sid=f"guess-{n}")
        assert len(state._records) == 60
        assert all(record.expires_at <= NOW + 1200 for record in state._records.values())

    def test_begin_anew_each_minute(self) -> None:
        misses = Misses(each=2)
        assert [misses.allow("here", now) for now in (0, 59, 59, 60, 61, 62)] == [
            True,
            True,
            False,
            True,
            True,
            False,
        ]

    def test_are_counted_for_each_network_and_for_all_together(self) -> None:
        misses = Misses(each=2, together=5)
        asked = ["a", "a", "a", "b", "b", "b", "c", "c", "d"]
        assert [name for name in asked if misses.allow(name, 0)] == ["a", "a", "b", "b", "c"]
        assert misses.allow("d", 60)

    @pytest.mark.parametrize("believed", [True, False])
    def test_behind_a_proxy_that_is_believed_each_client_has_a_network(self, believed: bool) -> None:
        scene = Scene.set({"proxy": {"trusted_proxies": ["192.0.2.1/32"]}} if believed else None)
        answers = [
            scene.browser()
            .client.get(
                f"{FRONT_CHANNEL}?{urlencode({'iss': ISSUER, 'sid': f'guess-{n}'})}",
                base_url=APP,
                headers={**FRAME, "X-Forwarded-For": f"198.51.{n}.7"},
                environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
            )
            .status_code
            for n in range(61)
        ]
        assert answers == [200] * 60 + [200 if believed else 429]
