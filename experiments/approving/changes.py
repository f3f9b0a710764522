"""What is another than when a study was approved last: settings, program, plug-ins, hospitals and their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from client.approvals import Approval
from common.study.program import DIGITS_SHOWN

COHORT, PLUGINS = "federation.roster", "plugins"
"""Said in words of their own."""
LONGEST_VALUE = 200
MOST_SAID = 400


def changes(before: Approval, now: Approval) -> tuple[str, ...]:
    """Sentences, () where nothing is another. Both as they would be kept."""
    said = [
        *_settings(before.table, now.table),
        *_cohort(before, now),
        *_plugins(before, now),
        *_program(before, now),
    ]
    if len(said) > MOST_SAID:
        return (*said[:MOST_SAID], f"And {len(said) - MOST_SAID} more: they are another study altogether.")
    return tuple(said)


def since(before: Approval) -> str:
    """Which approval it is compared with."""
    state = f"; it was revoked, {before.revoked}" if before.revoked else ""
    who = f" by {before.who}" if before.who else ""
    return f"{before.title!r}, {before.digest[:DIGITS_SHOWN]}, approved on {before.when}{who}{state}"


def _settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = dict(_flat(before, "")), dict(_flat(now, ""))
    old, new = _with_names(old, new), _with_names(new, old)
    for key in sorted({*old, *new}):
        if key not in old:
            yield f"{key}: not given before, now {_value(new[key])}"
        elif key not in new:
            yield f"{key}: before {_value(old[key])}, not given now"
        elif old[key] != new[key] or type(old[key]) is not type(new[key]):
            yield f"{key}: before {_value(old[key])}, now {_value(new[key])}"


def _with_names(settings: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    """An entry without options is a bare word, or a table with its name: the same, whichever it is in the other."""
    return {f"{key}.name" if f"{key}.name" in other else key: value for key, value in settings.items()}


def _flat(value: object, where: str) -> Iterator[tuple[str, object]]:
    """Every setting by its place; in a list of tables each by its name, or its number."""
    if where in (COHORT, PLUGINS):
        return
    if isinstance(value, Mapping) and (value or not where):
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for number, inner in enumerate(value, 1):
            yield from _flat(inner, f"{where}[{_called(inner, number)}]")
    else:
        yield where, value


def _called(value: object, number: int) -> str:
    name = value.get("name") if isinstance(value, Mapping) else None
    return f"{number}, {name}" if isinstance(name, str) else str(number)


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"


def _cohort(before: Approval, now: Approval) -> Iterator[str]:
    old, new = _groups(before.table), _groups(now.table)
    for site in sorted({*before.keys, *now.keys}):
        was, has = before.keys.get(site), now.keys.get(site)
        if was is None:
            yield f"Hospital {site} joined, with the key {has}."
        elif has is None:
            yield f"Hospital {site} left."
        elif was != has:
            yield (
                f"The KEY of hospital {site} changed from {was} to {has}: ask that hospital, by telephone, "
                "whether it is theirs."
            )
        if was is not None and has is not None and old.get(site) != new.get(site):
            yield f"Hospital {site} is in the group {new.get(site)!r}, and was in {old.get(site)!r}."


def _groups(table: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {str(one["name"]): str(one.get("group", "")) for one in table["federation"]["roster"]}
    except (LookupError, TypeError, AttributeError):
        return {}


def _plugins(before: Approval, now: Approval) -> Iterator[str]:
    for module in sorted({*before.plugins, *now.plugins}):
        was, has = before.plugins.get(module), now.plugins.get(module)
        if was is None:
            yield f"Plug-in {module} is new: {has}."
        elif has is None:
            yield f"Plug-in {module} is gone."
        elif was != has:
            yield f"Plug-in {module} has CHANGED: before {was}, now {has}."


def _program(before: Approval, now: Approval) -> Iterator[str]:
    if not before.program or before.program == now.program:
        return
    yield (
        f"The PROGRAM that runs here is another: before {before.program} (wardround {before.version}), now "
        f"{now.program} (wardround {now.version})."
    )
    for name in sorted({*before.packages, *now.packages}):
        was, has = before.packages.get(name, "none"), now.packages.get(name, "none")
        if was != has:
            yield f"{name}: before {was}, now {has}."


def first_words(titles: Sequence[str]) -> str:
    """Where no study of the title was approved here."""
    others = f" (of others there are {len(set(titles))})" if titles else ""
    return f"No study of this title was approved here before{others}: all of it is new."
