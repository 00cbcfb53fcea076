"""Showing one of the provider's pages in answer to a request: its language, its name, its headers.

Which page and with what is the endpoint's; templates and texts are `provider.pages`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from werkzeug import Request, Response

from oidcgate.web.pages import Pages
from provider.catalogue_settings import ScopeSettings
from provider.pages import About, ScopeLine
from provider.realm import Realm
from provider.store.clients import Client


@dataclass(frozen=True)
class Screens:
    """Renders pages."""

    pages: Pages

    def language(self, request: Request, ui_locales: Iterable[str] = ()) -> str:
        """The language to answer in: the application's wish, then the browser's."""
        return self.pages.messages.negotiate(request.headers.get("Accept-Language"), " ".join(ui_locales))

    def show(
        self,
        realm: Realm,
        template: str,
        *,
        language: str,
        status: int = 200,
        form_action: Iterable[str] = (),
        images: Iterable[str] = (),
        retry_after_seconds: int | None = None,
        **context: Any,
    ) -> Response:
        """Render `template`; the names it needs are listed in `provider.pages`."""
        response = self.pages.render(
            template,
            status=status,
            language=language,
            form_action=form_action,
            images=images,
            site=realm.site,
            retry_after_seconds=retry_after_seconds,
            **context,
        )
        if retry_after_seconds is not None:
            response.headers["Retry-After"] = str(retry_after_seconds)
        return response

    @staticmethod
    def about(client: Client) -> dict[str, Any]:
        """What `show` needs for a page on which an application says something of itself."""
        said = About(client.client_uri, client.logo_uri, client.policy_uri, client.tos_uri)
        images = (client.logo_uri,) if client.logo_uri else ()
        return {"client_name": client.name, "about": said, "images": images}

    def scope_line(self, language: str, scope: ScopeSettings, *, optional: bool) -> ScopeLine:
        """What a page says of a scope: the operator's texts, else ours for a standard one, else its value."""
        ours = self.pages.messages.languages[language]
        name = scope.display_name or ours.get(f"scope.{scope.value}.name", scope.value)
        description = scope.description
        if not (scope.display_name or scope.description):
            description = ours.get(f"scope.{scope.value}.description", "")
        return ScopeLine(scope.value, name, description, optional)
