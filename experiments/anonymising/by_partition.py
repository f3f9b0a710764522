"""One hospital's rows, released by the partition that all hospitals' counts gave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.anonymity.handed import Handed, of_json
from common.anonymity.partition import Group
from common.anonymity.release import information_loss
from common.errors import StudyError
from common.files.json_files import read_table as read_json
from experiments.anonymising.conduct import Release, Wanted, codes_of, linked_in
from experiments.anonymising.table import Table

ANALYSIS = "mondrian"


def read_partition(path: Path) -> tuple[Handed, Mapping[str, float]]:
    """Of an answer.json, and the k, l and t that it keeps. Raises StudyError where it holds none."""
    found = read_json(path.parent, path.name, required=True)
    numbers = [one["numbers"] for one in _answers(found)]
    if len(numbers) != 1:
        said = "no answer" if not numbers else f"{len(numbers)} answers"
        raise StudyError(
            f"{path.name} holds {said} of {ANALYSIS!r}, where one is needed: wardround ask STUDY mondrian."
        )
    has = numbers[0].get("achieved")
    try:
        handed = of_json(numbers[0].get("partition"))
        return handed, {name: float(has[name]) for name in ("k", "l", "t")}
    except (StudyError, TypeError, ValueError, KeyError) as error:
        raise StudyError(f"{path.name}: {error}") from None


def _answers(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    answers = found.get("answers")
    return [
        one
        for one in (answers if isinstance(answers, list) else [])
        if isinstance(one, Mapping)
        and isinstance(one.get("question"), Mapping)
        and one["question"].get("name") == ANALYSIS
        and isinstance(one.get("numbers"), Mapping)
    ]


def released_by(table: Table, wanted: Wanted, handed: Handed, has: Mapping[str, float]) -> Release:
    """The table's rows by a partition; rows that are in none of its groups are left out.

    `groups` are those of all hospitals together, `linked` who is found among the table's own rows.
    Raises StudyError or UnknownNameError where the table lacks a column.
    """
    table.demand([domain.name for domain in handed.domains])
    group = handed.groups_of(codes_of(table, handed.domains))
    if (group < 0).all():
        raise StudyError(f"no row of {table.name} is in a group of this partition: was it one of the tables asked?")
    ends = zip(handed.nodes.tolist(), handed.low.tolist(), handed.high.tolist(), handed.rows.tolist(), strict=True)
    groups = tuple(Group(node, tuple(low), tuple(high), (rows,)) for node, low, high, rows in ends)
    loss = information_loss(handed.domains, groups)
    return Release(handed.domains, groups, group, loss, has, linked_in(table, wanted, group))


def fewest_here(release: Release) -> int:
    """Rows of this table in the smallest group that it has any in."""
    here = np.bincount(release.group[release.group >= 0])
    return int(here[here > 0].min())
