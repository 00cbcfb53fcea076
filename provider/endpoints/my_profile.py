"""`/account/profile`: what is known of somebody, and what of it they write themselves.

Which properties these are, and what a value of each may be, is `provider.services.profile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from werkzeug import Request, Response

from provider.endpoints.my_desk import MyDesk, MyVisit
from provider.events import ProfileChanged
from provider.pages import MyNotice, ProfileLine, ProfileProblem
from provider.property_settings import PropertySettings
from provider.realm import Realm
from provider.services.my_pages import MyPage
from provider.services.profile import NotTaken, editable, kind_of, longest, text_of, value_of, write

#: What is shown of somebody beside what they write themselves.
_SHOWN: Final = ("name", "email", "phone_number")
#: Form fields are named by their property, behind this: it may be called `csrf`.
_PREFIX: Final = "of-"


@dataclass(frozen=True)
class MyProfilePage:
    """The page with what is known of somebody, and the fields for what they write themselves."""

    desk: MyDesk

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show it, or take what was written.

        Raises:
            PageError: a field is there twice.
            InvalidRequest: the form or query cannot be read.
        """
        own = editable(realm)
        names = [_PREFIX + declared.name for declared in own]
        visit = self.desk.open(realm, request, MyPage.PROFILE, names, fresh_to_change=False)
        if isinstance(visit, Response):
            return visit
        if not visit.posted:
            known = visit.user.attributes
            return self._show(visit, {one: text_of(one, known.get(one.name)) for one in own}, {})
        texts = {declared: visit.fields.get(_PREFIX + declared.name, "") for declared in own}
        if not self.desk.came_from(visit, *names):
            return self._show(visit, texts, {}, expired=True)
        values: dict[PropertySettings, Any] = {}
        problems: dict[PropertySettings, ProfileProblem] = {}
        for declared, text in texts.items():
            try:
                values[declared] = value_of(declared, text)
            except NotTaken as refusal:
                problems[declared] = ProfileProblem(str(refusal))
        if problems:
            return self._show(visit, texts, problems)
        with self.desk.store.begin() as conn:
            changed = write(conn, realm, visit.user.user_id, values)
        if changed:
            self.desk.audit.emit(ProfileChanged(realm.id, visit.user.user_id, changed))
        return self.desk.done(visit, MyNotice.PROFILE_SAVED)

    def _show(
        self,
        visit: MyVisit,
        texts: Mapping[PropertySettings, str],
        problems: Mapping[PropertySettings, ProfileProblem],
        *,
        expired: bool = False,
    ) -> Response:
        written = {declared.name for declared in texts}
        known = visit.user.attributes
        return self.desk.show(
            visit,
            "my_profile.html",
            of=[_PREFIX + declared.name for declared in texts],
            status=400 if expired or problems else 200,
            expired=expired,
            known=[
                (self._label(visit, name), str(known[name]))
                for name in _SHOWN
                if isinstance(known.get(name), str) and name not in written
            ],
            lines=[self._line(visit, declared, text, problems) for declared, text in texts.items()],
        )

    def _line(
        self,
        visit: MyVisit,
        declared: PropertySettings,
        text: str,
        problems: Mapping[PropertySettings, ProfileProblem],
    ) -> ProfileLine:
        return ProfileLine(
            field=_PREFIX + declared.name,
            label=declared.display_name or self._label(visit, declared.name),
            kind=kind_of(declared) or "text",
            value=text,
            problem=problems.get(declared),
            longest=longest(declared),
            exact=declared.fixed_length,
        )

    def _label(self, visit: MyVisit, name: str) -> str:
        language = self.desk.screens.language(visit.request)
        return self.desk.screens.pages.messages.languages[language].get(f"property.{name}", name)
