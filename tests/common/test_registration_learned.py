"""Fields of displacement, the losses of learned registration, and the networks that answer pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.score_names import statistic_names
from common.learning.tasks.registration import Registration
from common.registration.learned.networks import Coarser, DeformableNetwork
from common.registration.learned.similarity import label_loss, local_correlation_loss, mean_squared_difference
from common.registration.learned.spatial_transformer import (
    compose,
    integrate,
    jacobian_determinant,
    on_lattice,
    shrunk,
    squared_gradient,
    warp,
)
from common.study.catalogue import NETWORKS
from common.study.options import Entry


def smooth_field(seed: int, sizes: tuple[int, ...], deviation: float) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    field = np.stack([gaussian_filter(rng.normal(size=sizes), 6) for _ in sizes])
    return torch.from_numpy(deviation * field / field.std())[None]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(9, 12), (6, 7, 8)]))
def test_a_warp_is_scipys_interpolation_at_displaced_voxels(seed: int, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    image, field = rng.normal(size=sizes), rng.uniform(-3, 3, (len(sizes), *sizes))
    ours = warp(torch.from_numpy(image)[None, None], torch.from_numpy(field)[None])[0, 0].numpy()
    points = np.indices(sizes) + field
    np.testing.assert_allclose(ours, map_coordinates(image, points, order=1, mode="nearest"), atol=1e-9)


def test_a_field_and_the_field_of_its_negative_velocity_undo_each_other() -> None:
    velocity = smooth_field(1, (40, 44), 1.5)
    there_and_back = compose(integrate(velocity), integrate(-velocity))[..., 8:-8, 8:-8]
    assert integrate(velocity).abs().max() > 2
    assert there_and_back.abs().max() < 0.05


def test_a_constant_velocity_moves_everything_by_itself() -> None:
    velocity = torch.zeros(1, 2, 8, 9)
    velocity[:, 0], velocity[:, 1] = 1.25, -0.5
    torch.testing.assert_close(integrate(velocity), velocity)


def test_determinants_of_a_linear_field_are_its_own_everywhere() -> None:
    matrix = torch.tensor([[0.2, 0.1, 0.0], [0.0, -0.5, 0.3], [0.1, 0.0, -1.4]], dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*[torch.arange(5.0, dtype=torch.float64)] * 3, indexing="ij"))
    field = torch.einsum("de,e...->d...", matrix, points)[None]
    expected = torch.linalg.det(matrix + torch.eye(3))
    assert expected < 0
    torch.testing.assert_close(jacobian_determinant(field), expected.expand(1, 4, 4, 4))


def test_the_squared_gradient_of_a_slope_was_worked_out_by_hand() -> None:
    field = torch.zeros(1, 2, 3, 4)
    field[0, 0] = 2 * torch.arange(4.0)
    assert squared_gradient(field).item() == pytest.approx((0 + 4 / 2) / 2)


def test_an_enlarged_field_moves_the_same_share_of_the_image() -> None:
    field = torch.ones(1, 2, 4, 5)
    finer = on_lattice(field, (8, 15))
    assert (finer[:, 0] == 2).all() and torch.allclose(finer[:, 1], torch.tensor(3.0))
    torch.testing.assert_close(on_lattice(finer, (4, 5)), field)


def test_shrunk_images_are_means_over_cubes() -> None:
    image = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert shrunk(image, 1) is image
    assert shrunk(image, 2)[0, 0].tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]


def test_a_coarser_network_moves_as_the_one_inside_does_on_images_half_as_large() -> None:
    options = Entry("voxelmorph", {"channels": 4, "depth": 2, "shrink": 2})
    network = NETWORKS.build(options).build(Shape((2, 16, 24), 2))
    assert isinstance(network, Coarser)
    assert isinstance(network.network, DeformableNetwork) and network.network.field.bias is not None
    torch.nn.init.constant_(network.network.field.bias, 0.5)
    field = network(torch.randn(1, 2, 16, 24))
    assert field.shape == (1, 2, 16, 24)
    torch.testing.assert_close(field, torch.full_like(field, 2.0), atol=1e-2, rtol=0)


def test_the_loss_of_shrunk_images_is_that_of_a_coarser_pair_and_a_shorter_displacement() -> None:
    pair = gaussian_pair()
    batch = Batch.of(pair, torch.zeros(pair.shape, dtype=torch.int64), ("a",))
    coarse = shrunk(pair, 2)
    expected = mean_squared_difference(warp(coarse[:, :1], Still()(coarse) / 2), coarse[:, 1:])
    losses = [Registration(similarity="difference", shrink=shrink).loss(Still(), batch) for shrink in (2, 1)]
    torch.testing.assert_close(losses[0], expected)
    assert not torch.allclose(losses[1], expected)


def test_local_correlation_is_that_of_a_slow_oracle() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 10, 11))
    shares = uniform_filter(np.ones_like(a), 5, mode="constant")
    means = [uniform_filter(x, 5, mode="constant") / shares for x in (a, b, a * b, a * a, b * b)]
    squared = (means[2] - means[0] * means[1]) ** 2
    expected = 1 - (squared / ((means[3] - means[0] ** 2) * (means[4] - means[1] ** 2) + 1e-6)).mean()
    ours = local_correlation_loss(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None], 5)
    assert ours.item() == pytest.approx(expected, abs=1e-12)


def test_local_correlation_does_not_see_brightness_or_contrast() -> None:
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 12, 12)))
    assert local_correlation_loss(image, 5 - 3 * image, 5).item() < 1e-4
    assert mean_squared_difference(image, image + 2).item() == pytest.approx(4)


@pytest.mark.parametrize("name", ["voxelmorph", "affine_pair"])
@pytest.mark.parametrize("sizes", [(20, 18), (12, 14, 10)])
def test_a_fresh_network_leaves_the_moving_image_where_it_is(name: str, sizes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = NETWORKS.build(Entry(name)).build(Shape((2, *sizes), 2))
    field = network(torch.randn(2, 2, *sizes))
    assert field.shape == (2, len(sizes), *sizes)
    assert field.abs().max() < 0.01


def test_the_affine_network_moves_every_point_by_one_affine_map() -> None:
    torch.manual_seed(0)
    network = NETWORKS.build(Entry("affine_pair")).build(Shape((2, 9, 8, 7), 2))
    torch.nn.init.normal_(network.numbers[-1].weight, std=0.5)
    with torch.no_grad():
        field = network(torch.randn(1, 2, 9, 8, 7))[0].numpy().reshape(3, -1)
    points = np.concatenate([np.indices((9, 8, 7)).reshape(3, -1), np.ones((1, 504))])
    map_, *_ = np.linalg.lstsq(points.T, field.T, rcond=None)
    assert np.abs(field).max() > 0.1
    np.testing.assert_allclose(points.T @ map_, field.T, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 16), (2, 4, 4), (3, 16, 16)])
def test_what_is_no_pair_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StudyError):
        NETWORKS.build(Entry("voxelmorph")).build(Shape(shape, 2))


def test_an_affine_stage_and_a_deformable_one_move_as_one_after_the_other() -> None:
    torch.manual_seed(0)
    network = NETWORKS.build(Entry("voxelmorph", {"affine": True, "channels": 4})).build(Shape((2, 24, 20), 2))
    for layer in (network.affine.numbers[-1], network.deformable.field):
        torch.nn.init.normal_(layer.weight, std=0.05)
    pair = gaussian_pair()
    with torch.no_grad():
        linear, both = network.affine(pair), network(pair)
        aligned = warp(pair[:, :1], linear)
        rest = network.deformable(torch.cat([aligned, pair[:, 1:]], 1))
    assert linear.abs().max() > 0.1 and rest.abs().max() > 0.1
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(warp(pair[:, :1], both)[inside], warp(aligned, rest)[inside], atol=0.05, rtol=0)


def gaussian_pair() -> torch.Tensor:
    rng = np.random.default_rng(3)
    pair = np.stack([gaussian_filter(rng.normal(size=(24, 20)), 3) for _ in range(2)])
    return torch.from_numpy((pair / pair.std()).astype(np.float32))[None]


def test_the_loss_of_labels_was_worked_out_by_hand() -> None:
    labels = torch.zeros(2, 2, 4, 4, dtype=torch.int64)
    labels[0, 0, :2, :2], labels[0, 1, :2, :1], labels[0, 1, 3, 3] = 1, 1, 2
    losses = label_loss(labels, torch.zeros(2, 2, 4, 4))
    assert losses.tolist() == pytest.approx([1 - (2 * 2 / 6 + 0) / 2, 0])


def test_shuffled_pairs_keep_images_with_their_labels_and_moving_ones_where_they_were() -> None:
    values = torch.arange(12.0).reshape(6, 2, 1, 1).expand(6, 2, 3, 3)
    batch = Batch.of(values, values.long(), tuple("abcdef"), displacement=torch.zeros(6, 2, 3, 3))
    mixed = Registration(shuffle_pairs=True).augment(batch, np.random.default_rng(0))
    assert torch.equal(mixed.inputs.long(), mixed.targets)
    assert torch.equal(mixed.inputs[:, 0], batch.inputs[:, 0])
    assert not torch.equal(mixed.inputs[:, 1], batch.inputs[:, 1])
    assert sorted(mixed.inputs[:, 1, 0, 0].tolist()) == [1, 3, 5, 7, 9, 11]
    assert mixed.displacement is None
    assert Registration().augment(batch, np.random.default_rng(0)) is batch


class Still(torch.nn.Module):
    """Moves every voxel by the same."""

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        return torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(len(pair), 2, *pair.shape[2:])


@pytest.mark.parametrize(("spacing_mm", "unit"), [((2.0, 3.0), "mm"), ((), "voxels")])
def test_errors_against_a_known_displacement_were_worked_out_by_hand(
    spacing_mm: tuple[float, ...], unit: str
) -> None:
    labels = torch.zeros(1, 2, 4, 4, dtype=torch.int64)
    labels[:, 1, 1:3, 1:3] = 1
    truth = torch.zeros(1, 2, 4, 4)
    truth[:, 0], truth[:, 1] = 4.0, 4.0
    truth[0, :, 0, 0] = 100
    batch = Batch.of(labels.float(), labels, ("a",), spacing_mm=spacing_mm, displacement=truth)
    scores = Registration().score(Still(), batch)
    across, down = spacing_mm or (1.0, 1.0)
    assert scores[f"epe_{unit}"].value == pytest.approx(np.hypot(3 * across, 4 * down))
    assert scores[f"epe_before_{unit}"].value == pytest.approx(np.hypot(4 * across, 4 * down))


@pytest.mark.parametrize("spacing_mm", [(), (1.0, 2.0)])
@pytest.mark.parametrize("known", [True, False])
def test_every_score_of_a_pair_has_a_place_in_sums(spacing_mm: tuple[float, ...], known: bool) -> None:
    task, shape = Registration(network=Entry("affine_pair")), Shape((2, 8, 8), 2)
    pair = Batch.of(torch.rand(1, 2, 8, 8), torch.ones(1, 2, 8, 8).long(), ("p",), spacing_mm=spacing_mm)
    pair = pair.with_columns(displacement=torch.zeros(1, 2, 8, 8)) if known else pair
    assert set(task.score(task.build_network(shape), pair)) <= set(statistic_names(task, shape))
