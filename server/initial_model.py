"""The model that a run begins from, kept in its folder so that it goes on without the file it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from common.data.cases import Shape
from common.errors import StudyError
from common.files.access import is_there
from common.files.tensor_files import read_tensors, write_tensors
from common.learning.start import Taken, checked, digest_of, first_network, is_given, read_start
from common.learning.task import Task
from common.study.start import Start
from common.study.study import Study
from common.sums.update import Vector
from server.run_folder import RunFolder

FILE = "start.safetensors"


@dataclass(frozen=True)
class Beginning:
    """study: with its model's digest. taken: the parameters that come from the model; None where there is none."""

    study: Study
    taken: Taken | None = None

    @classmethod
    def of(cls, study: Study, folder: RunFolder, simulated: bool, resume: bool) -> Beginning:
        """Read from the model's file, or, where the run goes on, from the folder.

        Raises StudyError where it is absent or another than the study's, or where real hospitals could not check it.
        """
        if study.start is None:
            return cls(study)
        if resume and is_there(folder.path, FILE):
            tensors = read_tensors(folder.path, FILE).tensors
            kept = checked(study.start, tensors, tensors)
            return cls(_with_digest(study, study.start, kept), kept)
        taken = read_start(study.start)
        if study.start.sha256 is None and not simulated:
            raise StudyError(
                "hospitals check the first model against the study they approved, which must name its digest: write "
                f'sha256 = "{digest_of(taken)}" in [start].'
            )
        write_tensors(folder.path, FILE, {name: np.array(tensor) for name, tensor in taken.items()}, durable=True)
        return cls(_with_digest(study, study.start, taken), taken)

    def network(self, task: Task, shape: Shape) -> nn.Module:
        """The network with the run's first parameters."""
        network = first_network(self.study, task, shape, self.taken)
        if self.study.rounds and not any(True for _ in network.parameters()):
            raise StudyError(
                f"the network of task {self.study.task.name!r} has no parameters to learn: a model that comes with "
                "its own weights is scored, with rounds = 0 (wardround evaluate MODEL STUDY)."
            )
        return network

    def to_send(self, network: nn.Module) -> Vector | None:
        """(Q,) the model by the names of its parameters, where hospitals are given it before the rounds."""
        if self.taken is None or not is_given(self.study, network):
            return None
        return np.concatenate([self.taken[name].reshape(-1) for name in sorted(self.taken)])

    @property
    def told(self) -> Mapping[str, Any] | None:
        """For the run's records: where the model came from, its digest, and how much of it was taken."""
        if self.study.start is None or self.taken is None:
            return None
        values = sum(tensor.size for tensor in self.taken.values())
        start = self.study.start
        parts = {"part": start.part, "only": list(start.only), "fresh": list(start.fresh)}
        return {"model": start.model, "sha256": start.sha256, **parts, "parameters": values}


def _with_digest(study: Study, start: Start, taken: Taken) -> Study:
    return study if start.sha256 else replace(study, start=replace(start, sha256=digest_of(taken)))
