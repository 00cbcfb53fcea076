"""Each test of the store runs over SQLite and over PostgreSQL."""

from tests.provider.databases import empty_url, made_postgresql, store, url

__all__ = ["empty_url", "made_postgresql", "store", "url"]
