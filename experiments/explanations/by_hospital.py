"""Where a model looks at each hospital: the answer of `attribution_maps`, asked here or of real hospitals.

In simulation the question is asked on the spot, by the very sums that real hospitals would answer, of as many cases
as the seconds allow. Of a run of real hospitals it is read from the answer to a question that they approved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.case_maps import filled
from common.analyses.attribution_maps import AttributionMaps
from common.asking.analysis import Public
from common.asking.features import PART
from common.asking.levels import CLASS
from common.asking.maps import ANSWERED, LEAST, share_name, shares, without_name
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.attribution.gradients import asked
from common.attribution.log_odds import LogOdds
from common.attribution.methods.occlusion import Occlusion
from common.errors import AnalysisError, FileError, OutOfTimeError, StudyError
from common.files.json_files import read_table
from common.learning.abilities import abilities
from common.learning.task import Task
from common.seeding import generator
from experiments.explanations.answering.classes import Classes
from experiments.explanations.clock import Clock
from experiments.explanations.pool import Pool
from server.reporting.values import items, number, table, text, texts
from server.reporting.wording import duration

ANSWER, QUESTION = "answer.json", "attribution_maps"
SIDE = 7
FEWEST_HOSPITALS = 3
MOST_SIDE, MOST_NAMES = 16, 1000
Told = Mapping[str, Any]
"""Numbers of the answer, see `AttributionMaps`; `words` are its sentences."""


def asked_here(pool: Pool, task: Task, classes: Sequence[str], clock: Clock) -> Told:
    """Ask the simulated hospitals. Raises AnalysisError where there are too few of them, or of their cases.

    Raises OutOfTimeError where the seconds do not suffice for any sum.
    """
    sites = tuple(sorted(set(pool.sites)))
    if len(sites) < FEWEST_HOSPITALS:
        raise AnalysisError(f"maps of {len(sites)} hospitals were summed, and one stands out only beside two others.")
    rows: dict[str, list[tuple[int, NDArray[np.float64]]]] = {site: [] for site in sites}
    turns = _in_turn(pool, sites)
    began, took = perf_counter(), 0.0
    fewest = min(2 * LEAST * len(sites), len(turns))
    for count, place in enumerate(turns, 1):
        if clock.left < took * max(1, fewest - count):
            if count > fewest:
                break
            raise OutOfTimeError(
                f"Maps of {fewest} cases at least are summed, {duration(took)} each, and the seconds do not suffice "
                "(--seconds)."
            )
        if count % 10 == 1:
            clock.say(f"Where it looks at each hospital, case {count} of {len(turns)}")
        with clock.bounded(took):
            rows[pool.sites[place]].append((place, _row(pool, task, place)))
        took = (perf_counter() - began) / count
    public = Public(sites, {CLASS: tuple(classes)})
    tables = [_table(pool, classes, site, held) for site, held in rows.items()]
    answer = ask_tables(AttributionMaps(side=SIDE, part="test"), tables, public).answer
    return {**answer.numbers, "words": list(answer.words)}


def answered_by(folder: Path) -> Told:
    """The answer of real hospitals. Raises FileError or StudyError where it is none, or none that can be shown."""
    answers = items(read_table(folder, ANSWER, required=True).get("answers"))
    found = [one for one in answers if table(table(one).get("question")).get("name") == QUESTION]
    if not found:
        raise StudyError(f"{folder / ANSWER} answers no question of {QUESTION!r}.")
    numbers = table(table(found[-1]).get("numbers"))
    if not _is_whole(numbers):
        raise FileError(
            folder / ANSWER, f"holds no sums of maps: {text(table(found[-1]).get('reason')) or 'damaged'}"
        )
    return {**numbers, "words": texts(table(found[-1]).get("words"))}


def _in_turn(pool: Pool, sites: Sequence[str]) -> list[int]:
    """A case of every hospital and class in turn, so that whenever it ends they have alike many."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, site in enumerate(pool.sites):
        groups.setdefault((site, int(pool.targets[place])), []).append(place)
    turns = [(turn, order, place) for order, own in enumerate(groups.values()) for turn, place in enumerate(own)]
    return [place for _, _, place in sorted(turns)]


def _row(pool: Pool, task: Task, place: int) -> NDArray[np.float64]:
    """(1 + 2 blocks,) answered right, shares of its map, answered right without each block."""
    case, truth = pool.inputs[place : place + 1], pool.targets[place : place + 1].long()
    network, ask = pool.answering.network, abilities(task).logits
    rng = generator(0, place, "maps by hospital")
    found = Occlusion().explain(network, case, LogOdds(truth, ask=ask), rng)
    own = shares(found.double().abs().sum(1).numpy(), SIDE)[0]
    tried = torch.cat([case, *(filled(case, SIDE, block) for block in range(len(own)))])
    with asked(network), torch.no_grad():
        right: Tensor = ask(network, tried).argmax(1) == truth
    return np.concatenate([right[:1].double().numpy(), own, right[1:].double().numpy()])


def _table(pool: Pool, classes: Sequence[str], site: str, held: Sequence[tuple[int, NDArray[np.float64]]]) -> Records:
    blocks = SIDE**2
    values = np.stack([row for _, row in held]) if held else np.zeros((0, 1 + 2 * blocks))
    names = [ANSWERED, *map(share_name, range(blocks)), *map(without_name, range(blocks))]
    columns: dict[str, Any] = dict(zip(names, values.T, strict=True))
    columns[CLASS] = np.array([classes[int(pool.targets[place])] for place, _ in held], dtype=np.str_)
    columns[PART] = np.full(len(held), "test")
    return Records(columns, np.array([pool.patients[place] for place, _ in held], dtype=np.str_), site)


def _is_whole(numbers: Mapping[str, Any]) -> bool:
    """Whether sums that a file brings are as large as its names say."""
    sites, classes, side = texts(numbers.get("hospitals")), texts(numbers.get("classes")), number(numbers.get("side"))
    if (
        not sites
        or not classes
        or side is None
        or not 1 <= side <= MOST_SIDE
        or len(sites) * len(classes) > MOST_NAMES
    ):
        return False
    grid = [table_of for site in items(numbers.get("shares")) for table_of in items(site)]
    many = all(len(items(one)) == int(side) ** 2 for one in grid)
    return many and len(items(numbers.get("shares"))) == len(sites) and len(grid) == len(sites) * len(classes)


def has_classes(answering: object) -> bool:
    """Whether cases are of one class each, by which maps are summed."""
    return isinstance(answering, Classes)
