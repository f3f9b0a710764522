"""A hospital's records: what questions are asked of, of the persons who take part in a study and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from client.hospital import Hospital
from client.source import Source
from client.source_abilities import abilities, can, label_of
from client.sources._asked import asked_columns, typed
from client.withdrawn import PERSONS
from common.asking.levels import CLASS, TARGET
from common.asking.records import Records, Values, joined
from common.data.cases import Cases
from common.data.columns import Column
from common.study.catalogue import SOURCES
from common.study.report_settings import TAKEN

WARM = b"records"
"""Under which they are kept with the hospital: every query of a question is of the same rows."""
NOT_ASKED = frozenset({*TAKEN, PERSONS, "site", "unsampled"})
"""Columns of cases that are no facts of a person, or that are read otherwise."""


@dataclass(frozen=True)
class LeftOut:
    """Of whom nothing is asked. withdrawn: persons since the run began, where that may be told. quarantined: rows
    and persons that are left out with a reason, missing consent among them; names and reasons are in its folder.
    """

    withdrawn: int
    quarantined: int


def records_of(hospital: Hospital, part: str | None = None) -> Records:
    """The rows of everybody who takes part, or who is of one part of its split ("train", "validation", "test").

    Rows that could not be used, persons who withdrew, and those whose consent does not cover the study are left out,
    as in training. Raises SourceError as the source does.
    """
    if part is None:
        kept = hospital.hashes.get(WARM)
        if not isinstance(kept, Records):
            kept = hospital.hashes[WARM] = _records_of(hospital, list(hospital.everybody.values()))
        return kept
    return _records_of(hospital, [hospital.splits[part]])


def _records_of(hospital: Hospital, parts: list[Cases]) -> Records:
    source = cast(Source, SOURCES.build(hospital.study.source))
    if not can(source, "records"):
        return joined([records_of_cases(cases, source, hospital.site) for cases in parts], hospital.site)
    site = hospital.site if source.has_sites else None
    persons = np.concatenate([cases.patients for cases in parts])
    every = abilities(source).records(site, hospital.study.seed)
    return replace(every.take(np.isin(every.persons, persons)), site=hospital.site)


def left_out_of(hospital: Hospital) -> LeftOut:
    """How many rows and persons questions are not asked of."""
    quarantined = dict.fromkeys(one for cases in hospital.everybody.values() for one in cases.quarantined)
    return LeftOut(hospital.withdrawn, len(quarantined))


def records_of_cases(cases: Cases, source: Source, site: str) -> Records:
    """The columns that hold one number or word a case, and the class or number that is to be predicted."""
    kinds = asked_columns(abilities(source).asked) if can(source, "asked") else {}
    columns: dict[str, Values] = {}
    for name, column in cases.columns.items():
        if column.item == () and name not in NOT_ASKED:
            values = cases.array(name)
            is_asked = name in kinds and values.dtype.kind == "U"
            columns[name] = typed(values.tolist(), kinds[name]) if is_asked else _plain(values)
    return Records({**_target(cases, source), **columns}, cases.patients.astype(np.str_), site)


def _target(cases: Cases, source: Source) -> Mapping[str, Values]:
    column: Column = cases.columns["targets"]
    if column.item != ():
        return {}
    values = cases.array("targets")
    if cases.classes and values.dtype.kind in "iu":
        return {CLASS: np.array([cases.classes[one] for one in values.tolist()], dtype=np.str_)}
    return {label_of(source) or TARGET: values.astype(np.float64)}


def _plain(values: Any) -> Values:
    return values.astype(np.str_ if values.dtype.kind in "US" else np.float64)  # type: ignore[no-any-return]
