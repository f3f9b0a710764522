"""The parts of a deformation's models against slow oracles, by hand and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse.linalg import spsolve

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.elasticity import Elastic, hats, stiffness
from common.registration.free_form import FreeForm, control_lattice_of, spline_weights, subdivided
from common.registration.landmarks import Landmarks, Pull
from common.registration.linear import Linear
from common.registration.newton import Quadratic
from common.registration.register import register
from common.registration.sampling import lattice_points
from common.registration.self_similarity import SelfSimilarity
from common.registration.total_variation import Variation, least_variation, variation_cost


@pytest.mark.parametrize("nodes", [(5, 4), (3, 4, 3)])
def test_an_elastic_body_passes_the_patch_test(nodes: tuple[int, ...]) -> None:
    """A linear displacement strains all elements alike, so no force is left inside; a rigid one costs nothing."""
    size = len(nodes)
    edges = [1.0, 1.5, 0.5][:size]
    matrix = stiffness(nodes, edges)
    places = np.stack(np.meshgrid(*[np.arange(count) for count in nodes], indexing="ij"), -1) * edges
    linear = places @ np.random.default_rng(0).normal(size=(size, size)).T
    forces = (matrix @ linear.reshape(-1)).reshape(*nodes, size)
    assert np.abs(forces[(slice(1, -1),) * size]).max() < 1e-12
    assert linear.reshape(-1) @ matrix @ linear.reshape(-1) > 0.1
    turn = np.zeros((size, size))
    turn[0, 1], turn[1, 0] = -1, 1
    rigid = (places @ turn.T + 2.0).reshape(-1)
    assert rigid @ matrix @ rigid == pytest.approx(0, abs=1e-9)


def test_elements_come_to_a_known_solution_with_the_square_of_their_size() -> None:
    """u = (sin x sin y, 0) in a square of side pi that is held at its edge, under the force that it takes."""
    errors = []
    for count in (9, 17):
        edge = np.pi / (count - 1)
        x, y = np.meshgrid(np.arange(count) * edge, np.arange(count) * edge, indexing="ij")
        first, shear = 1.0, 1.0
        force = np.stack([(first + 3 * shear) * np.sin(x) * np.sin(y), -(first + shear) * np.cos(x) * np.cos(y)], -1)
        inner = np.zeros((count, count, 2), bool)
        inner[1:-1, 1:-1] = True
        free = np.flatnonzero(inner)
        matrix = stiffness((count, count), (edge, edge), shear, first)[free][:, free]
        found = np.zeros(inner.size)
        found[free] = spsolve(matrix.tocsc(), (edge**2 * force).reshape(-1)[free])
        errors.append(np.abs(found.reshape(count, count, 2)[..., 0] - np.sin(x) * np.sin(y)).max())
    assert errors[0] < 0.05
    assert 3 < errors[0] / errors[1] < 5


def test_what_is_elastic_keeps_rigid_motions_and_smooths_the_rest() -> None:
    points = lattice_points(Geometry.of((12, 10)), torch.float32)
    turned = torch.stack([-0.1 * points[..., 1] + 1, 0.1 * points[..., 0]])
    smooth = Elastic((12, 10), 2.0)
    torch.testing.assert_close(smooth(turned), turned, atol=5e-3, rtol=0)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 12, 10))).float()
    assert smooth(noise).diff(dim=1).square().mean() < 0.1 * noise.diff(dim=1).square().mean()
    assert hats(5, 3).tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]


def model(shape: tuple[int, ...], seed: int) -> Quadratic:
    rng = np.random.default_rng(seed)
    slopes = torch.from_numpy(rng.normal(size=(2, *shape)))
    bends = {(0, 0): slopes[0] ** 2 + 0.2, (0, 1): slopes[0] * slopes[1], (1, 1): slopes[1] ** 2 + 0.2}
    return Quadratic(slopes * torch.from_numpy(rng.normal(size=shape)), bends)


def test_the_variation_step_finds_what_a_plain_minimiser_finds() -> None:
    shape, variation = (5, 4), Variation(0.3, 0.05, 400)
    given, start = model(shape, 0), torch.from_numpy(np.random.default_rng(1).normal(size=(2, *shape)))
    found = least_variation(given, start, variation, 0.1)

    def cost(flat: np.ndarray) -> float:
        return variation_cost(given, start, torch.from_numpy(flat.reshape(2, *shape)), variation, 0.1)

    best = minimize(cost, start.reshape(-1).numpy(), method="BFGS", options={"maxiter": 300, "gtol": 1e-4})
    assert cost(found.reshape(-1).numpy()) <= best.fun + 1e-3 * abs(best.fun)


def test_total_variation_lets_two_halves_slide_where_a_gaussian_blurs_them() -> None:
    geometry = Geometry.of((40, 32))
    x = np.arange(40)[:, None]
    still = np.sin(0.5 * x) + 0.5 * np.sin(0.23 * x + 1) + np.zeros((1, 32))
    shift = np.where(np.arange(32) < 16, 1.5, -1.5)
    moved = np.sin(0.5 * (x - shift)) + 0.5 * np.sin(0.23 * (x - shift) + 1)
    errors = {}
    for regulariser in ("gaussian", "tv"):
        found = register(
            Image(moved, geometry),
            Image(still, geometry),
            "displacement",
            "ssd",
            before="none",
            regulariser=regulariser,
        )
        points = lattice_points(geometry)
        got = (found.transform.map_points(points) - points)[10:-10, :, 0].numpy()
        errors[regulariser] = np.abs(got - shift)[:, 12:20].mean()
        assert found.negative_jacobian == 0
    assert errors["tv"] < 0.8 * errors["gaussian"]


def test_self_similarity_does_not_mind_the_contrast_but_the_place() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.uniform(size=(9, 8, 7)))
    measure = SelfSimilarity()
    assert measure.described(image).shape == (12, 9, 8, 7)
    assert measure.described(image[0]).shape[0] == 4
    torch.testing.assert_close(measure.described(1 - image), measure.described(image))
    weight = torch.ones(9, 8, 7)
    assert measure.cost(0.5 - 0.3 * image, image, weight) < 1e-4
    assert measure.cost(image.roll(1, 0), image, weight) > 0.02


def test_halved_cells_are_the_same_spline() -> None:
    rng = np.random.default_rng(0)
    image, counts = Geometry.of((13, 9), (1.0, 2.0)), (3, 2)
    coarse = torch.from_numpy(rng.normal(size=(2, 6, 5)))
    fine = subdivided(coarse, [True, False])
    points = torch.from_numpy(image.cube_to_world(rng.uniform(-1, 1, size=(20, 2))))
    forms = [
        FreeForm(vectors.flatten(1).T.contiguous(), control_lattice_of(image, cells))
        for vectors, cells in ((coarse, counts), (fine, (6, 2)))
    ]
    torch.testing.assert_close(forms[0].map_points(points), forms[1].map_points(points))
    read = [spline_weights(size, cells).double() for size, cells in zip(image.shape, counts, strict=True)]
    on_lattice = torch.einsum("ia,jb,dab->ijd", *read, coarse)
    moved = forms[0].map_points(lattice_points(image)) - lattice_points(image)
    torch.testing.assert_close(on_lattice, moved, atol=1e-6, rtol=0)
    differentiable = forms[0].map_points(points.clone().requires_grad_())
    torch.testing.assert_close(differentiable.detach(), forms[0].map_points(points))


def test_a_landmark_pulls_as_its_cost_falls() -> None:
    geometry = Geometry.of((8, 6), 2.0)
    fixed = np.array([[3.1, 4.7], [9.0, 2.0]])
    pull = Pull(Landmarks(fixed, fixed + 1.0, 2.0), geometry, Linear.identity(2))
    here = torch.zeros(2, 8, 6, requires_grad=True)
    (slope,) = torch.autograd.grad(pull.cost(here), here)
    torch.testing.assert_close(pull.model(here.detach())[0] / 48, slope)
    radius = np.sqrt((16.0**2 + 12**2) / 12)
    assert float(pull.cost(here.detach())) == pytest.approx(2.0 * 2 / (0.05 * radius) ** 2)
