"""Sizes of few persons anywhere in an answer's numbers: what is held back, in place, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

SIZES = ("n", "rows", "positives", "negatives", "levels", "labels")
"""Under which an analysis says how many rows there are: a number, one of each of several, or by name."""
PLACES = frozenset({*SIZES, "groups", "columns", "strata", "all"})
"""Keys that are no names of groups."""

Chosen = Callable[[Sequence[int]], Sequence[bool]]
"""Which of some sizes are held back, beside one another."""
Path = tuple[str, ...]


def is_size(header: str) -> bool:
    """Whether a table's column of this name has numbers of rows."""
    return header in SIZES or header.startswith("n, ")


def small_paths(numbers: Mapping[str, Any], chosen: Chosen, path: Path = ()) -> Iterator[Path]:
    """Of all that is to be held back: groups by their own sizes, and whatever stands beside sizes by name."""
    groups = {name: size for name, one in numbers.items() if (size := _size(one)) is not None}
    yield from ((*path, name) for name in _some(groups, chosen))
    for key in SIZES:
        by_name = numbers.get(key)
        if isinstance(by_name, Mapping) and by_name and all(type(one) is int for one in by_name.values()):
            for name in _some(by_name, chosen):
                yield from ((*path, other, name) for other, one in numbers.items() if _has(one, name, by_name))
    for name, one in numbers.items():
        if isinstance(one, Mapping):
            yield from small_paths(one, chosen, (*path, name))


def without(numbers: Mapping[str, Any], paths: frozenset[Path], path: Path = ()) -> dict[str, Any]:
    """The same with None in these places."""
    found = {}
    for name, one in numbers.items():
        here = (*path, name)
        kept = without(one, paths, here) if isinstance(one, Mapping) else one
        found[name] = None if here in paths else kept
    return found


def names_of(path: Path) -> frozenset[str]:
    """By which rows of tables and sentences are of the same group."""
    return frozenset(path) - PLACES


def _size(one: Any) -> int | None:
    """The smallest of a group's own sizes that is above 0."""
    if not isinstance(one, Mapping):
        return None
    sizes = [size for key in SIZES for size in _several(one.get(key)) if type(size) is int]
    return min((size for size in sizes if size > 0), default=0) if sizes else None


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _some(sizes: Mapping[str, int], chosen: Chosen) -> Iterator[str]:
    yield from (name for name, is_small in zip(sizes, chosen(list(sizes.values())), strict=True) if is_small)


def _has(one: Any, name: str, beside: Mapping[str, int]) -> bool:
    return isinstance(one, Mapping) and name in one and set(one) <= set(beside)
