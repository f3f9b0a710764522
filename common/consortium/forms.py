"""JSON that is signed, in one form of bytes, and read with every field checked: any such file may be a stranger's."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from common.data.names import SiteId, fault_of
from common.errors import SourceError, WireError

T = TypeVar("T")
LONGEST_NAME_BYTES = 64
"""A name is a certificate's common name too, and RFC 5280 gives that so many."""
RESERVED = frozenset({"coordinator", "front"})
"""Whom commands mean by these words is no hospital."""
LONGEST_FORMAT = 64


def canonical(value: Mapping[str, Any]) -> bytes:
    """The bytes that are signed or hashed: one form whatever order the fields were read in."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def encoded(data: bytes) -> str:
    """As base64."""
    return b64encode(data).decode()


def demand_format(value: Any, wanted: str) -> None:
    """Raise WireError where a file is another of ours, or none of ours, before anything else is said of it."""
    found = value.get("format") if isinstance(value, dict) else None
    if found == wanted:
        return
    if isinstance(found, str) and 0 < len(found) <= LONGEST_FORMAT and found.isprintable():
        raise WireError(f"this is a {found!r}, and a {wanted!r} is needed.")
    raise WireError(f"this is no {wanted!r}.")


def exactly(value: Any, names: Iterable[str], what: str) -> dict[str, Any]:
    """The value, if it is a table of these fields and no other. Raises WireError, as all here do."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise WireError(f"{what} must hold {', '.join(sorted(names))}, and nothing else.")
    return value


def table(value: Any, what: str, most: int) -> dict[str, Any]:
    """The value, if it is a table of at most so many names."""
    if not isinstance(value, dict) or len(value) > most:
        raise WireError(f"{what} must be a table of at most {most} names.")
    return value


def sequence(value: Any, what: str, most: int) -> list[Any]:
    """The value, if it is a list of 1 to `most`."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise WireError(f"{what} must be a list of 1 to {most}.")
    return value


def word(value: Any, what: str, longest: int) -> str:
    """The value, if it is text of at most so many characters, each of which can be printed, line feeds apart."""
    if not isinstance(value, str) or len(value) > longest or not value.replace("\n", "").isprintable():
        raise WireError(f"{what} must be text of at most {longest} characters that can be printed.")
    return value


def whole(value: Any, what: str) -> int:
    """The value, if it is a whole number from 0 to 2^53."""
    if type(value) is not int or not 0 <= value <= 1 << 53:
        raise WireError(f"{what} must be a whole number, 0 or more.")
    return value


def data_of(value: Any, what: str, most: int, least: int = 1) -> bytes:
    """Bytes that are written as base64 in its one form, `least` to `most` of them."""
    try:
        data = b64decode(value if isinstance(value, str) and len(value) <= 2 * most + 4 else "", validate=True)
    except ValueError:
        data = b""
    if not least <= len(data) <= most or encoded(data) != value:
        raise WireError(f"{what} must be {least} to {most} bytes in base64." if least < most else _just(what, most))
    return data


def hexadecimal(value: Any, what: str, digits: int = 64) -> str:
    """The value, if it is so many lower-case hexadecimal digits."""
    if not isinstance(value, str) or len(value) != digits or not set(value) <= set("0123456789abcdef"):
        raise WireError(f"{what} must be {digits} hexadecimal digits.")
    return value


def member_name(value: Any) -> SiteId:
    """The value, if a hospital of a consortium can be called so."""
    fault = fault_of(value) if isinstance(value, str) else "is not a word"
    if fault is None and len(str(value).encode()) > LONGEST_NAME_BYTES:
        fault = f"takes {len(str(value).encode())} bytes in UTF-8; at most {LONGEST_NAME_BYTES} go into a certificate"
    if fault is None and str(value).casefold() in RESERVED:
        fault = "means somebody else in commands: no hospital is called coordinator or front"
    if fault is not None:
        raise WireError(f"a hospital's name {fault}.")
    return str(value)


def as_source_error(what: str, read: Callable[[], T]) -> T:
    """What `read` returns; where a check fails, SourceError that names the file or folder."""
    try:
        return read()
    except WireError as error:
        raise SourceError(f"{what}: {error}") from error


def _just(what: str, count: int) -> str:
    return f"{what} must be {count} bytes in base64."
