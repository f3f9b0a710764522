"""Classical reconstruction by name: `reconstruct(linear, measured, method="fista", prior="tv", weight=0.05)`.

Names are entries of the catalogues METHODS and REGULARISERS of `common.study.catalogue`; one may be a table of
options (`Entry("tv", {"anisotropic": True})`) or an object of the role, such as one's own regulariser.

    method              solves
    closed_form         none, identity, gradient: exactly, where map and regulariser allow; no bounds
    conjugate_gradient  none, identity, gradient; no bounds
    proximal_gradient   every regulariser
    fista               every regulariser; the default
    admm                every regulariser; best where the map's shifted equations have a closed form
    chambolle_pock      every regulariser; forward and adjoint alone
    plug_and_play       a denoiser in the place of a regulariser: `prior=Denoiser(...)`, see `plug_and_play`
    falling_denoiser    the same, told less and less noise: for denoisers that are learned

    regulariser  R(x)
    none         0
    identity     |x|^2 / 2
    gradient     |D x|^2 / 2, D differences of neighbours
    tv           the sum of |D x| over pixels, isotropic or not
    wavelet      the sum of |c|^p over wavelet coefficients
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.problem import Method, ReconstructionProblem, Solved, check_bounds
from common.reconstruction.regulariser import Bounds, Regulariser
from common.study.catalogue import METHODS, REGULARISERS, Catalogue
from common.study.options import Entry

DEFAULT_METHOD, DEFAULT_PRIOR, DEFAULT_WEIGHT = "fista", "tv", 0.01


def reconstruct(
    linear: LinearMap,
    measured: Tensor,
    *,
    method: str | Entry | Method = DEFAULT_METHOD,
    prior: str | Entry | Regulariser = DEFAULT_PRIOR,
    weight: float | Tensor = DEFAULT_WEIGHT,
    bounds: Bounds | None = None,
    start: Tensor | None = None,
    tolerance: float | None = None,
    iterations: int | None = None,
) -> Solved:
    """The least of |A x - y|^2 / 2 + weight R(x) for every case of a batch.

    Args:
        linear: A, of the batch.
        measured: y, (N, *measured_shape), float32 or float64: the precision that all is computed in.
        method: by name, as a table of options, or itself.
        prior: the regulariser R, likewise.
        weight: of R, one for all or (N,) one a case; zero or more. See `choice_of_weight` for how to find it.
        bounds: what an image's values lie between, such as (0, math.inf); None: anything.
        start: (N, C, *S) to begin at.
        tolerance: of the method, where it is given by name alone.
        iterations: likewise.

    Returns:
        Images, objective by iteration, iterations, and why the method stopped.

    Raises:
        StudyError: a name or option does not exist, data do not fit the map or are not finite, or the method cannot
            solve this problem.
    """
    _check(linear, measured)
    check_bounds(bounds)
    limits = {"tolerance": tolerance, "iterations": iterations}
    chosen = _built(METHODS, method, {name: value for name, value in limits.items() if value is not None})
    regulariser = _built(REGULARISERS, prior, {})
    problem = ReconstructionProblem(
        linear, measured, cast(Regulariser, regulariser), weights(weight, measured), bounds
    )
    with torch.no_grad():
        return cast(Method, chosen).solve(problem, start)


def weights(weight: float | Tensor, measured: Tensor) -> Tensor:
    """(N,) float64. Raises StudyError unless there is one finite number of at least zero for each case."""
    values = torch.as_tensor(weight, dtype=torch.float64, device=measured.device).reshape(-1)
    if len(values) not in (1, len(measured)):
        raise StudyError(f"weight must be one number or one for each of {len(measured)} cases; it has {len(values)}.")
    if not bool((torch.isfinite(values) & (values >= 0)).all()):
        raise StudyError(f"weight must be a finite number of zero or more; it is {values.tolist()!r}.")
    return values.expand(len(measured)).contiguous()


def _check(linear: LinearMap, measured: Tensor) -> None:
    if tuple(measured.shape[1:]) != tuple(linear.measured_shape):
        raise StudyError(
            f"data of one case must be of the shape {tuple(linear.measured_shape)} that its operator measures; they "
            f"are of shape {tuple(measured.shape[1:])}."
        )
    if not measured.is_floating_point() or not bool(torch.isfinite(measured).all()):
        raise StudyError("data to reconstruct from must be finite real numbers (complex ones as two channels).")


def _built(catalogue: Catalogue, given: object, more: dict[str, float]) -> object:
    if isinstance(given, str):
        known = catalogue.options(given)
        return catalogue.build(Entry(given, {name: value for name, value in more.items() if name in known}))
    if isinstance(given, Entry):
        return catalogue.build(Entry(given.name, {**more, **given.options}))
    return given
