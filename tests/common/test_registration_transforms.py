"""Transforms: they compose, they invert, and each does to a point what was worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.compose import compose
from common.registration.displacement import DisplacementField, VelocityField, sampled
from common.registration.free_form import FreeForm, bending_energy, control_lattice
from common.registration.linear import KINDS, Linear, LinearFamily, lie_basis
from common.registration.sampling import Sampler, lattice_points, resample
from common.registration.transform import Composition, NumericalInverse, Transform, jacobian_determinants

seeds = st.integers(0, 2**32 - 1)
LATTICE = {
    2: Geometry.of((9, 8), (2.0, 3.0), (-9.0, -11.0)),
    3: Geometry.of((7, 6, 5), (2.0, 3.0, 2.5), (-7, -8, -5)),
}


def _linear(rng: np.random.Generator, dimensions: int, kind: str = "affine") -> Linear:
    family = LinearFamily(kind, torch.zeros(dimensions, dtype=torch.float64), 50.0, Linear.identity(dimensions))
    return family.at(torch.from_numpy(rng.uniform(-15, 15, size=family.parameters.shape)))


def _field(rng: np.random.Generator, dimensions: int, size_mm: float = 0.4) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-size_mm, size_mm, size=(dimensions, *LATTICE[dimensions].shape)))


def _any(seed: int, dimensions: int) -> Transform:
    rng = np.random.default_rng(seed)
    control = control_lattice(LATTICE[dimensions], 6.0)
    vectors = torch.from_numpy(rng.uniform(-1, 1, size=(int(np.prod(control.shape)), dimensions)))
    choices: list[Transform] = [
        _linear(rng, dimensions),
        FreeForm(vectors, control),
        DisplacementField(_field(rng, dimensions), LATTICE[dimensions]),
        VelocityField(_field(rng, dimensions), LATTICE[dimensions]),
    ]
    return choices[seed % len(choices)]


def _points(seed: int, dimensions: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-8, 8, size=(20, dimensions)))


@given(seeds, seeds, st.sampled_from([2, 3]))
def test_composing_is_applying_one_after_the_other(one: int, two: int, dimensions: int) -> None:
    first, second, points = _any(one, dimensions), _any(two, dimensions), _points(one, dimensions)
    together = compose(first, second).map_points(points)
    torch.testing.assert_close(together, second.map_points(first.map_points(points)), atol=1e-9, rtol=0)


@given(seeds, seeds, seeds, st.sampled_from([2, 3]))
def test_composition_does_not_mind_brackets(one: int, two: int, three: int, dimensions: int) -> None:
    a, b, c = (_any(seed, dimensions) for seed in (one, two, three))
    left, right = compose(compose(a, b), c), compose(a, compose(b, c))
    points = _points(one, dimensions)
    torch.testing.assert_close(left.map_points(points), right.map_points(points), atol=1e-9, rtol=0)


@given(seeds, st.sampled_from([2, 3]), st.sampled_from(KINDS))
def test_a_linear_transform_inverts_exactly(seed: int, dimensions: int, kind: str) -> None:
    transform = _linear(np.random.default_rng(seed), dimensions, kind)
    points = _points(seed, dimensions)
    torch.testing.assert_close(transform.inverse().map_points(transform.map_points(points)), points)
    torch.testing.assert_close(transform.map_points(transform.inverse().map_points(points)), points)


@given(seeds, st.sampled_from([2, 3]))
def test_a_deformation_inverts_numerically(seed: int, dimensions: int) -> None:
    rng, points = np.random.default_rng(seed), _points(seed, dimensions)
    control = control_lattice(LATTICE[dimensions], 6.0)
    vectors = torch.from_numpy(rng.uniform(-1, 1, size=(int(np.prod(control.shape)), dimensions)))
    linear = _linear(rng, dimensions)
    for curved in (FreeForm(vectors, control), DisplacementField(_field(rng, dimensions, 0.2), LATTICE[dimensions])):
        transform = compose(linear, curved)
        back = transform.inverse().map_points(transform.map_points(points))
        torch.testing.assert_close(back, points, atol=5e-3, rtol=0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_smooth_flow_backwards_undoes_the_flow(dimensions: int) -> None:
    lattice = Geometry.of((24,) * dimensions, 1.0, -11.5)
    points = lattice_points(lattice)
    bump = torch.exp(-(points**2).sum(-1) / 80)
    flow = VelocityField(torch.stack([3.0 * bump, *[-2.0 * bump] * (dimensions - 1)]), lattice)
    there = flow.map_points(points)
    assert (there - points).norm(dim=-1).max() > 1.5
    assert (flow.inverse().map_points(there) - points).norm(dim=-1).max() < 0.1
    assert jacobian_determinants(flow, points.reshape(-1, dimensions)).min() > 0


def test_a_constant_velocity_moves_everything_by_itself() -> None:
    flow = VelocityField(torch.full((2, *LATTICE[2].shape), 5.0, dtype=torch.float64), LATTICE[2])
    torch.testing.assert_close(flow.map_points(torch.zeros(1, 2)), torch.full((1, 2), 5.0))


@given(seeds, st.sampled_from([2, 3]))
def test_a_rigid_transform_keeps_lengths_and_a_similarity_their_ratios(seed: int, dimensions: int) -> None:
    points = _points(seed, dimensions)
    before = torch.cdist(points, points)
    after = [torch.cdist(*[_linear(np.random.default_rng(seed), dimensions, kind).map_points(points)] * 2)
             for kind in ("rigid", "similarity")]  # fmt: skip
    torch.testing.assert_close(after[0], before, atol=1e-6, rtol=1e-9)
    ratios = (after[1] / before)[before > 1e-3]
    assert float(ratios.max() - ratios.min()) < 1e-6


@pytest.mark.parametrize(("kind", "flat", "solid"), [("rigid", 1, 3), ("similarity", 2, 4), ("affine", 4, 9)])
def test_each_family_has_its_degrees_of_freedom(kind: str, flat: int, solid: int) -> None:
    assert (len(lie_basis(kind, 2)), len(lie_basis(kind, 3))) == (flat, solid)


def test_a_family_turns_about_its_centre() -> None:
    centre = torch.tensor([4.0, 6.0], dtype=torch.float64)
    family = LinearFamily("rigid", centre, 10.0, Linear.identity(2))
    quarter = family.at(torch.tensor([10.0 * np.pi / 2, 1.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(quarter.map_points(centre), centre + torch.tensor([1.0, 0.0]))
    side = quarter.map_points(centre + torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(side, centre + torch.tensor([1.0, 1.0], dtype=torch.float64))


def test_a_linear_transform_about_a_centre_by_hand() -> None:
    doubled = Linear.of([[2, 0], [0, 2]], [1, 0], centre_mm=[10, 10])
    assert doubled.map_points(torch.tensor([11.0, 10.0])).tolist() == [13.0, 10.0]


def test_one_control_point_moves_its_own_place_by_two_thirds() -> None:
    """The cubic B-spline is 2/3 at its knot and 1/6 beside it."""
    control = Geometry.of((7, 7), 10.0)
    vectors = torch.zeros(49, 2, dtype=torch.float64)
    vectors[3 * 7 + 3] = torch.tensor([9.0, 0.0])
    moved = FreeForm(vectors, control).map_points(torch.tensor([[30.0, 30.0], [40.0, 30.0], [50.0, 30.0]]))
    assert moved[:, 0].tolist() == pytest.approx([30 + 9 * 4 / 9, 40 + 9 / 9, 50])


def test_equal_control_points_move_all_of_the_image_equally_and_do_not_bend() -> None:
    image = LATTICE[3]
    control = control_lattice(image, 5.0)
    vectors = torch.full((int(np.prod(control.shape)), 3), 2.5, dtype=torch.float64)
    corners = torch.from_numpy(image.cube_to_world([[-1, -1, -1], [1, 1, 1], [1, -1, 0.3]]))
    torch.testing.assert_close(FreeForm(vectors, control).map_points(corners), corners + 2.5)
    assert bending_energy(vectors.T.reshape(3, *control.shape)) == 0


def test_a_displacement_is_linear_between_voxels_and_constant_beyond() -> None:
    vectors = torch.zeros(2, 2, 2, dtype=torch.float64)
    vectors[0, 1] = 4.0
    field = DisplacementField(vectors, Geometry.of((2, 2), 2.0))
    moved = field.map_points(torch.tensor([[0.0, 0.0], [0.5, 1.0], [9.0, 0.0]], dtype=torch.float64))
    assert moved.tolist() == [[0.0, 0.0], [1.5, 1.0], [13.0, 0.0]]


def test_any_transform_becomes_a_field_that_agrees_at_voxels() -> None:
    transform = _any(5, 3)
    points = lattice_points(LATTICE[3])
    torch.testing.assert_close(sampled(transform, LATTICE[3]).map_points(points), transform.map_points(points))


def test_an_image_moved_by_one_voxel_by_hand() -> None:
    """The transform says where a value comes from: a shift by +2 mm shows what lay one voxel further."""
    geometry = Geometry.of((3, 2), 2.0)
    shift = Linear.of(np.eye(2), [2.0, 0.0])
    image = Image(np.array([[1, 2], [3, 4], [5, 6]]), geometry)
    assert resample(image, geometry, shift, outside=-1).values.tolist() == [[3, 4], [5, 6], [-1, -1]]
    half = Linear.of(np.eye(2), [1.0, 0.0])
    assert resample(image, geometry, half).values[:2] == pytest.approx(np.array([[2, 3], [4, 5]]))


def test_labels_too_large_for_floats_come_through_a_transform_unchanged() -> None:
    geometry = Geometry.of((2, 2, 2))
    labels = np.arange(8).reshape(2, 2, 2) + 2**40
    nudged = Linear.of(np.eye(3), [0.3, -0.4, 0.2])
    np.testing.assert_array_equal(resample(Image(labels, geometry), geometry, nudged, labels=True).values, labels)


@given(seeds)
def test_linear_sampling_equals_a_slow_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, points = rng.normal(size=(4, 3)), rng.uniform(0, [3, 2], size=(5, 2))
    read, inside = Sampler(torch.from_numpy(values)[None], Geometry.of((4, 3))).at(torch.from_numpy(points))
    assert inside.all()
    for got, (x, y) in zip(read[0].tolist(), points, strict=True):
        wanted = sum(
            max(0, 1 - abs(x - i)) * max(0, 1 - abs(y - j)) * values[i, j] for i in range(4) for j in range(3)
        )
        assert got == pytest.approx(wanted)


def test_jacobian_determinants_of_a_stretch_and_of_a_fold() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    stretch = Linear.of(np.diag([2.0, 1.5]), [0, 0])
    torch.testing.assert_close(jacobian_determinants(stretch, points), torch.full((2,), 3.0, dtype=torch.float64))
    mirror = Linear.of(np.diag([-1.0, 1.0]), [0, 0])
    assert (jacobian_determinants(mirror, points) < 0).all()


def test_what_cannot_be_is_refused() -> None:
    flat, solid = Linear.identity(2), Linear.identity(3)
    with pytest.raises(ImageError, match="do not compose"):
        compose(flat, solid)
    with pytest.raises(ImageError, match="no transform"):
        compose()
    with pytest.raises(ImageError, match="flattens"):
        Linear.of(np.diag([1.0, 0.0]), [0, 0]).inverse()
    with pytest.raises(ImageError, match="last row"):
        Linear(torch.ones(3, 3))
    with pytest.raises(ImageError, match="must be"):
        DisplacementField(torch.zeros(2, 3, 3), Geometry.of((3, 4)))
    with pytest.raises(ImageError, match="finite"):
        VelocityField(torch.full((2, 3, 3), torch.nan), Geometry.of((3, 3)))
    with pytest.raises(ImageError, match="does not go onto"):
        resample(Image(np.zeros((2, 2)), Geometry.of((2, 2))), Geometry.of((2, 2)), solid)


def test_an_inverse_that_is_not_found_is_an_error() -> None:
    flat = NumericalInverse(Linear.of(np.diag([0.0, 1.0]), [0.0, 0.0]))
    with pytest.raises(ImageError, match="no inverse"):
        flat.map_points(lattice_points(Geometry.of((8, 8))))
    assert isinstance(flat.inverse(), Linear)
    assert Composition(Linear.identity(2), flat).dimensions == 2


def test_an_inverse_is_found_where_a_displacement_is_steeper_than_a_fixed_point_can_bear() -> None:
    lattice = Geometry.of((8, 8))
    vectors = torch.zeros(2, 8, 8, dtype=torch.float64)
    vectors[0] = 3 * (torch.arange(8.0) - 3.5)[:, None]
    points = lattice_points(lattice).requires_grad_()
    back = DisplacementField(vectors, lattice).inverse().map_points(points)
    wanted = 3.5 + (points[..., 0] - 3.5) / 4
    torch.testing.assert_close(back[..., 0], wanted, atol=1e-3, rtol=0)
    (slope,) = torch.autograd.grad(back[3:5, :, 0].sum(), points)
    torch.testing.assert_close(slope[3:5, :, 0], torch.full((2, 8), 0.25, dtype=torch.float64), atol=1e-6, rtol=0)
