"""Inpainting, blur and downsampling on numbers worked out by hand, and what they refuse."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import FileError, StudyError
from common.reconstruction import point_spread
from common.reconstruction.convolution import BoundedBlur, MirroredBlur
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.operators.blur import Blur
from common.reconstruction.operators.downsampling import Decimated, Downsampling
from common.reconstruction.operators.inpainting import Inpainting
from common.reconstruction.point_spread import Transfer
from common.reconstruction.spectral_norm import spectral_norm
from common.study.catalogue import OPERATORS
from common.study.options import Entry


def built(name: str, **options: object) -> Operator:
    operator: Operator = OPERATORS.build(Entry(name, options))
    return operator


def measured(entry: Operator, image: list[list[float]]) -> Tensor:
    """Of one grey image."""
    given = torch.tensor(image, dtype=torch.float64)[None, None]
    drawn = entry.draw(np.random.default_rng(0), tuple(given.shape[1:]))
    parameters = {name: torch.from_numpy(values)[None].double() for name, values in drawn.items()}
    return entry.map(tuple(given.shape[1:]), parameters).forward(given)[0, 0]


def row(weights: list[float], boundary: str) -> Tensor:
    """One row, 1 2 3 4 in the midst of three alike, blurred along it."""
    entry = built("blur", point_spread="own", weights=[weights], boundary=boundary, normalised=False)
    return measured(entry, [[1, 2, 3, 4, 8, 0, 0, 0]] * 6)[2]


def test_as_many_pixels_are_hidden_as_is_said() -> None:
    for pattern in ("pixels", "stripes"):
        mask = Inpainting(0.25, pattern).draw(np.random.default_rng(3), (1, 8, 6))["mask"]  # type: ignore[arg-type]
        assert (mask == 0).sum() == 12
    assert set(mask.sum(1)) == {0, 6}  # rows are whole


def test_a_box_has_the_images_proportions() -> None:
    hidden = np.argwhere(Inpainting(0.25, "box").draw(np.random.default_rng(3), (1, 8, 6))["mask"] == 0)
    assert tuple(np.ptp(hidden, axis=0) + 1) == (4, 3) and len(hidden) == 12


def test_a_blur_sees_beyond_the_boundary_what_it_is_told() -> None:
    # h = (1, 10, 100): y[i] = 100 x[i-1] + 10 x[i] + x[i+1], as h lies mirrored over the image
    torch.testing.assert_close(row([1, 10, 100], "periodic")[[0, 1, 7]], torch.tensor([12.0, 123, 1]).double())
    torch.testing.assert_close(row([1, 10, 100], "zero")[[0, 1, 7]], torch.tensor([12.0, 123, 0]).double())
    torch.testing.assert_close(row([1, 10, 100], "reflect")[[0, 1, 7]], torch.tensor([112.0, 123, 0]).double())


def test_a_gaussian_is_sampled_and_of_sum_one() -> None:
    side = np.exp(-0.5)  # at one standard deviation
    expected = np.array([side, 1, side]) / (1 + 2 * side)
    np.testing.assert_allclose(point_spread.gaussian((3,), 1.0), expected, rtol=1e-15)
    np.testing.assert_allclose(point_spread.gaussian((3, 3), 1.0), np.outer(expected, expected), rtol=1e-14)
    np.testing.assert_allclose(point_spread.gaussian((2,), 1.0), [0.5, 0.5])


def test_motion_along_an_axis_weighs_what_it_passes() -> None:
    # from -1 to 1 about the middle pixel: the hat of each pixel, integrated over the path, by 2
    expected = np.zeros((5, 5))
    expected[2, 1:4] = [0.25, 0.5, 0.25]
    np.testing.assert_allclose(point_spread.motion((5, 5), 2.0, 0.0), expected, atol=1e-4)
    np.testing.assert_allclose(point_spread.motion((5, 5), 2.0, 90.0), expected.T, atol=1e-4)
    assert abs(point_spread.motion((9, 9), 8.0, 30.0).sum() - 1) < 1e-12
    upward = point_spread.motion((9, 9), 8.0, 45.0)
    assert upward[2, 6] > 0.05 and upward[1, 1] == 0  # towards the upper right


def test_an_area_is_its_mean() -> None:
    found = measured(built("downsampling"), [[1, 2, 0, 0], [3, 4, 0, 8]])
    torch.testing.assert_close(found, torch.tensor([[2.5, 2.0]]).double())


def test_decimation_after_a_blur_has_the_centres_of_blocks() -> None:
    """Uniform weights over a block are the area's mean, for odd factors and even ones."""
    for factor in (2, 3, 4, 6):
        shape = (1, 2 * factor, 3 * factor)
        image = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(factor))
        weights = torch.full((1, factor, factor), factor**-2, dtype=torch.float64)
        uniform = Decimated(shape, (factor, factor), Transfer(weights, shape[1:])).forward(image)
        torch.testing.assert_close(uniform, Downsampling(factor).map(shape, {}).forward(image))


def test_a_ramp_stays_where_it_is() -> None:
    """A symmetric point spread does not move an image: a large pixel has the value of the ramp at its centre."""
    for factor in (2, 3, 4, 6):
        ramp = torch.arange(8.0 * factor, dtype=torch.float64).expand(4 * factor, -1)
        found = measured(Downsampling(factor, "gaussian"), ramp.tolist())[1]
        centres = torch.arange(8, dtype=torch.float64) * factor + (factor - 1) / 2
        torch.testing.assert_close(found[2:6], centres[2:6], rtol=0, atol=1e-5)


def test_the_norm_of_a_diagonal_is_found_and_that_of_nothing_is_zero() -> None:
    values = torch.stack([torch.linspace(0, 3, 500), torch.zeros(500), torch.full((500,), 2.0)]).double()[:, None]
    found = spectral_norm(lambda x: x * values, lambda y: y * values, (3, 1, 500))
    torch.testing.assert_close(found, torch.tensor([3.0, 0, 2]).double(), rtol=1e-3, atol=1e-12)


def test_a_point_spread_of_a_file_is_that_of_a_list(tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", np.array([[0, 1, 0], [1, 4, 1], [0, 1, 1]]))
    options = {"point_spread": "own", "point_spread_pixels": 5}
    by_file = built("blur", weights_file=str(tmp_path / "own.npy"), **options)
    by_list = built("blur", weights=[[0, 1, 0], [1, 4, 1], [0, 1, 1]], **options)
    one, other = (entry.draw(np.random.default_rng(0), (1, 8, 8))["point_spread"] for entry in (by_file, by_list))
    np.testing.assert_array_equal(one, other)
    assert one.shape == (5, 5) and one[2, 2] == np.float32(4 / 9) and one[0].sum() == 0


def test_a_file_that_is_no_point_spread_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    for name in ("text", "words", "objects", "absent"):
        entry = built("blur", point_spread="own", weights_file=str(tmp_path / f"{name}.npy"))
        with pytest.raises(FileError):
            entry.draw(np.random.default_rng(0), (1, 8, 8))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("inpainting", {"hidden": 1.5}, "hidden"),
        ("inpainting", {"pattern": "stripe"}, "did you mean 'stripes'"),
        ("blur", {"point_spread_pixels": 4}, "odd"),
        ("blur", {"point_spread": "motion", "length_pixels": 30.0}, "length_pixels"),
        ("blur", {"point_spread": "own"}, "weights"),
        ("blur", {"weights": [[1.0]]}, "named together"),
        ("blur", {"boundary": "mirror"}, "boundary"),
        ("downsampling", {"factor": 0}, "factor"),
        ("downsampling", {"sd_pixels": 1.0}, "gaussian"),
        ("downsampling", {"axes": [1, 1]}, "more than once"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        built(name, **options)


@pytest.mark.parametrize(
    ("entry", "shape", "words"),
    [
        (Inpainting(axis=2), (1, 8, 8), "axis"),
        (Inpainting(), (8, 8), "axes"),
        (Inpainting(), (1, 1 << 16, 1 << 16), "at most"),
        (Downsampling(3), (1, 8, 9), "multiples"),
        (Downsampling(2, axes=(2,)), (1, 8, 8), "axis"),
        (Blur(boundary="reflect"), (1, 4, 9), "wider"),
        (Blur(point_spread="own", weights=((1.0, 2.0),)), (1, 8, 8), "odd"),
        (Blur(point_spread="own", weights=((1.0,) * 13,)), (1, 8, 8), "13 or more"),
        (Blur(point_spread="own", weights=((1.0, 0.0, -1.0),)), (1, 8, 8), "sum 0"),
        (Blur(point_spread="own", weights=((1.0,), (1.0, 2.0))), (1, 8, 8), "one length"),
    ],
)
def test_images_that_cannot_be_measured_so_are_refused(entry: Operator, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        entry.draw(np.random.default_rng(0), shape) if isinstance(entry, Blur) else entry.parameter_shapes(shape)


def test_parameters_that_are_absent_or_of_another_shape_are_refused() -> None:
    with pytest.raises(StudyError, match="needs the parameter 'mask'"):
        Inpainting().map((1, 4, 4), {})
    with pytest.raises(StudyError, match="must have the shape"):
        Inpainting().map((1, 4, 4), {"mask": torch.ones(2, 4, 5)})


def test_a_gaussian_that_sees_the_mirrored_image_is_the_same_with_and_without_closed_forms() -> None:
    shape = (1, 7, 8)
    image = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gaussian = Blur(boundary="reflect", sd_pixels=1.2, point_spread_pixels=7)
    drawn = {"point_spread": torch.from_numpy(gaussian.draw(np.random.default_rng(0), shape)["point_spread"])[None]}
    own = Blur(boundary="reflect", point_spread="own", weights=((1.0,),), point_spread_pixels=7)
    one, other = gaussian.map(shape, drawn), own.map(shape, drawn)
    assert isinstance(one, MirroredBlur) and isinstance(other, BoundedBlur)
    torch.testing.assert_close(one.forward(image), other.forward(image), rtol=0, atol=1e-12)
    torch.testing.assert_close(one.norm(), other.norm(), rtol=1e-3, atol=0)
