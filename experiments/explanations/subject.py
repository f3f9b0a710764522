"""A run whose model is explained: its network, and, in simulation, its hospitals' cases.

Single cases are read where one machine played all hospitals. Of a run of real hospitals there are none here, and none
would be shown: a map of one case tells which case it was (docs/explanations.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from client.hospital import Hospital, open_hospital, site_names
from common.errors import SourceError, StudyError
from common.files.access import read_text
from common.study.study import Study, parse
from experiments.explanations.answering.role import Answering
from experiments.explanations.answering.which import answering_of
from experiments.explanations.own_cases import OwnCases, own_cases
from experiments.explanations.pool import Pool, pool_of
from experiments.places import with_whole_folder
from experiments.prediction.trained import STUDY, Trained, load_trained
from experiments.running.patient_scores import NO_ONE_MODEL
from server.reporting.folder import read_run
from server.reporting.records import Run

REAL = (
    "The hospitals of this run are real: their cases are not on this machine, and a map of a single case never "
    "leaves a hospital, since it tells which case it was. What can be shown is what is inside the network, and maps "
    "that were summed over many cases."
)


@dataclass(frozen=True, eq=False)
class Subject:
    """folder: of the run. trained: its network, in evaluation mode on the CPU, its task and classes. answering: what
    of it can be explained.

    hospitals: those that took part, with their cases; () of a run of real ones, and where the data are not here.
    why_none: why there are none, in sentences; "" where there are. own: cases that somebody named instead.
    """

    folder: Path
    run: Run
    study: Study
    trained: Trained
    answering: Answering
    hospitals: tuple[Hospital, ...]
    why_none: str
    own: OwnCases | None = None

    @classmethod
    def of(cls, folder: Path, inputs: Sequence[Path] = ()) -> Subject:
        """inputs: files of somebody's own cases; () for those of the run.

        Raises WardroundError where it is no run with one model, its model is damaged, or no case can be used.
        """
        trained = load_trained(folder)
        folder = trained.folder
        study = with_whole_folder(parse(read_text(folder, STUDY)))
        if study.training.personal:
            raise StudyError(f"there is nothing to explain: {NO_ONE_MODEL}.")
        run, answering = read_run(folder), answering_of(trained)
        if inputs:
            return cls(folder, run, study, trained, answering, (), "", own_cases(trained, answering, inputs))
        if study.federation.roster or not run.about.is_played:
            return cls(folder, run, study, trained, answering, (), REAL)
        try:
            took_part = {one.site for one in run.roster.holdings}
            opened = [open_hospital(study.json, index) for index, site in enumerate(site_names(study))
                      if site in took_part or not took_part]  # fmt: skip
        except SourceError as error:
            return cls(
                folder, run, study, trained, answering, (), f"The data of this run are not on this machine: {error}"
            )
        return cls(folder, run, study, trained, answering, tuple(opened), "")

    @cached_property
    def pool(self) -> Pool | None:
        """The cases that are answered, and of which some are shown; None where there are none."""
        if self.own is not None:
            return self.own.pool
        return pool_of(self.hospitals, self.part, self.trained.task, self.answering)

    @property
    def example(self) -> Tensor:
        """(1, ...) one case as the network is shown it; zeros where there is none here."""
        if self.pool is not None:
            return self.pool.inputs[:1]
        return torch.zeros((1, *self.trained.learned.shape.inputs))

    @property
    def title(self) -> str:
        """Of the study."""
        return self.trained.title or self.folder.name

    @property
    def part(self) -> str:
        """Which cases are shown: those that the model neither learned from nor was chosen by, unless withheld."""
        return "validation" if self.study.federation.withhold_test else "test"
