"""What tests counted, for docs/races-and-kills.md: one line of JSON for each, in build/figures.jsonl."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figures:
    """The figures of the tests over one database."""

    file: Path
    database: str

    def note(self, what: str, **counted: int | float | Mapping[str, int]) -> None:
        """Add a line."""
        line = json.dumps({"what": what, "database": self.database, **counted})
        self.file.parent.mkdir(exist_ok=True)
        with self.file.open("a") as lines:
            lines.write(line + "\n")
