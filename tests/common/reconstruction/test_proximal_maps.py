"""Proximal maps: numbers worked out by hand, laws, dense oracles, and libraries that solve the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StudyError
from common.reconstruction import wavelet_level
from common.reconstruction.closed_forms import cosine_solve
from common.reconstruction.differences import adjoint_differences, differences, largest_difference
from common.reconstruction.dual_projection import DualProjection
from common.reconstruction.powers import shrunk, threshold
from common.reconstruction.regulariser import Limits, Split
from common.reconstruction.regularisers.gradient import Gradient
from common.reconstruction.regularisers.identity import Identity
from common.reconstruction.regularisers.tv import TotalVariation
from common.reconstruction.regularisers.wavelet import Wavelets
from common.reconstruction.wavelets import Wavelet
from common.study.catalogue import REGULARISERS
from common.study.options import Entry

FINE = Limits(1e-12, 20000, 20000)
WEIGHT = torch.tensor([0.3], dtype=torch.float64)
REGULARISER_OF = {
    "none": {},
    "identity": {},
    "gradient": {"spacing": [1.0, 2.0]},
    "tv": {"spacing": [1.0, 2.0]},
    "wavelet": {"wavelet": "db2", "levels": 2},
}


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_every_regulariser_is_tried() -> None:
    assert set(REGULARISER_OF) == set(REGULARISERS.names())


def test_total_variation_of_a_step_in_one_dimension_by_hand() -> None:
    """Four pixels of 0 and four of 1: a weight of .4 moves each side by .4 / 4 towards the other."""
    step = torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64).reshape(1, 1, 8)
    found = TotalVariation().proximal(None, FINE)(step, torch.tensor([0.4]))
    torch.testing.assert_close(found, (step * 0.8 + 0.1), rtol=0, atol=1e-7)
    assert float(TotalVariation().value(step)) == 1.0


def test_a_step_of_less_than_the_weight_allows_becomes_flat() -> None:
    step = torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64).reshape(1, 1, 8)
    found = TotalVariation().proximal(None, FINE)(step, torch.tensor([2.0]))
    torch.testing.assert_close(found, torch.full_like(step, 0.5), rtol=0, atol=1e-6)


def test_one_bright_pixel_has_the_variation_of_its_edges() -> None:
    """Isotropic: 1 to its left, 1 above, and sqrt(2) at itself; anisotropic: four edges."""
    image = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    image[0, 0, 2, 2] = 1
    assert float(TotalVariation().value(image)) == pytest.approx(2 + math.sqrt(2))
    assert float(TotalVariation(anisotropic=True).value(image)) == 4
    assert float(TotalVariation(anisotropic=True, spacing=(1.0, 2.0)).value(image)) == 3
    assert float(TotalVariation().value(image[:, :, None])) == pytest.approx(2 + math.sqrt(2))
    both = torch.cat([image, image], dim=1)
    assert float(TotalVariation().value(both)) == pytest.approx(math.sqrt(2) * (2 + math.sqrt(2)))
    assert float(TotalVariation(joint=False).value(both)) == pytest.approx(2 * (2 + math.sqrt(2)))


def test_half_of_a_coefficient_is_left_by_hand() -> None:
    """|x - 4|^2 / 2 + w sqrt(x) has x = 1 where -3 + w / 2 = 0, and x = 3.61 where w = .39 * 2 * 1.9."""
    assert float(shrunk(torch.tensor([4.0]), torch.tensor([0.39 * 2 * 1.9]), 0.5)) == pytest.approx(3.61, abs=1e-6)
    assert shrunk(torch.tensor([-0.0, 0.2, 1.0]), torch.tensor([0.3]), 1.0).tolist() == pytest.approx([0, 0, 0.7])
    assert float(shrunk(torch.tensor([3.0]), torch.tensor([1.0]), 2.0)) == 1
    assert float(threshold(torch.tensor([1.0]), 0.5)) == pytest.approx(1.5)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 5.0), st.floats(0.01, 3.0), st.sampled_from([0.5, 2 / 3, 1.0, 1.5, 2.0, 0.3]))
def test_a_power_is_lessened_to_the_least_of_a_fine_search(size: float, weight: float, power: float) -> None:
    grid = np.linspace(0, max(size, 1e-9), 20001)
    costs = (grid - size) ** 2 / 2 + weight * grid**power
    found = float(shrunk(torch.tensor([size], dtype=torch.float64), torch.tensor([weight]).double(), power))
    assert (found - size) ** 2 / 2 + weight * found**power <= costs.min() + 1e-6 * (1 + abs(costs.min()))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(1, 7), (2, 4, 5), (1, 3, 4, 5), (1, 1, 1)])
def test_differences_and_their_adjoint_belong_together(shape: tuple[int, ...], periodic: bool) -> None:
    images, scaled = numbers(2, *shape), (1.0, 0.5, 2.0)[: len(shape) - 1]
    slopes = differences(images, scaled, periodic)
    fields = numbers(*slopes.shape, seed=1)
    torch.testing.assert_close(
        (slopes * fields).sum(), (images * adjoint_differences(fields, scaled, periodic)).sum()
    )
    assert slopes.flatten(1).norm(dim=1).max() <= largest_difference(scaled) * images.flatten(1).norm(dim=1).max()


@pytest.mark.parametrize("name", REGULARISER_OF)
def test_maps_are_firmly_non_expansive_and_attain_the_least(name: str) -> None:
    """|P a - P b|^2 <= <P a - P b, a - b>; and no image near P a is better."""
    regulariser = REGULARISERS.build(Entry(name, REGULARISER_OF[name]))
    one, other = numbers(1, 2, 8, 6), numbers(1, 2, 8, 6, seed=1)
    a, b = (regulariser.proximal(None, FINE)(image, WEIGHT) for image in (one, other))
    assert float((a - b).square().sum()) <= float(((a - b) * (one - other)).sum()) + 1e-9

    def cost(image: torch.Tensor) -> float:
        return float((image - one).square().sum() / 2 + WEIGHT * regulariser.value(image))

    assert all(cost(a) <= cost(a + size * numbers(1, 2, 8, 6, seed=2)) + 1e-9 for size in (1e-3, 1e-2, -1e-2, 0.1))


@pytest.mark.parametrize(
    "prior", [TotalVariation(), TotalVariation(anisotropic=True, periodic=True), Wavelets(levels=1)]
)
def test_moreaus_identity_holds_between_a_map_and_its_shrinkage(prior: Split) -> None:
    """v = shrink(v) + projection of v onto the dual's ball: what is taken away is no longer than the weight."""
    found = prior.analysis(numbers(1, 1, 8, 8))
    taken = found - prior.shrink(found, WEIGHT)
    size = taken.abs() if not isinstance(prior, TotalVariation) or prior.anisotropic else taken.norm(dim=2)
    assert float(size.max()) <= float(WEIGHT) + 1e-12
    torch.testing.assert_close(prior.shrink(found * 0, WEIGHT), found * 0)


def dense_total_variation(image: torch.Tensor, weight: float, prior: TotalVariation) -> torch.Tensor:
    """By a general method for any g(K x), many times."""
    return DualProjection(prior, None, Limits(1e-13, 30000, 30000))(image, torch.tensor([weight]))


@pytest.mark.parametrize(
    ("prior", "shape"),
    [
        (TotalVariation(), (1, 1, 9, 7)),
        (TotalVariation(anisotropic=True), (2, 1, 6, 6)),
        (TotalVariation(anisotropic=True, joint=False, periodic=True), (1, 2, 6, 5)),
        (TotalVariation(joint=False), (1, 2, 6, 5)),
        (TotalVariation(periodic=True, spacing=(1.0, 0.5, 2.0)), (1, 2, 4, 5, 4)),
    ],
)
def test_fast_gradient_projection_equals_the_general_map(prior: TotalVariation, shape: tuple[int, ...]) -> None:
    image = numbers(*shape)
    found = prior.proximal(None, FINE)(image, WEIGHT.expand(len(image)))
    torch.testing.assert_close(found, dense_total_variation(image, 0.3, prior), rtol=0, atol=2e-5)


def test_bounds_are_part_of_a_map_and_not_a_cut_afterwards() -> None:
    image, prior, bounds = numbers(1, 1, 8, 8), TotalVariation(), (0.0, math.inf)
    within = prior.proximal(bounds, FINE)(image, WEIGHT)
    general = DualProjection(prior, bounds, Limits(1e-13, 30000, 30000))(image, WEIGHT)
    torch.testing.assert_close(within, general, rtol=0, atol=2e-5)
    cut = prior.proximal(None, FINE)(image, WEIGHT).clamp_min(0)

    def cost(x: torch.Tensor) -> float:
        return float((x - image).square().sum() / 2 + 0.3 * prior.value(x))

    assert float(within.min()) >= 0 and cost(within) < cost(cut) - 1e-3
    wavelet = Wavelets(wavelet="haar", levels=2).proximal(bounds, FINE)(image, WEIGHT)
    assert float(wavelet.min()) >= 0
    with pytest.raises(StudyError, match="no proximal map within bounds"):
        Wavelets(power=0.5).proximal(bounds, FINE)


def test_a_case_of_a_batch_has_its_own_weight_and_none_leaves_it_as_it_is() -> None:
    images = numbers(3, 1, 6, 6)
    weights = torch.tensor([0.3, 0.0, 0.05])
    together = TotalVariation().proximal(None, FINE)(images, weights)
    for case in range(3):
        alone = TotalVariation().proximal(None, FINE)(images[case : case + 1], weights[case : case + 1])
        torch.testing.assert_close(together[case : case + 1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together[1], images[1], rtol=0, atol=0)


def test_a_later_call_begins_where_the_last_one_ended() -> None:
    image, made = numbers(1, 1, 24, 24, dtype=torch.float32), TotalVariation().map(2, None, Limits(1e-4))
    made(image, WEIGHT)
    first = made.used
    made(image + 1e-4, WEIGHT)
    assert made.used < first / 2


@pytest.mark.parametrize("name", ["haar", "db2", "db4", "sym4", "coif1"])
@pytest.mark.parametrize("shape", [(16, 24), (7, 9), (31,), (5, 6, 8), (1, 4)])
def test_a_wavelet_transform_is_orthogonal_at_every_size(name: str, shape: tuple[int, ...]) -> None:
    made, image = Wavelet(name, 3), numbers(2, 1, *shape)
    found = made.forward(image)
    torch.testing.assert_close(found.norm(), image.norm(), rtol=1e-10, atol=0)
    torch.testing.assert_close(made.inverse(found), image, rtol=0, atol=1e-10)


def test_coefficients_are_pywavelets() -> None:
    pywt = pytest.importorskip("pywt")
    image = numbers(1, 1, 32, 64)
    for name, levels in (("haar", 3), ("db4", 2), ("sym4", 2)):
        theirs = pywt.wavedec2(image.numpy(), name, "periodization", levels, axes=(2, 3))
        array = pywt.coeffs_to_array(theirs, axes=(2, 3))[0]
        np.testing.assert_allclose(Wavelet(name, levels).forward(image).numpy(), array, atol=1e-12)


@pytest.mark.parametrize("name", ["haar", "db4", "sym8"])
@pytest.mark.parametrize("size", [64, 97, 112, 134, 224])
@pytest.mark.parametrize("axis", [2, 3])
def test_a_long_axis_by_windows_is_its_product_with_the_whole_matrix(name: str, size: int, axis: int) -> None:
    image = numbers(2, 2, 3, size).transpose(axis, 3)
    matrix = wavelet_level.whole_matrix(name, size, torch.float64)
    product = torch.tensordot(matrix, image, dims=([1], [axis])).movedim(0, axis)
    found = wavelet_level.averages_and_details(image, axis, name)
    torch.testing.assert_close(found, product, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        wavelet_level.from_averages_and_details(found, axis, name),
        image,
        rtol=0,
        atol=1e-9 if name == "sym8" else 1e-12,
    )


def test_haar_of_four_numbers_by_hand() -> None:
    found = Wavelet("haar", 2).forward(torch.tensor([[[4.0, 2.0, 1.0, 1.0]]]))
    assert found.flatten().tolist() == pytest.approx([4.0, 2.0, math.sqrt(2), 0.0])
    left = Wavelets("haar", 2).proximal(None, FINE)(torch.tensor([[[4.0, 2.0, 1.0, 1.0]]]), torch.tensor([2.0]))
    assert left.flatten().tolist() == pytest.approx([2.0, 2.0, 2.0, 2.0])


def test_a_wavelet_that_is_not_orthogonal_is_refused_by_name() -> None:
    for name in ("bior2.2", "dmey"):
        with pytest.raises(StudyError, match="not orthogonal"):
            Wavelet(name, 1).forward(numbers(1, 1, 32, 32))
    with pytest.raises(StudyError, match="did you mean 'haar'"):
        Wavelets(wavelet="harr").value(numbers(1, 1, 32, 32))


def test_a_whole_image_is_shrunk_by_the_identity() -> None:
    image = numbers(1, 1, 3, 3)
    torch.testing.assert_close(Identity().proximal(None, FINE)(image, WEIGHT), image / 1.3)
    assert float(Identity().value(image)) == pytest.approx(float(image.square().sum() / 2))


def test_cosines_solve_what_the_gradients_map_solves() -> None:
    image, prior = numbers(2, 2, 6, 5), Gradient(spacing=(1.0, 2.0))
    found = cosine_solve(image, WEIGHT, (1.0, 2.0))
    torch.testing.assert_close(found + 0.3 * prior.hessian(found), image, rtol=0, atol=1e-10)
    mapped = prior.proximal(None, Limits(1e-13, 20000, 20000))(image, WEIGHT.expand(2))
    torch.testing.assert_close(mapped, found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), [("tv", {"spacing": [0.0, 1.0]}), ("wavelet", {"power": 3.0})])
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(StudyError):
        REGULARISERS.build(Entry(name, options))
    with pytest.raises(StudyError, match="one number for each"):
        TotalVariation(spacing=(1.0,)).value(numbers(1, 1, 4, 4))


def test_total_variation_is_scikit_images() -> None:
    restoration = pytest.importorskip("skimage.restoration")
    image = numbers(1, 1, 16, 16)
    theirs = restoration.denoise_tv_chambolle(image[0, 0].numpy(), weight=0.3, eps=0, max_num_iter=3000)
    ours = TotalVariation().proximal(None, FINE)(image, WEIGHT)
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=2e-3)
    assert float(TotalVariation().value(ours)) == pytest.approx(
        float(TotalVariation().value(torch.from_numpy(theirs)[None, None])), rel=1e-3
    )
