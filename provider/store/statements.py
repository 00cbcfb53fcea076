"""What statements are written with, for both databases: a look-up that no index misleads, lists that fit.

SQLite chooses an index by statistics, and has none unless somebody runs ANALYZE. Without them it takes the
realm alone for rare, and a range of the one index for better than a list of keys of the other.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")

#: How many keys are asked for at once; there is a limit to what one statement may be given.
_AT_ONCE: Final = 500


class BesideIndexes(FunctionElement[T]):
    """A column that SQLite compares or sorts by once the rows are found, never to find them.

    PostgreSQL keeps statistics by itself: there it is the column.
    """

    inherit_cache = True

    def __init__(self, column: Column[T]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(BesideIndexes)
def _as_it_is(element: BesideIndexes[Any], compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(BesideIndexes, "sqlite")
def _of_no_index(element: BesideIndexes[Any], compiler: SQLCompiler, **options: Any) -> str:
    # https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
    return f"+{compiler.process(element.clauses, **options)}"


def portions(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """These keys, as many at a time as one statement may be given."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
