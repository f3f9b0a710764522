"""An update inverted by the image alone: inputs and truth of a case both follow from what is guessed.

Where a task learns to reconstruct, a hospital's inputs are data of a scanner and its truth the image. Whoever guesses
the image x knows both: data are A x by the operator that the study names. What differs from case to case, a mask of
k-space, it does not know and draws by the operator's own rule; the noise it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from common.learning.abilities import abilities, can, task_in_round
from common.learning.imagined import Imagined
from common.learning.task import Task
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.problem import Attempt, InversionProblem
from experiments.attacks.inversion.updates import Captured, as_gradient
from experiments.observation import Observation


@dataclass(frozen=True)
class ByImage:
    """The problem whose unknowns are images, in units of `imagined.unit`."""

    problem: InversionProblem
    imagined: Imagined

    @classmethod
    def of(cls, victim: Victim, captured: Captured, observed: Observation, imagined: Imagined) -> ByImage:
        """The gradient of as many images as were imagined."""
        task = task_in_round(observed.study.build_task(), captured.round)
        seeing = replace(victim, losses=ImaginedLosses(task, imagined))
        gradient = seeing.parts(as_gradient(captured, observed.study))
        return cls(InversionProblem(seeing, gradient, imagined.form, (imagined.form[0], 0)), imagined)

    def attempt(self, found: Attempt) -> Attempt:
        """As a person sees the images that a search came to."""
        return replace(found, inputs=self.imagined.seen(found.inputs * self.imagined.unit), of_images=True)


@dataclass(frozen=True)
class ImaginedLosses:
    """(N,) losses of guessed images."""

    task: Task
    imagined: Imagined

    def __call__(self, network: nn.Module, images: Tensor, truth: Tensor) -> Tensor:
        """truth: nothing is believed of it, it is the image."""
        return self.task.loss(network, self.imagined.batch(images * self.imagined.unit))


def imagined_of(observed: Observation, cases: int, generator: torch.Generator) -> Imagined | None:
    """None of a task whose inputs and truth do not both follow from an image."""
    task = observed.study.build_task()
    if not can(task, "imagined"):
        return None
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return abilities(task).imagined(observed.shape, cases, np.random.default_rng(seed))
