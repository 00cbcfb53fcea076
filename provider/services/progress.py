"""What a person did so far in one interaction: notes that the pages write in its row.

Each names the session or the person it is of, so that none counts for another. The row is
`provider.store.interactions`, what follows from the notes is `interaction`.
"""

from collections.abc import Mapping
from typing import Any

from provider.services.interaction import AccountAnswer, ConsentAnswer, LoginDone
from provider.store.sessions import BrowserSession


def login_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that this interaction's own sign-in made this session."""
    return {"login": {"sid": session.sid, "auth_time": session.auth_time}}


def account_progress(session: BrowserSession, answer: AccountAnswer) -> dict[str, Any]:
    """The note that whoever is signed in goes on so, or wants to be somebody else."""
    return {"account": {"sid": session.sid, "answer": answer.value}}


def organization_progress(session: BrowserSession, org_id: str) -> dict[str, Any]:
    """The note that whoever is signed in has chosen that organization."""
    return {"organization": {"sid": session.sid, "org_id": org_id}}


def declined_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that whoever is signed in went on without setting up a second factor."""
    return {"declined": {"sid": session.sid}}


def told_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that whoever is signed in has read that a second factor is missing."""
    return {"told_missing": {"sid": session.sid}}


def confirmed_progress(user_id: str | None) -> dict[str, Any]:
    """The note that the person means the device whose code they typed; `user_id` if they were signed in."""
    return {"confirmed": {"user_id": user_id}}


def consent_progress(answer: ConsentAnswer) -> dict[str, Any]:
    """The note of an answer on the consent page."""
    asked, agreed = sorted(answer.asked), sorted(answer.agreed)
    return {
        "consent": {"user_id": answer.user_id, "asked": asked, "agreed": agreed, "allowed": answer.allowed}
    }


def login_in(progress: Mapping[str, Any]) -> LoginDone | None:
    """Read `login_progress`."""
    note = progress.get("login")
    return None if note is None else LoginDone(note["sid"], note["auth_time"])


def account_in(progress: Mapping[str, Any], session: BrowserSession) -> AccountAnswer | None:
    """Read `account_progress` of this very session."""
    return AccountAnswer(progress["account"]["answer"]) if noted(progress, "account", session) else None


def organization_in(progress: Mapping[str, Any], session: BrowserSession) -> str | None:
    """Read `organization_progress` of this very session."""
    return str(progress["organization"]["org_id"]) if noted(progress, "organization", session) else None


def answer_in(progress: Mapping[str, Any]) -> ConsentAnswer | None:
    """Read `consent_progress`."""
    note = progress.get("consent")
    if note is None:
        return None
    return ConsentAnswer(
        note["user_id"], frozenset(note["asked"]), frozenset(note["agreed"]), note["allowed"]
    )


def confirmed_in(progress: Mapping[str, Any]) -> bool:
    """Whether `confirmed_progress` is there."""
    return "confirmed" in progress


def typist_in(progress: Mapping[str, Any]) -> str | None:
    """Who was signed in when they said that they mean this device, if anybody was."""
    user_id: str | None = progress.get("confirmed", {}).get("user_id")
    return user_id


def noted(progress: Mapping[str, Any], what: str, session: BrowserSession) -> bool:
    """Whether the note is there and of this very session: another person's does not count."""
    return bool(progress.get(what, {}).get("sid") == session.sid)
