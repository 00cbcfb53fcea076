"""The databases, for services whose promises depend on them."""

from tests.provider.databases import empty_url, made_postgresql, url

__all__ = ["empty_url", "made_postgresql", "url"]
