"""How an instant is written for people: in commands, problems and warnings."""

from datetime import UTC, datetime


def shown(at: int) -> str:
    """Epoch seconds as date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
