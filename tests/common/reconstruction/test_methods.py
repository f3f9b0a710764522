"""Methods of classical reconstruction: dense solves, their agreement on five problems, and what they refuse."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.denoiser import FARTHEST, Denoiser
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.problem import Solved
from common.reconstruction.regulariser import Limits
from common.reconstruction.regularisers.tv import TotalVariation
from common.reconstruction.solve import reconstruct
from common.study.catalogue import METHODS, OPERATORS, REGULARISERS
from common.study.options import Entry

CASES, SIDE = 2, 16
PROBLEMS: Mapping[str, tuple[str, dict[str, object], float]] = {
    "denoising": ("denoising", {}, 0.1),
    "inpainting": ("inpainting", {"hidden": 0.4}, 0.02),
    "deblurring": ("blur", {"sd_pixels": 1.0}, 0.01),
    "mri": ("cartesian_mri", {"acceleration": 2.0}, 0.02),
    "ct": ("ct", {"views": 8}, 0.3),
    "superresolution": ("downsampling", {"factor": 2}, 0.005),
}
TIKHONOV = [Entry("identity"), Entry("gradient"), Entry("gradient", {"periodic": True, "spacing": [1.0, 2.0]})]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def posed(name: str, cases: int = CASES, side: int = SIDE) -> tuple[LinearMap, Tensor, Tensor, float]:
    """Map, truth, data and weight: a bright block on a slope."""
    operator, options, weight = PROBLEMS[name]
    entry: Operator = OPERATORS.build(Entry(operator, options))
    image = torch.linspace(0, 0.3, side, dtype=torch.float64).expand(side, side).clone()
    image[4:10, 5:12] += 0.7
    phase = torch.linspace(-1, 1, side, dtype=torch.float64)[:, None]
    truth = torch.stack([image * phase.cos(), image * phase.sin()]) if entry.complex_images else image[None]
    truth = truth.expand(cases, *truth.shape) * torch.arange(1, cases + 1).reshape(-1, 1, 1, 1)
    drawn = [entry.draw(np.random.default_rng(case), tuple(truth.shape[1:])) for case in range(cases)]
    stacked = {key: torch.from_numpy(np.stack([one[key] for one in drawn])) for key in drawn[0]}
    linear = entry.map(tuple(truth.shape[1:]), stacked)
    clean = linear.forward(truth)
    return linear, truth, clean + 0.05 * numbers(*clean.shape) * (clean != 0), weight


def dense(linear: LinearMap, case: int) -> Tensor:
    """A of a case, column by column."""
    size = math.prod(linear.image_shape)
    columns = []
    for pixel in range(size):
        unit = torch.zeros(CASES, size, dtype=torch.float64)
        unit[case, pixel] = 1
        columns.append(linear.forward(unit.reshape(CASES, *linear.image_shape))[case].flatten())
    return torch.stack(columns, dim=1)


def test_every_method_of_the_objective_is_tried() -> None:
    """Methods that put a network or a denoiser in the place of R have tests of their own."""
    ours = {"closed_form", "conjugate_gradient", "fista", "proximal_gradient", "admm", "chambolle_pock"}
    assert set(METHODS.names()) - ours == {
        name for name in METHODS.names() if "denoiser" in name or name == "plug_and_play"
    }


@pytest.mark.parametrize("name", ["inpainting", "deblurring", "mri"])
@pytest.mark.parametrize("prior", TIKHONOV, ids=lambda entry: f"{entry.name}{len(entry.options)}")
def test_tikhonov_equals_a_dense_solve(name: str, prior: Entry) -> None:
    linear, _, data, _ = posed(name)
    regulariser = REGULARISERS.build(prior)
    found = reconstruct(linear, data, method="conjugate_gradient", prior=prior, weight=0.3, tolerance=1e-13)
    exact: list[Solved] = []
    if prior.name == "identity" or (prior.options and name != "inpainting"):
        exact = [reconstruct(linear, data, method="closed_form", prior=prior, weight=0.3)]
    size = math.prod(linear.image_shape)
    units = torch.eye(size, dtype=torch.float64).reshape(size, *linear.image_shape)
    rough = regulariser.hessian(units).flatten(1)
    matrix = dense(linear, 1)
    expected = torch.linalg.solve(matrix.T @ matrix + 0.3 * rough, matrix.T @ data[1].flatten())
    for one in (found, *exact):
        torch.testing.assert_close(one.images[1].flatten(), expected, rtol=0, atol=1e-10)
    assert found.stopped == "residual" and [one.stopped for one in exact] == ["exact"] * len(exact)


def test_least_squares_end_at_the_image_of_least_norm() -> None:
    linear, _, data, _ = posed("inpainting")
    found = reconstruct(linear, data, method="conjugate_gradient", prior="none", weight=0.0, tolerance=1e-13)
    torch.testing.assert_close(found.images, linear.adjoint(data), rtol=0, atol=1e-12)
    exact = reconstruct(linear, data, method="closed_form", prior="none", weight=0.0)
    torch.testing.assert_close(exact.images, found.images, rtol=0, atol=1e-12)


def test_denoising_with_reflected_differences_has_a_closed_form() -> None:
    linear, _, data, _ = posed("denoising")
    exact = reconstruct(linear, data, method="closed_form", prior="gradient", weight=0.5)
    found = reconstruct(linear, data, method="conjugate_gradient", prior="gradient", weight=0.5, tolerance=1e-13)
    torch.testing.assert_close(exact.images, found.images, rtol=0, atol=1e-11)


HAAR = Entry("wavelet", {"wavelet": "haar", "levels": 2})
LIMITS = {"fista": (1e-7, 800), "admm": (1e-6, 300), "chambolle_pock": (1e-6, 2500)}


@pytest.mark.parametrize(
    ("name", "prior"),
    [
        ("denoising", Entry("tv")),
        ("inpainting", HAAR),
        ("deblurring", Entry("tv")),
        ("mri", Entry("tv")),
        ("ct", Entry("tv", {"anisotropic": True})),
        ("superresolution", HAAR),
    ],
)
def test_methods_agree_in_the_objective(name: str, prior: Entry) -> None:
    linear, _, data, weight = posed(name, cases=1)
    found = {
        method: reconstruct(
            linear, data, method=method, prior=prior, weight=weight, tolerance=tolerance, iterations=many
        )
        for method, (tolerance, many) in LIMITS.items()
    }
    best = min(float(one.final_objective) for one in found.values())
    gaps = {method: (float(one.final_objective) - best) / best for method, one in found.items()}
    assert max(gaps.values()) < 1e-5, gaps


def test_proximal_gradient_comes_to_the_same_more_slowly() -> None:
    linear, _, data, _ = posed("deblurring", cases=1, side=12)
    slow, fast = (
        reconstruct(linear, data, method=method, prior="tv", weight=0.05, tolerance=1e-6, iterations=1500)
        for method in ("proximal_gradient", "fista")
    )
    torch.testing.assert_close(slow.final_objective, fast.final_objective, rtol=1e-5, atol=0)
    assert slow.iterations > fast.iterations
    falls = slow.objective[1:] - slow.objective[:-1]
    assert float(falls.max()) < 1e-5 * float(slow.final_objective.min())


@pytest.mark.parametrize("method", ["fista", "admm", "chambolle_pock"])
def test_quadratic_problems_end_at_their_closed_form(method: str) -> None:
    linear, _, data, _ = posed("deblurring")
    for prior in TIKHONOV[::2]:
        exact = reconstruct(linear, data, method="closed_form", prior=prior, weight=0.1)
        found = reconstruct(linear, data, method=method, prior=prior, weight=0.1, tolerance=1e-8, iterations=1500)
        torch.testing.assert_close(found.images, exact.images, rtol=0, atol=1e-5)


def test_periodic_variation_is_solved_alike() -> None:
    """By ADMM in the Fourier plane, with K the differences."""
    linear, _, data, weight = posed("mri", cases=1)
    prior = Entry("tv", {"periodic": True, "anisotropic": True})
    found = [
        reconstruct(linear, data, method=method, prior=prior, tolerance=1e-6, weight=weight, iterations=2000)
        for method in ("fista", "admm")
    ]
    torch.testing.assert_close(found[1].final_objective, found[0].final_objective, rtol=1e-5, atol=0)


@pytest.mark.parametrize("method", ["admm", "chambolle_pock"])
def test_bounds_are_solved_alike(method: str) -> None:
    linear, _, data, weight = posed("deblurring", cases=1, side=12)
    options = {"weight": weight, "prior": "tv", "bounds": (0.0, 0.5), "iterations": 800, "tolerance": 1e-5}
    expected = reconstruct(linear, data - 0.3, method="fista", **options)
    found = reconstruct(linear, data - 0.3, method=method, **options)
    assert float(found.images.min()) >= 0 and float(found.images.max()) <= 0.5
    torch.testing.assert_close(found.final_objective, expected.final_objective, rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", ["fista", "admm", "chambolle_pock", "conjugate_gradient"])
def test_a_case_is_solved_alike_whoever_is_beside_it(method: str) -> None:
    """Its weight, its mask, and when it ends are its own; to the tolerance, as inner maps end together."""
    linear, truth, data, _ = posed("inpainting")
    entry = OPERATORS.build(Entry("inpainting", {"hidden": 0.4}))
    weights = torch.tensor([0.02, 0.2])
    prior = "identity" if method == "conjugate_gradient" else "tv"
    together = reconstruct(linear, data, method=method, prior=prior, weight=weights, tolerance=1e-4)
    for case in range(CASES):
        alone_map = entry.map(tuple(truth.shape[1:]), {"mask": linear.mask[case : case + 1]})
        alone = reconstruct(
            alone_map,
            data[case : case + 1],
            method=method,
            prior=prior,
            weight=weights[case : case + 1],
            tolerance=1e-4,
        )
        torch.testing.assert_close(together.final_objective[case], alone.final_objective[0], rtol=1e-4, atol=0)
        torch.testing.assert_close(together.images[case], alone.images[0], rtol=0, atol=0.02)


def test_the_answer_says_its_way_and_why_it_stopped() -> None:
    linear, truth, data, weight = posed("denoising")
    found = reconstruct(linear, data, weight=weight)
    assert found.images.shape == truth.shape and found.objective.shape == (found.iterations + 1, CASES)
    assert found.stopped == "relative change" and found.objective.dtype == torch.float64
    short = reconstruct(*posed("mri")[::2], weight=0.02, iterations=3)
    assert short.iterations == 3 and short.stopped == "iterations"
    torch.testing.assert_close(found.final_objective, found.objective[-1])


def test_single_precision_stays_single() -> None:
    linear, _, data, weight = posed("mri", cases=1)
    for method in ("fista", "chambolle_pock"):
        found = reconstruct(linear, data.float(), method=method, weight=weight)
        assert found.images.dtype == torch.float32
        exact = reconstruct(linear, data, method=method, weight=weight)
        torch.testing.assert_close(found.final_objective, exact.final_objective, rtol=1e-4, atol=0)


def test_a_volume_is_reconstructed_as_an_image_is() -> None:
    entry = OPERATORS.build(Entry("inpainting", {"hidden": 0.3}))
    shape = (1, 6, 8, 8)
    mask = torch.from_numpy(entry.draw(np.random.default_rng(0), shape)["mask"])[None]
    linear, truth = entry.map(shape, {"mask": mask}), torch.ones(1, *shape, dtype=torch.float64)
    for prior in (Entry("tv", {"spacing": [3.0, 1.0, 1.0]}), Entry("gradient")):
        found = reconstruct(linear, linear.forward(truth), prior=prior, weight=0.01, iterations=500, tolerance=1e-6)
        torch.testing.assert_close(found.images, truth, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "fistra"}, "did you mean 'fista'"),
        ({"prior": "tvv"}, "did you mean 'tv'"),
        ({"prior": Entry("tv", {"izotropic": True})}, "anisotropic"),
        ({"method": "closed_form"}, "solves quadratic problems"),
        ({"method": "conjugate_gradient", "prior": "identity", "bounds": (0.0, 1.0)}, "knows no bounds"),
        ({"method": "closed_form", "prior": "gradient"}, "no closed form"),
        ({"bounds": (1.0, 0.0)}, "must rise"),
        ({"weight": -1.0}, "zero or more"),
        ({"weight": math.nan}, "zero or more"),
        ({"weight": torch.ones(5)}, "one for each of 2 cases"),
        ({"tolerance": 0.0}, "above zero"),
        ({"iterations": 0}, "above zero"),
    ],
)
def test_what_cannot_be_is_refused_in_words(options: dict[str, object], said: str) -> None:
    linear, _, data, _ = posed("inpainting")
    with pytest.raises(StudyError, match=said):
        reconstruct(linear, data, **options)


def test_data_that_do_not_fit_are_refused() -> None:
    linear, _, data, _ = posed("inpainting")
    with pytest.raises(StudyError, match="of the shape"):
        reconstruct(linear, data[:, :, :5])
    with pytest.raises(StudyError, match="finite real numbers"):
        reconstruct(linear, data * math.nan)
    with pytest.raises(StudyError, match="finite real numbers"):
        reconstruct(linear, data.to(torch.complex64))


class Wrong:
    """A map whose adjoint has the wrong sign: a planted fault."""

    def __init__(self, linear: LinearMap) -> None:
        self.image_shape, self.measured_shape = linear.image_shape, linear.measured_shape
        self.forward, self.norm = linear.forward, linear.norm
        self.adjoint = lambda measured: -3 * linear.adjoint(measured)


def test_a_map_whose_adjoint_is_wrong_diverges_and_is_named() -> None:
    linear, _, data, _ = posed("inpainting")
    with pytest.raises(StudyError, match="diverged"):
        reconstruct(Wrong(linear), data.float(), weight=0.01, iterations=2000)


def smooth(images: Tensor, noise: Tensor) -> Tensor:
    """Total variation as a denoiser."""
    return TotalVariation().proximal(None, Limits(1e-6))(images, noise)


def test_plug_and_play_ends_and_is_as_good_as_what_is_plugged_in() -> None:
    linear, truth, data, _ = posed("inpainting", cases=1)
    method = Entry("plug_and_play", {"iterations": 150})
    found = reconstruct(linear, data, method=method, prior=Denoiser(smooth), weight=0.05**2)
    assert found.stopped == "fixed point"
    variation = reconstruct(linear, data, prior="tv", weight=0.05, tolerance=1e-4).images
    plain, plugged = (float((one - truth).square().mean()) for one in (variation, found.images))
    assert plugged < 1.1 * plain < float((data - truth).square().mean()) / 5


def test_plug_and_play_ends_whatever_the_denoiser_does() -> None:
    """One that doubles what it is given would make any other iteration grow without end."""
    linear, _, data, _ = posed("inpainting")
    method = Entry("plug_and_play", {"iterations": 2000, "growth": 1.5})
    found = reconstruct(linear, data, method=method, prior=Denoiser(lambda images, noise: 2 * images), weight=0.01)
    assert found.stopped == "fixed point" and bool(torch.isfinite(found.images).all())
    moved = Denoiser(lambda images, noise: 1e6 + images).held(data, torch.tensor([0.1, 0.1])) - data
    torch.testing.assert_close(moved, torch.full_like(moved, FARTHEST * 0.1))
