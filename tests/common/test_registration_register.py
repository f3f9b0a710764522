"""The whole of it: known transforms come back, and what cannot be registered is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError, StudyError, UnknownNameError
from common.registration.bayesian import Bayesian
from common.registration.displacement import DisplacementField
from common.registration.forces import LocalCorrelationForce, SquaredDifference
from common.registration.information import CorrelationRatio, MutualInformation, NormalisedMutualInformation
from common.registration.information_force import InformationForce
from common.registration.linear import Linear, LinearFamily
from common.registration.local_correlation import LocalCorrelation
from common.registration.newton import newton_step
from common.registration.optimisers import DownhillSimplex, StochasticGradientDescent
from common.registration.register import register
from common.registration.sampling import lattice_points, resample
from common.registration.similarity import Similarity, SumOfSquaredDifferences
from common.registration.transform import Transform
from common.registration.warping import Lattice, enlarged

FLAT = Geometry.of((64, 56), (1.0, 1.25), (-30, -35))
SOLID = Geometry.of((40, 36, 32), (2.0, 2.0, 2.5), (-38, -36, -38))


@cache
def scene(dimensions: int) -> tuple[Image, torch.Tensor]:
    """A sum of Gaussian blobs, which can be read at any place without interpolation, and (K, 2 D + 1) of them."""
    rng = np.random.default_rng(4)
    smallest, largest = (2.5, 6.0) if dimensions == 2 else (4.0, 9.0)
    places, sizes = rng.uniform(-22, 22, size=(40, dimensions)), rng.uniform(smallest, largest, size=(40, 1))
    blobs = np.hstack([places, sizes, rng.uniform(0.3, 1, size=(40, 1))])
    described = torch.from_numpy(blobs)
    geometry = FLAT if dimensions == 2 else SOLID
    return Image(brightness(lattice_points(geometry), described), geometry), described


def brightness(points: torch.Tensor, blobs: torch.Tensor) -> np.ndarray:
    size = points.shape[-1]
    total = torch.zeros(points.shape[:-1], dtype=torch.float64)
    for blob in blobs:
        total += blob[size + 1] * torch.exp(-0.5 * ((points - blob[:size]) ** 2).sum(-1) / blob[size] ** 2)
    return total.numpy()


def moved_by(transform: Transform, dimensions: int) -> Image:
    """The moving image whose registration to the scene is the transform: noise-free, nothing interpolated."""
    fixed, blobs = scene(dimensions)
    places = transform.inverse().map_points(lattice_points(fixed.geometry))
    return Image(brightness(places, blobs), fixed.geometry)


def known(kind: str, dimensions: int, size_mm: float = 4.0) -> Linear:
    family = LinearFamily(kind, torch.zeros(dimensions, dtype=torch.float64), 25.0, Linear.identity(dimensions))
    draws = np.random.default_rng(1).uniform(-size_mm, size_mm, size=family.parameters.shape)
    return family.at(torch.from_numpy(draws))


def error_voxels(found: Transform, true: Transform, geometry: Geometry) -> float:
    """Largest error in the middle half of the image, in its smallest voxel's edges."""
    cube = (
        np.array(np.meshgrid(*[np.linspace(-0.5, 0.5, 5)] * geometry.dimensions)).reshape(geometry.dimensions, -1).T
    )
    points = torch.from_numpy(geometry.cube_to_world(cube))
    errors = (found.map_points(points) - true.map_points(points)).norm(dim=-1)
    return float(errors.max()) / min(geometry.spacing_mm)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
def test_a_known_linear_transform_is_recovered(kind: str, dimensions: int) -> None:
    true, fixed = known(kind, dimensions), scene(dimensions)[0]
    found = register(moved_by(true, dimensions), fixed, kind, points=4000)
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1
    assert found.overlap > 0.6
    assert found.negative_jacobian == 0
    assert found.cost < -0.99


SIMILAR = ["ssd", "sad", "cc", MutualInformation(64), NormalisedMutualInformation(64), CorrelationRatio(64)]


@pytest.mark.parametrize("similarity", SIMILAR, ids=str)
def test_every_similarity_recovers_it(similarity: str | Similarity) -> None:
    true, fixed = known("affine", 2), scene(2)[0]
    found = register(moved_by(true, 2), fixed, "affine", similarity)
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1


@pytest.mark.parametrize(
    "optimiser",
    [
        "lbfgs",
        "gradient_descent",
        "adam",
        "simplex",
        DownhillSimplex(tolerance_mm=1e-3),
        StochasticGradientDescent(iterations=60),
        "discrete",
        Bayesian(evaluations=40),
    ],
)
def test_every_optimiser_recovers_a_rigid_motion(optimiser: object) -> None:
    true, fixed = known("rigid", 2), scene(2)[0]
    found = register(moved_by(true, 2), fixed, "rigid", "ssd", optimiser, levels=1)  # type: ignore[arg-type]
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1


def test_local_correlation_recovers_a_rigid_motion_to_a_quarter_of_a_voxel() -> None:
    """Windows on slow slopes correlate wherever they lie, so it is for texture rather than for these blobs."""
    true, fixed = known("rigid", 2), scene(2)[0]
    found = register(moved_by(true, 2), fixed, "rigid", "local_cc")
    assert error_voxels(found.transform, true, fixed.geometry) < 0.25


@pytest.mark.parametrize("similarity", ["mi", "nmi", "cr"])
def test_another_contrast_is_no_hindrance_to_information(similarity: str) -> None:
    true, fixed = known("rigid", 2), scene(2)[0]
    moving = moved_by(true, 2)
    inverted = Image(np.exp(-moving.values), moving.geometry)
    found = register(inverted, fixed, "rigid", similarity)
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_large_rotation_is_found_from_many_starts(dimensions: int) -> None:
    turn = Rotation.from_rotvec([0, 0, 2.4]).as_matrix()[:dimensions, :dimensions]
    true, fixed = Linear.of(turn, [3.0, -2.0, 1.0][:dimensions]), scene(dimensions)[0]
    found = register(moved_by(true, dimensions), fixed, "rigid", starts=12 if dimensions == 2 else 24, points=2000)
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1


def test_images_on_other_lattices_far_apart_are_brought_together() -> None:
    true, fixed = known("rigid", 3), scene(3)[0]
    far = Linear.of(np.eye(3), [200.0, -150.0, 90.0]).after(true)
    turned = Geometry.of((30, 44, 40), (2.5, 1.8, 2.0), (160, -190, 50))
    moving = Image(brightness(far.inverse().map_points(lattice_points(turned)), scene(3)[1]), turned)
    found = register(moving, fixed, "rigid", points=4000)
    assert error_voxels(found.transform, far, fixed.geometry) < 0.1
    assert found.image.geometry is fixed.geometry


DEFORMABLE = [("bspline", "ssd"), ("displacement", "ssd"), ("displacement", "local_cc"), ("velocity", "local_cc")]


@pytest.mark.parametrize(("transform", "similarity"), DEFORMABLE)
def test_a_known_deformation_is_recovered(transform: str, similarity: str) -> None:
    fixed = scene(2)[0]
    noise = np.random.default_rng(2).normal(size=(2, *FLAT.shape))
    smooth = np.stack([gaussian_filter(part, 10) for part in noise])
    true = DisplacementField(torch.from_numpy(3 * smooth / np.abs(smooth).max()), FLAT)
    found = register(moved_by(true, 2), fixed, transform, similarity, before="none")
    inner = lattice_points(FLAT)[12:-12, 12:-12]
    errors = (found.transform.map_points(inner) - true.map_points(inner)).norm(dim=-1)
    assert float(errors.mean()) < 0.25
    assert found.negative_jacobian == 0
    there = found.transform.map_points(inner)
    assert float((found.transform.inverse().map_points(there) - inner).norm(dim=-1).max()) < 0.1


def test_a_mask_keeps_what_is_outside_from_misleading() -> None:
    true, fixed = known("rigid", 2, 3.0), scene(2)[0]
    moving = moved_by(true, 2)
    spoiled = Image(fixed.values.copy(), fixed.geometry)
    spoiled.values[:20] = 5.0
    mask = Image(np.ones(fixed.values.shape, bool), fixed.geometry)
    mask.values[:24] = False
    found = register(moving, spoiled, "rigid", "ssd", fixed_mask=mask)
    assert error_voxels(found.transform, true, fixed.geometry) < 0.1


def test_the_same_seed_gives_the_same_transform() -> None:
    true, fixed = known("rigid", 2), scene(2)[0]
    one, two, other = (register(moved_by(true, 2), fixed, "rigid", seed=seed, points=2000) for seed in (3, 3, 4))
    points = lattice_points(FLAT)
    assert torch.equal(one.transform.map_points(points), two.transform.map_points(points))
    assert not torch.equal(one.transform.map_points(points), other.transform.map_points(points))


def test_an_image_registered_to_itself_stays() -> None:
    fixed = scene(3)[0]
    found = register(fixed, fixed, "affine", points=2000)
    assert error_voxels(found.transform, Linear.identity(3), fixed.geometry) < 1e-3


@pytest.mark.parametrize("shape", [(9, 8), (6, 7, 5)])
def test_forces_by_hand_equal_autograds(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    fixed, warped = (torch.from_numpy(rng.uniform(size=shape)).float() for _ in range(2))
    for force, similarity in ((SquaredDifference(fixed, torch.ones(shape)), SumOfSquaredDifferences()),
                              (LocalCorrelationForce(fixed, torch.ones(shape), 1), LocalCorrelation(1)),
                              (InformationForce(fixed, torch.ones(shape), 12), MutualInformation(12))):  # fmt: skip
        exact = warped.double().requires_grad_()
        cost = similarity.cost(exact, fixed.double(), torch.ones(shape).double())
        (wanted,) = torch.autograd.grad(cost, exact)
        got, gradient, curvature = force.derivatives(warped)
        assert got == pytest.approx(cost.item(), rel=1e-4)
        torch.testing.assert_close(gradient / fixed.numel(), wanted.float(), atol=1e-5, rtol=1e-3)
        assert (curvature >= -1e-4).all()


@pytest.mark.parametrize("shape", [(9, 8), (6, 7, 5)])
def test_a_newton_step_solves_its_equations_at_every_voxel(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    warped, pull, curvature = (torch.from_numpy(rng.uniform(size=shape)).float() for _ in range(3))
    lattice = Lattice(shape)
    step = newton_step(lattice, warped, pull, curvature, 1.0, 0.5)
    slopes = lattice.gradient(warped)
    matrix = lattice.smoothed((curvature * slopes[:, None] * slopes).flatten(0, 1), 1.0)
    matrix = matrix.unflatten(0, (len(shape), len(shape))).movedim((0, 1), (-2, -1))
    still = 0.5 * matrix.diagonal(dim1=-2, dim2=-1).mean()
    wanted = -torch.linalg.solve(matrix + still * torch.eye(len(shape)),
                                 lattice.smoothed(slopes * pull, 1.0).movedim(0, -1))  # fmt: skip
    torch.testing.assert_close(step.movedim(0, -1), wanted, atol=1e-4, rtol=1e-3)


def test_a_displacement_on_more_voxels_is_the_same_in_mm() -> None:
    coarse = torch.stack([torch.linspace(-1, 1, 6)[:, None].expand(6, 5), torch.full((6, 5), 0.5)])
    fine = enlarged(coarse, (12, 15))
    torch.testing.assert_close(fine[1], torch.full((12, 15), 1.5))
    assert float(fine[0].max()) == pytest.approx(2.0)


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    fixed = scene(2)[0]
    with pytest.raises(ImageError, match="3D image cannot be registered to a 2D"):
        register(scene(3)[0], fixed)
    with pytest.raises(ImageError, match="nothing to register"):
        register(Image(np.zeros((4, 4)), Geometry.of((4, 4))), fixed)
    with pytest.raises(ImageError, match="finite"):
        register(Image(np.array([[0, np.nan]]), Geometry.of((1, 2))), fixed)
    with pytest.raises(ImageError, match="mask is empty"):
        register(fixed, fixed, fixed_mask=Image(np.zeros(FLAT.shape, bool), FLAT))
    with pytest.raises(ImageError, match="lattice of the moving image"):
        register(fixed, fixed, moving_mask=Image(np.ones((2, 2), bool), Geometry.of((2, 2))))
    with pytest.raises(UnknownNameError, match="did you mean 'affine'"):
        register(fixed, fixed, "afine")
    with pytest.raises(StudyError, match="levels"):
        register(fixed, fixed, levels=99)


def test_the_resampled_image_is_the_moving_one_through_the_transform() -> None:
    true, fixed = known("rigid", 2), scene(2)[0]
    found = register(moved_by(true, 2), fixed, "rigid")
    least = float(moved_by(true, 2).values.min())
    again = resample(moved_by(true, 2), fixed.geometry, found.transform, outside=least)
    np.testing.assert_array_equal(found.image.values, again.values)
