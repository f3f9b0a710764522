"""One function: register a moving image to a fixed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.image import Image
from common.errors import ImageError, StudyError
from common.metrics.maps import as_mask
from common.registration.attempts import Attempt, Trials, is_led_astray
from common.registration.choices import optimiser_of, similarity_name, similarity_of
from common.registration.deformation import DEFORMABLE, check_plan, deformed
from common.registration.doubts import doubts
from common.registration.landmarks import Landmarks
from common.registration.linear import KINDS, Linear
from common.registration.linear_registration import Search
from common.registration.local_agreement import agreement
from common.registration.objective import Pair, check_mask
from common.registration.optimisers import Optimiser
from common.registration.plan import Plan
from common.registration.pyramid import pyramid, suited_levels
from common.registration.record import Registration, Stage
from common.registration.sampling import Sampler, lattice_points, least_value, resample
from common.registration.similarity import Similarity
from common.registration.transform import SLOPE_STEP_VOXELS, Transform, jacobian_determinants
from common.registration.units import pair_in_units, stretched, suited_unit_mm
from common.registration.used import Used
from common.seeding import generator
from common.study.checks import one_of

POINTS_FOR_JACOBIANS = 50_000
CURVED_NOTE = "a curve relates the intensities, which 'mi' goes by"


def register(
    moving: Image,
    fixed: Image,
    transform: str = "affine",
    similarity: str | Similarity = "auto",
    optimiser: str | Optimiser = "lbfgs",
    levels: int | None = None,
    seed: int = 0,
    *,
    also: Sequence[tuple[Image, Image]] = (),
    moving_mask: Image | None = None,
    fixed_mask: Image | None = None,
    points: int = 40_000,
    starts: int = 1,
    initial: Transform | None = None,
    before: str = "affine",
    smoothness: float = 1.0,
    iterations: int | Sequence[int] | None = None,
    step: float = 1.0,
    regulariser: str = "gaussian",
    spacing_mm: float | None = None,
    landmarks: Landmarks | None = None,
    outside: float | None = None,
) -> Registration:
    """Find the transform that makes the moving image like the fixed one.

    Images need not share a lattice. Scaling both images' world by a number scales the answer by it. No deformation
    folds space. One that fits no better than what it began from, at any level, is dropped: that is returned, and a
    note says so, or a doubt where something speaks against it.

    A linear search that is not to be believed (see `attempts`) is followed by others, of another similarity and from
    24 rotations. The best counts; what still speaks against it is in `doubts`, what was tried in `tried`.

    Args:
        moving: the image that is brought to the other.
        fixed: the image that stays.
        transform: rigid, similarity, affine; or bspline, displacement, velocity, which follow a linear one.
        similarity: ssd, sad, cc, local_cc, mi, nmi, cr, mind, or an object of that role, or auto: cc, or mi where a
            curve relates the intensities better than a line. Deformations take cc in windows, as local_cc, as their
            stages say; displacement and velocity refuse sad, nmi and cr.
        optimiser: lbfgs, adam, gradient_descent, sgd, simplex, discrete, bayesian (rigid and similarity at most), or
            an object, for all but displacement and velocity.
        levels: of the pyramid; by default as many as suit the size.
        seed: of whatever is drawn.
        also: other channels, (moving, fixed) each on the first one's lattices, of which all count as much; starts and
            doubts are the first one's.
        moving_mask: on the moving image's lattice; what is not 0 counts.
        fixed_mask: on the fixed image's lattice; what is not 0 counts.
        points: places the cost is taken at, for linear ones.
        starts: rotations to begin from, for images turned far.
        initial: what to begin from; it may itself be a deformation.
        before: the linear transform that a deformation follows, or "none"; none too where `initial` is given.
        smoothness: of deformations; 1 is usual, .1 to 20, more is stiffer.
        iterations: of deformations, finest level first.
        step: longest update in voxels, up to 2, of displacement and velocity.
        regulariser: gaussian, tv or elastic, of deformations.
        spacing_mm: of B-splines' control points; by default a share of the image.
        landmarks: of deformations, a term of the cost.
        outside: what the image has where the moving one does not reach; by default the moving image's least value,
            which is air in CT as in MR.

    Returns:
        The transform, the moved image, and what speaks against them.

    Raises:
        ImageError: where images or masks do not fit.
        UnknownNameError: for unknown names.
    """
    began = perf_counter()
    one_of("register", (*KINDS, *DEFORMABLE), transform=transform)
    one_of("register", (*KINDS, "none"), before=before)
    moving_mask, fixed_mask = _as_mask(moving_mask, "moving"), _as_mask(fixed_mask, "fixed")
    _check(moving, fixed, moving_mask, fixed_mask, levels, points, starts)
    _check_channels(moving, fixed, also)
    auto = similarity == "auto"
    measure = similarity_of("cc" if auto else similarity)
    search = Search(measure, optimiser_of(optimiser), points, starts, generator(seed, "registration"))
    plan = Plan(smoothness, iterations, step, spacing_mm, regulariser, landmarks)
    check_plan(plan, transform, measure, initial, fixed.geometry.dimensions)
    unit = suited_unit_mm(fixed.geometry)
    images = [
        pair_in_units(pair, unit)
        for pair in _channels([(moving, fixed), *also], moving_mask, fixed_mask, measure, levels)
    ]
    begin = initial and stretched(initial, 1 / unit)
    found: Transform
    if transform in DEFORMABLE and (begin is not None or before == "none"):
        found = begin or Linear.identity(fixed.geometry.dimensions)
        if auto and is_led_astray(images, found, measure):
            search = replace(search, similarity=similarity_of("mi"))
        stages, agreeing, attempts = list[Stage](), agreement(images, found), list[Attempt]()
        against = doubts(images, found, agreeing)
    else:
        assert begin is None or isinstance(begin, Linear)
        best, attempts = Trials(images, transform if transform in KINDS else before, begin).surely(search, auto=auto)
        found, stages, agreeing, against = best.found, best.stages, best.agreeing, best.against
        search = best.search if auto or transform in KINDS else search
    notes: tuple[str, ...] = ()
    if transform in DEFORMABLE:
        bent = deformed(images, levels, transform, search, found, plan.in_units(unit), against, agreeing)
        found, stages = bent.transform, [*stages, *bent.stages]
        against, agreeing, notes = bent.doubts, bent.agreeing, bent.notes
    if is_led_astray(images, found, search.similarity):
        notes = (*notes, f"{CURVED_NOTE}, not '{similarity_name(search.similarity)}'")
    record = _finished(moving, fixed, stretched(found, unit), stages, against, outside, began)
    channels = (image for pair in also for image in pair)
    given = tuple(image for image in (moving, fixed, moving_mask, fixed_mask, *channels) if image is not None)
    used = Used(similarity_name(search.similarity), landmarks, given)
    return replace(record, used=used, agreement=agreeing, tried=tuple(map(str, attempts)), notes=notes)


def _finished(
    moving: Image,
    fixed: Image,
    found: Transform,
    stages: Sequence[Stage],
    against: tuple[str, ...],
    outside: float | None,
    began: float,
) -> Registration:
    seconds = perf_counter() - began
    points = lattice_points(fixed.geometry).flatten(0, -2)
    some = points[:: max(1, len(points) // POINTS_FOR_JACOBIANS)]
    step_mm = SLOPE_STEP_VOXELS * min(fixed.geometry.spacing_mm)
    with torch.no_grad():
        inside = Sampler.of(moving).at(found.map_points(some))[1]
        folded = jacobian_determinants(found, some, step_mm) <= 0
    image = resample(moving, fixed.geometry, found, outside=least_value(moving) if outside is None else outside)
    return Registration(found, image, tuple(stages), seconds, float(inside.double().mean()),
                        float(folded.double().mean()), against)  # fmt: skip


def _as_mask(mask: Image | None, name: str) -> Image | None:
    return None if mask is None else Image(as_mask(mask.values, f"the {name} mask"), mask.geometry)


def _check(
    moving: Image,
    fixed: Image,
    moving_mask: Image | None,
    fixed_mask: Image | None,
    levels: int | None,
    points: int,
    starts: int,
) -> None:
    if moving.geometry.dimensions != fixed.geometry.dimensions:
        raise ImageError(
            f"a {moving.geometry.dimensions}D image cannot be registered to a {fixed.geometry.dimensions}D one."
        )
    for name, image in (("moving", moving), ("fixed", fixed)):
        _check_values(image, f"the {name} image")
    check_mask(moving_mask, moving.geometry, "moving")
    check_mask(fixed_mask, fixed.geometry, "fixed")
    for option, value, most in (("levels", levels or 1, 12), ("points", points, 1 << 26), ("starts", starts, 10_000)):
        if not 1 <= value <= most:
            raise StudyError(f"register.{option} must lie between 1 and {most}; it is {value}.")


def _check_channels(moving: Image, fixed: Image, also: Sequence[tuple[Image, Image]]) -> None:
    for number, pair in enumerate(also, start=2):
        for name, image, first in zip(("moving", "fixed"), pair, (moving, fixed), strict=True):
            if not image.geometry.same_place(first.geometry):
                raise ImageError(f"channel {number} of the {name} image must lie on the lattice of the first one.")
            _check_values(image, f"channel {number} of the {name} image")


def _check_values(image: Image, name: str) -> None:
    if image.values.dtype.kind not in "biuf" or not np.isfinite(image.values).all():
        raise ImageError(f"{name} must hold finite real numbers.")
    if image.values.min() == image.values.max():
        raise ImageError(f"{name} is the same everywhere: there is nothing to register.")


def _channels(
    images: Sequence[tuple[Image, Image]],
    moving_mask: Image | None,
    fixed_mask: Image | None,
    measure: Similarity,
    levels: int | None,
) -> list[Pair]:
    """Coarsest first, the first channel's with the others'."""
    count = levels or suited_levels(images[0][1].geometry)
    found = [_pairs(moving, fixed, moving_mask, fixed_mask, measure, count) for moving, fixed in images]
    return [replace(first, also=tuple(others)) for first, *others in zip(*found, strict=True)]


def _pairs(
    moving: Image, fixed: Image, moving_mask: Image | None, fixed_mask: Image | None, measure: Similarity, levels: int
) -> list[Pair]:
    """Coarsest first, intensities scaled to [0, 1]."""
    one, two = _range(moving, moving_mask), _range(fixed, fixed_mask)
    if measure.shared_scale:
        one = two = (min(one[0], two[0]), max(one[1], two[1]))
    movings = pyramid(_scaled(moving, *one), levels, moving_mask)
    fixeds = pyramid(_scaled(fixed, *two), levels, fixed_mask)
    masks = [_masks(mask, levels) for mask in (moving_mask, fixed_mask)]
    return [Pair(*parts) for parts in zip(movings, fixeds, *masks, strict=True)]


def _range(image: Image, mask: Image | None) -> tuple[float, float]:
    """Of what counts, unless it is the same everywhere."""
    values = image.values if mask is None else image.values[mask.values]
    values = values if values.min() < values.max() else image.values
    return float(values.min()), float(values.max())


def _scaled(image: Image, low: float, high: float) -> Image:
    values: NDArray[np.float32] = ((np.asarray(image.values, np.float64) - low) / (high - low)).astype(np.float32)
    return Image(values, image.geometry)


def _masks(mask: Image | None, levels: int) -> Sequence[Image | None]:
    """A coarse voxel belongs to the mask where most of it does, or, should none be left, where any does."""
    if mask is None:
        return [None] * levels
    shares = pyramid(Image(mask.values.astype(np.float32), mask.geometry), levels)
    return [Image(share.values >= min(0.5, float(share.values.max())), share.geometry) for share in shares]
