"""A database of its own for a test that asks for one."""

from postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
