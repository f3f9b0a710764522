"""What of a study may change where a run goes on, and what would make another study of it.

A longer run is the same run, and so is one that waits longer, keeps more, or finds its data at another place, since
each hospital compares the data themselves. All else decides the model, what is promised, or what was agreed to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FREE = frozenset(
    {
        "title",
        "description",
        "rounds",
        "engine",
        "baselines",
        "audit",
        "dossier",
        "stopping",
        "source.folder",
        "start.model",
        "federation.hospitals_at_start",
        "federation.dropout_wait_s",
        "federation.round_timeout_s",
        "federation.start_timeout_s",
        "federation.stop_at_score",
        "federation.stop_on_collapse",
        "federation.programs",
        "federation.record_traffic",
        "federation.track",
    }
)


def bound(study: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that bind a run, of a study as a table."""
    kept: dict[str, Any] = {}
    for name, value in study.items():
        if name in FREE:
            continue
        inner = isinstance(value, Mapping)
        kept[name] = {key: held for key, held in value.items() if f"{name}.{key}" not in FREE} if inner else value
    return kept


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What binds and differs, in words: "training.learning_rate was 0.1 and is 0.2"."""
    return tuple(_changes(bound(before), bound(now), ""))


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, f"{where}{name}.")
        elif old != new:
            yield f"{where}{name} was {_said(old)} and is {_said(new)}"


def _said(value: object) -> str:
    return "not given" if value is None else repr(value)[:80]
