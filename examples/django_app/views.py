"""The one view of the Django example, and its URL."""

from django.http import HttpRequest, JsonResponse
from django.urls import path


def home(request: HttpRequest) -> JsonResponse:
    """Say who is there: nobody gets this far unknown."""
    identity = request.environ["oidcgate.identity"]  # 1
    return JsonResponse({"hello": identity.user_name, "path": request.path})


urlpatterns = [path("", home)]
