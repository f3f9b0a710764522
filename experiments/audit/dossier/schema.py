"""`audit.json` beside its published schema, by the few words of JSON Schema 2020-12 that the schema uses.

Whoever is handed a dossier has this program without its development tools; a test holds this reader to the library
`jsonschema`, and the schema to the words that are read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[1] / "report" / "schema.json"
KINDS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
TELLING = frozenset({"$schema", "$defs", "title", "description"})
"""Words that say nothing of a value."""
WORDS = TELLING | {
    *("type", "const", "enum", "pattern", "maxLength", "minimum", "maximum", "required", "properties"),
    *("additionalProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems", "oneOf", "$ref"),
}
MOST_SHOWN = 80


def fault_of(figures: Any) -> str | None:
    """What of `audit.json` does not keep to the schema, and where; None where all does."""
    version = published()["properties"]["schema"]["const"]
    if isinstance(figures, dict) and figures.get("schema") != version:
        return f"is of another version of the schema than {version}, which this program knows"
    return next(_faults(figures, published(), "its table"), None)


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """The schema that this program writes by."""
    found: Mapping[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def _faults(value: Any, schema: Any, where: str) -> Iterator[str]:
    if schema is True or schema is False:
        if not schema:
            yield f"says {where[:MOST_SHOWN]}, which the schema does not know"
        return
    if "$ref" in schema:
        yield from _faults(value, published()["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if not _is_of(value, schema) or not _is_within(value, schema):
        yield f"has a value at {where[:MOST_SHOWN]} that the schema does not allow"
        return
    if "oneOf" in schema and sum(not any(_faults(value, one, where)) for one in schema["oneOf"]) != 1:
        yield f"has a value at {where[:MOST_SHOWN]} of none of the allowed forms"
    if isinstance(value, dict):
        yield from _of_table(value, schema, where)
    if isinstance(value, list):
        yield from _of_list(value, schema, where)


def _is_of(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", ())
    if kinds and not any(KINDS[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    return "enum" not in schema or any(_same(value, one) for one in schema["enum"])


def _is_within(value: Any, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        fits = len(value) <= schema.get("maxLength", len(value))
        return fits and ("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    if _is_number(value):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if isinstance(value, list):
        return bool(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    return True


def _of_table(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"does not say {where}.{name}"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, inner in value.items():
        yield from _faults(name, schema.get("propertyNames", True), f"{where}.{name}")
        yield from _faults(inner, known.get(name, others), f"{where}.{name}")


def _of_list(value: Sequence[Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    first, others = schema.get("prefixItems", ()), schema.get("items", True)
    for index, inner in enumerate(value):
        yield from _faults(inner, first[index] if index < len(first) else others, f"{where}[{index}]")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and value == wanted
