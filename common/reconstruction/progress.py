"""What iterative methods keep of their way: the objective, which cases have ended, and why."""

from __future__ import annotations

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.inner_products import by_case
from common.reconstruction.problem import ReconstructionProblem, Solved

LEAST_TOLERANCE = 1e-15


class Progress:
    """One solution on its way. A case that has ended keeps its image, whatever becomes of the others of its batch."""

    def __init__(
        self, problem: ReconstructionProblem, start: Tensor, tolerance: float, reason: str = "relative change"
    ) -> None:
        self._problem, self._tolerance, self._reason = problem, tolerance, reason
        self._images = start.clone()
        self._open = torch.ones(len(start), dtype=torch.bool, device=start.device)
        self._objective = [problem.objective(start)]
        self._steps = 0

    def ended(self, images: Tensor, change: Tensor, objective: Tensor) -> bool:
        """Keep an iteration. change: (N,), at most the tolerance where a case has ended. objective: (N,)."""
        if not bool(torch.isfinite(objective).all()):
            raise StudyError(
                "the reconstruction diverged: its objective is no longer finite. Data or start hold what is no "
                "number, or the map's adjoint or norm is not right."
            )
        self._steps += 1
        self._objective.append(torch.where(self._open, objective, self._objective[-1]))
        everyone = bool(self._open.all())
        self._images = images if everyone else torch.where(by_case(self._open, images).bool(), images, self._images)
        self._open = self._open & ~(change <= max(self._tolerance, LEAST_TOLERANCE))
        return not bool(self._open.any())

    def solved(self) -> Solved:
        """What was reached."""
        why = "iterations" if bool(self._open.any()) else self._reason
        return Solved(self._images, torch.stack(self._objective), self._steps, why)
