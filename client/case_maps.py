"""What the study's model looks at in this hospital's cases, for the questions that read it. No map leaves.

Each case is shown to the model alone, so that what is said of it depends on nothing else. The model is the one that
the study begins from, as for features (`client.features`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital
from client.own_parts import model_in
from client.records import records_of_cases
from client.source import Source
from client.splitting import UNLABELLED
from common.asking.features import PART
from common.asking.maps import ANSWERED, MapReading, block_slices, share_name, shares, without_name
from common.asking.records import Records
from common.attribution.aim import Logits
from common.attribution.attribution import Attribution
from common.data.cases import Cases
from common.errors import AttributionError, RefusedError, StudyError
from common.learning.abilities import abilities, can
from common.learning.device import exact_copy
from common.learning.parameters import new_network
from common.learning.start import Taken, put
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS, SOURCES

WARM = b"maps "
REFUSED = "encoder"


def mapped_records(hospital: Hospital, reading: MapReading) -> Records:
    """Every case of the part: its map's shares, and whether it is answered right, as it is and without each block.

    Kept while the hospital is warm. Raises RefusedError where the hospital has no such model, the task answers no
    classes, or cases do not fit.
    """
    key = WARM + repr(reading).encode()
    kept = hospital.hashes.get(key)
    if isinstance(kept, Records):
        return kept
    taken = model_in(hospital.network)
    if taken is None:
        raise RefusedError(REFUSED, "the study's model was not given to this hospital ([start] model).")
    try:
        looked = _Looked.of(hospital, reading, taken)
        source = cast(Source, SOURCES.build(hospital.study.source))
        kept = looked.table(hospital.everybody[reading.part], source)
    except (StudyError, AttributionError) as error:
        raise RefusedError(REFUSED, str(error)) from error
    hospital.hashes[key] = kept
    return kept


class _Looked:
    """A model and a way to look into it."""

    def __init__(self, hospital: Hospital, reading: MapReading, network: nn.Module, task: Task) -> None:
        self.site, self.reading, self.network, self.task = hospital.site, reading, network, task
        self.method = cast(Attribution, ATTRIBUTIONS.build(reading.method))

    @classmethod
    def of(cls, hospital: Hospital, reading: MapReading, taken: Taken) -> _Looked:
        """Raises StudyError where a case of the task has no class."""
        task = hospital.study.build_task()
        if not can(task, "logits") or abilities(task).label_space(hospital.train.shape)[1:]:
            raise StudyError("maps are summed by class, and a case of the study's task has none.")
        network = new_network(task, hospital.train.shape, hospital.study.seed)
        put(network, taken)
        return cls(hospital, reading, exact_copy(network).cpu().eval(), task)

    def table(self, cases: Cases, source: Source) -> Records:
        """The records of a part of the hospital's split. Raises StudyError where cases have other axes."""
        axes, reading = len(cases.shape.inputs) - 1, self.reading
        if axes != reading.axes:
            raise StudyError(f"a case here has {axes} axes, and the question is of maps with {reading.axes}.")
        records = records_of_cases(cases, source, self.site)
        rows = [self._row(cases, index) for index in range(len(cases))]
        blocks = reading.blocks
        values = np.stack(rows) if rows else np.zeros((0, 1 + 2 * blocks))
        names = [ANSWERED, *map(share_name, range(blocks)), *map(without_name, range(blocks))]
        columns: dict[str, Any] = dict(zip(names, values.T, strict=True))
        columns[PART] = np.full(len(cases), reading.part, dtype=f"<U{len(UNLABELLED)}")
        return replace(records, columns={**records.columns, **columns})

    def _row(self, cases: Cases, index: int) -> NDArray[np.float64]:
        """(1 + 2 blocks,) answered right, shares, answered right without each block."""
        batch = cases.batch(np.array([index]))
        inputs, truth = batch.inputs.double(), batch.targets.long()
        drawn = generator(0, self.site, index, "maps")
        own = shares_of_case(self.method, self.network, inputs, truth, self.reading.side, drawn)
        shown = torch.cat([inputs, *(filled(inputs, self.reading.side, place) for place in range(len(own)))])
        with torch.no_grad():
            right = abilities(self.task).logits(self.network, shown).argmax(1) == truth
        return np.concatenate([right[:1].double().numpy(), own, right[1:].double().numpy()])


def shares_of_case(
    method: Attribution, network: nn.Module, inputs: Tensor, truth: Tensor, side: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(blocks,) of the map of one case's own class. inputs: (1, C, *S) float64. truth: (1,) int64."""
    found = method.explain(network, inputs, Logits(truth), rng)
    return np.asarray(shares(found.double().abs().sum(1).numpy(), side)[0], np.float64)


def filled(inputs: Tensor, side: int, place: int) -> Tensor:
    """(N, C, *S) with one block at the mean of its surroundings, which are as wide as the block on every side."""
    shape = tuple(inputs.shape[2:])
    inner = block_slices(shape, side, place)
    outer = tuple(
        slice(max(0, 2 * one.start - one.stop), min(length, 2 * one.stop - one.start))
        for one, length in zip(inner, shape, strict=True)
    )
    around = torch.zeros(shape, dtype=torch.bool)
    around[outer] = True
    around[inner] = False
    found = inputs.clone()
    if around.any():
        mean = inputs[..., around].mean(-1)
        block = torch.zeros(shape, dtype=torch.bool)
        block[inner] = True
        found = torch.where(block, mean.reshape(*mean.shape, *(1 for _ in shape)), found)
    return found
