"""The databases, for services whose promises depend on them."""

from tests.provider.databases import made_postgresql, url

__all__ = ["made_postgresql", "url"]
