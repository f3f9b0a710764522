"""What methods for quadratic problems ask of one."""

from __future__ import annotations

from common.errors import StudyError
from common.reconstruction.problem import ReconstructionProblem
from common.reconstruction.regulariser import Quadratic


def quadratic(problem: ReconstructionProblem, method: str) -> Quadratic:
    """The problem's regulariser. Raises StudyError where it is not quadratic or where images have bounds."""
    if not isinstance(problem.regulariser, Quadratic):
        raise StudyError(
            f"method {method!r} solves quadratic problems: the regulariser must be none, identity or gradient. For "
            "others choose fista, admm or chambolle_pock."
        )
    if problem.bounds is not None:
        raise StudyError(f"method {method!r} knows no bounds of an image; choose fista, admm or chambolle_pock.")
    return problem.regulariser
