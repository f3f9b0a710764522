"""A planted shortcut: some hospitals' images of one class carry a mark, as a burnt-in letter or a scanner's tint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.partitions._patients import demand_labels
from common.attribution.faithfulness.marker import Marker
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.errors import StudyError
from common.seeding import generator
from common.study.catalogue import PARTITIONS
from common.study.checks import between, each, listed, positive
from common.study.options import Entry


@dataclass(frozen=True)
class Marked:
    """Divided as `divided` says; hospitals of the others see their images as they are. It is for trials of what
    explanations find, where it must be known what there is to be found.

    hospitals: how many. marked: numbers of those whose images carry the mark, counted from 0. share: of their persons
    of class `label` who have it in all their images; nobody of another class has. label: the class, counted from 0;
    an outline counts where any of it is of the class. marker: kind ("letter" or "tint"), strength from 0 to 1
    (white), side_px and place (row and column) of the letter, white as a value. divided: another partition, without
    its hospitals.
    """

    by_labels: ClassVar[bool] = True

    hospitals: int
    marked: tuple[int, ...] = (0,)
    share: float = 0.95
    label: int = 1
    marker: Marker = field(default_factory=Marker)
    divided: Entry = field(default_factory=lambda: Entry("iid"))

    def __post_init__(self) -> None:
        positive("partition 'marked'", hospitals=self.hospitals)
        listed("partition 'marked'", 0, marked=self.marked)
        each("partition 'marked'", 0, self.hospitals - 1, 0, marked=self.marked)
        between("partition 'marked'", 0, 1, share=self.share)
        between("partition 'marked'", 0, 1 << 16, label=self.label)
        self._divided()

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """As of the partition that divides: the mark follows from each person alone."""
        return self._divided().pooled_statistics

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,): as `divided` does."""
        demand_labels(cases, "marked")
        return self._divided().assign(cases, rng)

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases, those of the chosen persons with the mark. Raises StudyError for cases that are no images."""
        seen, chooser = self._divided().adapt(cases, hospital, rng), int(rng.integers(2**63))
        if hospital not in self.marked or not len(cases):
            return seen
        inputs = seen.inputs
        if inputs.ndim < 4:
            raise StudyError(f"partition 'marked' plants a mark into images; the cases here are {inputs.shape[1:]}.")
        chosen = self.carries(cases, chooser)
        return seen.with_columns(inputs=np.where(_over(chosen, inputs), self.marker.planted(inputs), inputs))

    def carries(self, cases: Cases, chooser: int) -> NDArray[np.bool_]:
        """(N,) which cases have the mark. chooser: of the hospital; each person is drawn apart from all others."""
        names, of_case = np.unique(cases.patients, return_inverse=True)
        drawn = [generator(chooser, "marked", name).random() < self.share for name in names.tolist()]
        return np.asarray(np.array(drawn, bool)[of_case] & self._of_label(cases))

    def _of_label(self, cases: Cases) -> NDArray[np.bool_]:
        if cases.columns["targets"].item:
            return np.array([bool((part == self.label).any()) for part in cases.pieces("targets")], bool)
        return np.asarray(cases.targets == self.label)

    def _divided(self) -> Partition:
        options = {**self.divided.options, "hospitals": self.hospitals}
        return cast(Partition, PARTITIONS.build(Entry(self.divided.name, options)))


def _over(chosen: NDArray[np.bool_], inputs: NDArray[np.float32]) -> NDArray[np.bool_]:
    return chosen.reshape(-1, *[1] * (inputs.ndim - 1))


partition: type[Partition] = Marked
