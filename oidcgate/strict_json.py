"""JSON that somebody else wrote, read so that they mean one thing only.

`json.loads` keeps the last of two equal members, takes `NaN` and `1e400`, and answers a thousand brackets
with a `RecursionError`. Two readers that differ in any of these can be shown two different tokens (RFC 8725
2.4), so tokens and answers from the network go through here. What the members have to be is the caller's
business.
"""

import json
import math
from typing import Any, Final, NoReturn

#: Deeper than any metadata document, key set or set of claims in use; far from the interpreter's own limit.
MAX_DEPTH: Final = 32


class NotStrictJSON(ValueError):
    """The text is not one unambiguous document of its kind. The message never quotes it, a token maybe."""


def parse_object(data: bytes | str) -> dict[str, Any]:
    """Return the JSON object that `data` holds.

    Args:
        data: The text; bytes have to be UTF-8 without a byte order mark. Its size is the caller's to bound.

    Raises:
        NotStrictJSON: Not UTF-8, not JSON, not an object, a member named twice, a number that is no finite
            number, or nesting beyond `MAX_DEPTH`.

    Spec: RFC 8259; RFC 7493 (I-JSON) 2.1 to 2.3.
    """
    document = _parse(data)
    if not isinstance(document, dict):
        raise NotStrictJSON("JSON, but not an object")
    return document


def parse_array(data: bytes | str) -> list[Any]:
    """Return the JSON array that `data` holds; everything else is as for `parse_object`.

    Raises:
        NotStrictJSON: as there.
    """
    document = _parse(data)
    if not isinstance(document, list):
        raise NotStrictJSON("JSON, but not an array")
    return document


def _parse(data: bytes | str) -> Any:
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        document = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except NotStrictJSON:
        raise
    except (ValueError, RecursionError) as error:
        # The decoder's own message quotes nothing, but its exception keeps the whole document: not chained.
        raise NotStrictJSON(f"not JSON ({type(error).__name__})") from None
    if _deeper_than(document, MAX_DEPTH):
        raise NotStrictJSON(f"nested deeper than {MAX_DEPTH} levels")
    # Half of a surrogate pair decodes here and breaks where it is first encoded; bytes can smuggle it by
    # escape only.
    if (isinstance(data, str) or "\\u" in text) and _has_lone_surrogate(document):
        raise NotStrictJSON("holds half of a surrogate pair")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJSON("a member is given twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJSON(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrictJSON("a number is out of range")
    return number


def _deeper_than(document: Any, limit: int) -> bool:
    # Level by level and not by recursion: the point is to survive what recursion does not.
    level: list[Any] = [document]
    for _ in range(limit):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = [value for value in below if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _has_lone_surrogate(document: Any) -> bool:
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            return True
    return False
