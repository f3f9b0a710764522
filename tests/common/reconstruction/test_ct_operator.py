"""CT: numbers of ASTRA 2.5.0, orientation of scikit-image's radon, and what is refused."""

import numpy as np
import pytest
import torch

from common.errors import StudyError
from common.reconstruction.operators.ct import Ct, Projection

IMAGE = torch.arange(1.0, 31, dtype=torch.float64).reshape(1, 1, 5, 6) ** 1.5
ASTRA = {  # 0, 40, 80, 120 and 160 degrees; detectors 1, 4, 5 and 8 of 10, 0.9 pixels apart
    "line": [
        [0.0, 326.8211, 354.974, 0.0],
        [182.0664, 439.713, 481.5102, 28.6673],
        [0.0, 486.2361, 290.6163, 0.0],
        [195.1698, 569.0699, 318.7836, 1.2531],
        [241.4827, 371.758, 342.9758, 11.5581],
    ],
    "strip": [
        [91.4039, 326.8211, 354.974, 138.1754],
        [178.2871, 439.0028, 472.8288, 31.3597],
        [32.8086, 484.9837, 289.2619, 3.6864],
        [192.6042, 559.3757, 320.6036, 1.9173],
        [229.6736, 372.624, 343.7505, 17.8594],
    ],
    "linear": [
        [95.974, 328.2287, 353.5663, 145.0842],
        [188.3789, 439.044, 481.2604, 31.2035],
        [39.616, 484.3118, 289.3673, 4.363],
        [194.186, 570.6069, 319.2281, 1.6778],
        [229.1939, 372.6677, 343.772, 18.3935],
    ],
}


def projected(entry: Ct, image: torch.Tensor) -> torch.Tensor:
    """(views, detectors) of one plane, all views measured."""
    shape = tuple(image.shape[1:])
    return entry.map(shape, {"views": torch.ones(1, entry.views)}).forward(image)[0, 0]


@pytest.mark.parametrize("kernel", ASTRA)
def test_projections_are_those_of_astra(kernel: str) -> None:
    entry = Ct(9, range_degrees=360, detectors=10, detector_pixels=0.9, kernel=kernel)  # type: ignore[arg-type]
    found = projected(entry, IMAGE)[:5, [1, 4, 5, 8]]
    # ASTRA works in float32
    torch.testing.assert_close(found, torch.tensor(ASTRA[kernel]).double(), rtol=3e-6, atol=3e-4)


def test_a_point_moves_as_in_radon_of_scikit_image() -> None:
    """radon(image, [0, 45, 90], circle=True) has its peaks at detectors 6, 7 and 6 of 9."""
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 2, 6] = 1
    assert projected(Ct(4, detectors=9), image)[:3].argmax(1).tolist() == [6, 7, 6]


def test_angle_zero_sums_columns_and_ninety_degrees_rows_from_below() -> None:
    for kernel in ("line", "strip", "linear"):
        image = torch.arange(12.0).reshape(1, 1, 3, 4)
        found = projected(Ct(2, detectors=4, kernel=kernel), image)  # type: ignore[arg-type]
        torch.testing.assert_close(found[0], image[0, 0].sum(0))
        upright = projected(Ct(2, detectors=3, kernel=kernel), image)  # type: ignore[arg-type]
        torch.testing.assert_close(upright[1], image[0, 0].sum(1).flip(0))


def test_a_ray_between_two_columns_is_half_in_either() -> None:
    found = projected(Ct(1, detectors=1, kernel="line"), torch.tensor([[[[1.0, 5.0], [2.0, 8.0]]]]))
    torch.testing.assert_close(found, torch.tensor([[8.0]]))


def test_every_view_of_a_disc_holds_its_mass() -> None:
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    disc = torch.from_numpy((x**2 + y**2 < 144).astype(float))[None, None]
    for kernel, tolerance in (("strip", 1e-12), ("linear", 3e-3), ("line", 5e-3)):
        for spacing in (0.5, 1.0):
            mass = projected(Ct(12, detector_pixels=spacing, kernel=kernel), disc).sum(1) * spacing  # type: ignore[arg-type]
            torch.testing.assert_close(mass, disc.sum().expand(12), rtol=tolerance, atol=0)


def test_shifted_detectors_see_what_lies_beside() -> None:
    image = torch.arange(5.0).reshape(1, 1, 1, 5)
    assert projected(Ct(1, detectors=3, detector_shift=1.0), image).tolist() == [[2, 3, 4]]


def test_a_case_has_as_many_views_as_it_measures_evenly() -> None:
    for seed in range(4):
        views = Ct(60, measured_views=15).draw(np.random.default_rng(seed), (1, 8, 8))["views"]
        assert views.sum() == 15 and set(np.diff(np.flatnonzero(views))) == {4}
    assert Ct(60).draw(np.random.default_rng(0), (1, 8, 8))["views"].all()


def test_views_that_are_not_measured_are_zero_and_change_nothing() -> None:
    linear = Ct(4).map((1, 6, 6), {"views": torch.tensor([[1.0, 0, 1, 0]])})
    assert isinstance(linear, Projection)
    data = linear.forward(torch.rand(1, 1, 6, 6))
    assert not data[0, 0, [1, 3]].any() and data[0, 0, [0, 2]].any()
    other = data + (1 - linear.support()) * 9
    torch.testing.assert_close(linear.adjoint(other), linear.adjoint(data))


def test_second_derivatives_and_many_batches_at_once_go_through_the_projector() -> None:
    linear = Ct(3).map((1, 4, 4), {"views": torch.ones(1, 3)})
    image = torch.rand(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: linear.forward(x).pow(3), (image,))
    several = torch.rand(5, 2, 1, 4, 4, dtype=torch.float64)
    together = torch.func.vmap(linear.forward)(several)
    torch.testing.assert_close(together, torch.stack([linear.forward(one) for one in several]))


@pytest.mark.parametrize(
    ("entry", "shape", "words"),
    [
        (Ct(10_000), (1, 512, 512), "matrix"),
        (Ct(), (1, 8), "axes"),
        (Ct(detector_pixels=0.01), (1, 512, 512), "matrix"),
    ],
)
def test_images_that_cannot_be_measured_so_are_refused(entry: Ct, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        entry.parameter_shapes(shape)


def test_options_that_cannot_be_are_refused() -> None:
    for options in ({"views": 0}, {"detector_pixels": 0.0}, {"range_degrees": 400.0}, {"measured_views": 61}):
        with pytest.raises(StudyError, match=next(iter(options))):
            Ct(**options)  # type: ignore[arg-type]
