"""`wardround reconstruct` on files: data that were measured, images that are measured here, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from client.sources.acquired import Acquired
from common.data.image import read_image
from common.reconstruction.operators.cartesian_mri import CartesianMri
from common.reconstruction.solve import reconstruct
from common.study.catalogue import OPERATORS
from common.study.options import Entry
from tests.experiments.trained_runs import trained_run

Wardround = Callable[..., tuple[int, str]]
SIDE = 16
WHOLE = (1, SIDE, SIDE)


def a_slice() -> np.ndarray:
    """A bright disc with a dark hole, of 0 to 200."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return 200.0 * ((x**2 + y**2 < 40) & ((x - 2) ** 2 + y**2 > 6))


def saved(folder: Path, name: str, values: np.ndarray) -> str:
    np.save(folder / name, values)
    return str(folder / name)


def written(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] = (1.0, 2.0, 3.0)) -> str:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = (-5, 7, 11)
    image = nib.Nifti1Image(values.astype(np.float32), affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return str(path)


def refused(wardround: Wardround, *words: str) -> str:
    code, said = wardround("reconstruct", *words)
    assert code in (1, 2), said
    assert "Traceback" not in said
    return " ".join(said.split())


@pytest.mark.parametrize(
    ("operator", "settings"),
    [
        ("cartesian_mri", ("acceleration=2", "centre_fraction=0.2")),
        ("inpainting", ("hidden=0.3",)),
        ("downsampling", ("factor=2",)),
        ("blur", ("sd_pixels=0.8", "point_spread_pixels=5")),
        ("ct", ("views=12",)),
        ("denoising", ()),
    ],
)
def test_every_kind_of_operator_is_simulated_and_undone(
    wardround: Wardround, tmp_path: Path, operator: str, settings: tuple[str, ...]
) -> None:
    given = saved(tmp_path, "image.npy", a_slice())
    chosen = [part for one in settings for part in ("--set", one)]
    common = (given, "--operator", operator, *chosen, "--simulate", "--noise", "10", "--data-range", "200")
    code, said = wardround(
        "reconstruct",
        *common,
        "--weight",
        "0.02",
        "--set",
        "method.iterations=60",
        "--json",
        str(tmp_path / "r.json"),
    )
    assert code == 0, said
    record = json.loads((tmp_path / "r.json").read_text())
    start, found = (record["scores"][name] for name in record["scores"])
    assert found["psnr"] > start["psnr"] + (0 if operator == "downsampling" else 1)
    assert record["prior"] == "tv" and record["iterations"] <= 60 and record["noise"] == 10
    assert "PSNR dB" in said and f"{found['psnr']:.2f}" in said


def test_the_weight_is_what_the_noise_allows_or_the_corner_of_the_curve(wardround: Wardround, tmp_path: Path) -> None:
    noisy = a_slice() + np.random.default_rng(0).normal(size=(SIDE, SIDE)) * 20
    given = saved(tmp_path, "image.npy", noisy)
    out, record = tmp_path / "out.npy", tmp_path / "r.json"
    both = (given, "--operator", "denoising", "--out", str(out), "--json", str(record))
    code, said = wardround("reconstruct", *both, "--noise", "20", "--at-least-zero")
    assert code == 0, said
    assert "discrepancy principle" in said
    found = np.load(out)
    assert np.std(found - noisy) == pytest.approx(20, rel=0.1)
    assert found.min() >= 0
    code, said = wardround("reconstruct", *both)
    assert code == 0 and "L-curve" in " ".join(said.split())
    assert json.loads(record.read_text())["noise"] is None


def test_kspace_of_several_coils_is_read_from_hdf5_slice_by_slice(wardround: Wardround, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    operator = CartesianMri(acceleration=2, coils=3)
    rng = np.random.default_rng(0)
    parameters = operator.draw(rng, (2, SIDE, SIDE))
    images = torch.from_numpy(np.stack([a_slice(), a_slice().T]) / 200)[:, None]
    truth = torch.cat([images, 0.3 * images], dim=1)
    batch = {name: torch.from_numpy(np.stack([one, one])) for name, one in parameters.items()}
    linear = operator.map((2, SIDE, SIDE), batch)
    measured = linear.forward(truth)
    parts = measured.reshape(2, 3, 2, SIDE, SIDE).numpy()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["kspace"] = parts[:, :, 0] + 1j * parts[:, :, 1]
    maps = parameters["sensitivities"].reshape(3, 2, SIDE, SIDE)
    place = saved(tmp_path, "maps.npy", maps[:, 0] + 1j * maps[:, 1])
    code, said = wardround(
        *("reconstruct", str(tmp_path / "scan.h5"), "--operator", "cartesian_mri", "--set", "coils=3"),
        *("--slices", "0", "--parameter", f"sensitivities={place}", "--weight", "0.001", "--data-range", "1"),
        *("--out", str(tmp_path / "out.npy")),
    )
    assert code == 0, said
    assert "The mask is where the data are not zero" in said and "Read as a volume" not in said
    found = np.load(tmp_path / "out.npy")
    direct = reconstruct(linear, measured, method="fista", prior="tv", weight=0.001).images
    np.testing.assert_allclose(found, (direct[:, 0] + 1j * direct[:, 1]).numpy(), atol=1e-4)


def test_a_mask_may_be_a_file_of_lines(wardround: Wardround, tmp_path: Path) -> None:
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(a_slice()), norm="ortho"))
    lines = np.arange(SIDE) % 2
    given, mask = saved(tmp_path, "k.npy", kspace), saved(tmp_path, "mask.npy", lines)
    code, said = wardround(
        *("reconstruct", given, "--operator", "cartesian_mri", "--set", "axis=1", "--parameter", f"mask={mask}"),
        *("--method", "from_data", "--out", str(tmp_path / "out.npy")),
    )
    assert code == 0, said
    expected = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace * lines), norm="ortho"))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-3)


def test_a_small_nifti_becomes_a_larger_one_of_the_same_place(wardround: Wardround, tmp_path: Path) -> None:
    small = a_slice().reshape(8, 2, 8, 2).mean((1, 3))
    given = written(tmp_path / "small.nii.gz", np.stack([small] * 3, axis=-1))
    truth = written(tmp_path / "truth.nii.gz", np.stack([a_slice()] * 3, axis=-1), (0.5, 1.0, 3.0))
    code, said = wardround(
        *("reconstruct", given, "--operator", "downsampling", "--slices", "2", "--truth", truth),
        *("--data-range", "200", "--weight", "0.001", "--out", str(tmp_path / "large.nii.gz")),
        *("--figure", str(tmp_path / "page.html")),
    )
    assert code == 0, said
    before, after = read_image(Path(given)).geometry, read_image(tmp_path / "large.nii.gz").geometry
    assert after.shape == (16, 16, 3)
    assert after.spacing_mm == pytest.approx((0.5, 1.0, 3.0))
    np.testing.assert_allclose(before.centre_mm, after.centre_mm, atol=1e-5)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 15 and "image 2 of 3" in page and "PSNR" in page


def test_a_nifti_keeps_its_place_and_unit(wardround: Wardround, tmp_path: Path) -> None:
    given = written(tmp_path / "noisy.nii", a_slice()[..., None])
    code, said = wardround(
        *("reconstruct", given, "--operator", "denoising", "--weight", "0.02", "--out", str(tmp_path / "out.nii")),
        *("--figure", str(tmp_path / "strip.png")),
    )
    assert code == 0, said
    one, other = nib.load(given), nib.load(tmp_path / "out.nii")
    assert other.shape == one.shape and np.array_equal(one.affine, other.affine)
    assert other.header.get_xyzt_units()[0] == "mm"
    assert (tmp_path / "strip.png").read_bytes().startswith(b"\x89PNG")


def test_a_deep_image_prior_fits_one_image_by_itself(wardround: Wardround, tmp_path: Path) -> None:
    given = saved(tmp_path, "image.npy", a_slice())
    code, said = wardround(
        *("reconstruct", given, "--operator", "inpainting", "--simulate", "--data-range", "200"),
        *("--method", "deep_image_prior", "--set", "method.steps=12", "--set", "method.width=4"),
        *("--set", "method.levels=2", "--set", "method.window=4", "--json", str(tmp_path / "r.json")),
    )
    assert code == 0, said
    assert json.loads((tmp_path / "r.json").read_text())["iterations"] == 12
    assert "deep_image_prior" in said


STUDY = """
title = "Denoising"
source = { name = "acquired", images = { name = "phantom", hospitals = 2, patients = [3, 3], size = 16 },
  operators = ["denoising"], noise = [0.1] }
task = { name = "denoiser", operator = "denoising", iterations = 3,
  network = { name = "unet", channels = 4, depth = 2 } }
training = { steps = 1, batch_size = 2, learning_rate = 0.001, optimiser = "adam" }
"""


@pytest.fixture(scope="module")
def denoising_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = Entry("phantom", {"hospitals": 2, "patients": [3, 3], "size": SIDE})
    source = Acquired(images, (Entry("denoising"),), noise=(0.1,))
    folder = tmp_path_factory.mktemp("trained") / "run"
    trained_run(folder, STUDY.replace(",\n", ","), source.cases(source.sites()[0], 0), steps=2)
    return folder


def test_a_runs_model_reconstructs_by_its_own_operator_and_by_another(
    wardround: Wardround, tmp_path: Path, denoising_run: Path
) -> None:
    given = saved(tmp_path, "image.npy", a_slice())
    common = ("reconstruct", given, "--run", str(denoising_run), "--simulate", "--noise", "20", "--data-range", "200")
    for more, method in (
        ((), "learned"),
        (("--operator", "inpainting"), "learned"),
        (("--operator", "inpainting", "--method", "plug_and_play", "--set", "method.iterations=5"), "plug_and_play"),
        (("--operator", "cartesian_mri", "--method", "falling_denoiser"), "falling_denoiser"),
    ):
        record = tmp_path / "r.json"
        code, said = wardround(*common, *more, "--json", str(record))
        assert code == 0, said
        found = json.loads(record.read_text())
        assert found["method"] == method
        assert found["operator"]["name"] == (more[1] if more else "denoising")


def test_a_word_that_is_not_known_is_answered_with_the_nearest(wardround: Wardround, tmp_path: Path) -> None:
    say = partial(refused, wardround, saved(tmp_path, "image.npy", a_slice()))
    assert "did you mean 'inpainting'" in say("--operator", "inpaint", "--simulate", "--data-range", "200")
    assert "--operator must say what was measured: blur, cartesian_mri" in say()
    ok = ("--operator", "denoising")
    assert "did you mean 'fista'" in say(*ok, "--method", "fitsa")
    assert "did you mean 'tv'" in say(*ok, "--prior", "vt")
    assert "did you mean 'hidden'" in say(
        "--operator", "inpainting", "--set", "hiden=0.2", "--simulate", "--data-range=1"
    )
    assert "--weight takes a number or 'auto'; it was given 'heavy'" in say(*ok, "--weight", "heavy")
    assert "must end with .nii" in say(*ok, "--out", str(tmp_path / "out.jpg"))
    assert "must end with .html or .png" in say(*ok, "--figure", str(tmp_path / "out.pdf"))
    assert "did you mean 'method'" in say(*ok, "--set", "methd.iterations=3")
    assert "--set takes key=value" in say(*ok, "--set", "views")
    assert "no parameters of a case" in say(*ok, "--parameter", "mask=a.npy")
    assert "did you mean 'mask'" in say("--operator", "inpainting", "--parameter", "musk=a.npy")
    assert "--parameter takes name=FILE" in say(*ok, "--parameter", "mask")
    assert "'learned' needs --run" in say(*ok, "--method", "learned")
    assert "'plug_and_play' needs --run" in say(*ok, "--method", "plug_and_play")


def test_what_does_not_fit_is_refused_with_what_would(wardround: Wardround, tmp_path: Path) -> None:
    image = saved(tmp_path, "image.npy", a_slice())
    say = partial(refused, wardround)
    assert "this image's go from 0 to 200" in say(image, "--operator", "denoising", "--simulate")
    assert "must know 'mask' of these data" in say(
        saved(tmp_path, "ones.npy", np.ones((8, 8))), "--operator", "inpainting"
    )
    assert "images and data; the file holds real" in say(image, "--operator", "cartesian_mri")
    assert "is of real images" in say(image, "--operator", "cartesian_mri", "--at-least-zero")
    assert "give --size" in say(image, "--operator", "ct")
    assert "it was given '12'" in say(image, "--operator", "ct", "--size", "12")
    assert "of an image of 9x9" in say(image, "--operator", "ct", "--size", "9x9")
    twos = saved(tmp_path, "twos.npy", np.full((SIDE, SIDE), 2))
    assert "a mask must hold 0 and 1" in say(image, "--operator", "inpainting", "--parameter", f"mask={twos}")
    few = saved(tmp_path, "few.npy", np.ones((3, 3)))
    assert "must have the shape (16, 16)" in say(image, "--operator", "inpainting", "--parameter", f"mask={few}")
    assert "--slices must be an axis" in say(image, "--operator", "denoising", "--slices", "0")
    lines = saved(tmp_path, "stack.npy", np.ones((2, SIDE, SIDE)))
    assert "--data-range must say" in say(image, "--operator", "denoising", "--truth", image)
    assert "the truth must be an image" in say(
        image, "--operator", "denoising", "--truth", few, "--data-range", "1", "--method", "from_data"
    )
    assert "method 'closed_form'" in say(lines, "--operator", "denoising", "--method", "closed_form", "--prior", "tv")
    assert "real images; this one is complex" in say(
        saved(tmp_path, "c.npy", a_slice() * 1j), "--operator", "blur", "--simulate", "--data-range", "1"
    )


def test_a_hostile_file_is_refused(wardround: Wardround, tmp_path: Path, denoising_run: Path) -> None:
    say = partial(refused, wardround)
    nothing = saved(tmp_path, "nan.npy", np.full((8, 8), np.nan))
    assert "not finite" in say(nothing, "--operator", "denoising")
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    assert "must hold numbers" in say(str(tmp_path / "pickle.npy"), "--operator", "denoising")
    (tmp_path / "image.nii").write_bytes(b"no image")
    assert "not a readable NIfTI file" in say(str(tmp_path / "image.nii"), "--operator", "denoising")
    assert "No such file" in say(str(tmp_path / "absent.npy"), "--operator", "denoising")
    assert "must end with" in say(str(tmp_path / "image.mat"), "--operator", "denoising")
    image = saved(tmp_path, "image.npy", a_slice())
    assert "holds no study.toml" in say(image, "--run", str(tmp_path))
    asked = ("--run", str(denoising_run), "--operator", "cartesian_mri", "--simulate", "--data-range", "200")
    assert "is of operator 'denoising'" in (said := say(image, *asked)) and "--method falling_denoiser" in said


def test_parameters_that_measure_nothing_are_refused(wardround: Wardround, tmp_path: Path) -> None:
    say = partial(refused, wardround, saved(tmp_path, "image.npy", a_slice()))
    zeros = saved(tmp_path, "zeros.npy", np.zeros((SIDE, SIDE)))
    few = saved(tmp_path, "few.npy", np.zeros((5, 5)))
    assert "'mask' must not be nothing but zeros" in say("--operator", "inpainting", "--parameter", f"mask={zeros}")
    assert "'point_spread' must not be" in say("--operator", "blur", "--parameter", f"point_spread={few}")
    assert "no mask follows from them" in refused(wardround, zeros, "--operator", "inpainting")
    twice = ("--parameter", f"mask={zeros}", "--parameter", f"mask={few}")
    assert "gives 'mask' twice" in say("--operator", "inpainting", *twice)
    assert "it was given 'hidden'" in say("--operator", "inpainting", "--set", "hidden")


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_an_image_that_float32_cannot_hold_is_refused(wardround: Wardround, tmp_path: Path, unit: float) -> None:
    given = saved(tmp_path, "image.npy", a_slice() * unit)
    assert "choose another unit" in refused(wardround, given, "--operator", "denoising")


def test_data_outside_a_mask_change_nothing_and_are_told(wardround: Wardround, tmp_path: Path) -> None:
    image = a_slice() + np.random.default_rng(0).normal(0, 5, (SIDE, SIDE))
    known = np.ones((SIDE, SIDE))
    known[4:9, 6:9] = 0
    mask = saved(tmp_path, "mask.npy", known)
    found = {}
    for name, values in {"whole": image, "masked": image * known}.items():
        code, said = wardround(
            *("reconstruct", saved(tmp_path, f"{name}.npy", values), "--operator", "inpainting", "--noise", "5"),
            *("--parameter", f"mask={mask}", "--data-range", "200", "--out", str(tmp_path / "out.npy")),
        )
        assert code == 0, said
        assert ("of the data's energy lies outside the mask" in said) == (name == "whole")
        found[name] = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(found["whole"], found["masked"])


def test_a_point_spread_that_makes_data_brighter_is_told(wardround: Wardround, tmp_path: Path) -> None:
    counts = saved(tmp_path, "counts.npy", np.ones((3, 3)))
    code, said = wardround(
        *("reconstruct", saved(tmp_path, "image.npy", a_slice()), "--operator", "blur", "--method", "from_data"),
        *("--parameter", f"point_spread={counts}"),
    )
    assert code == 0 and "sums to 9, not to 1" in said


@pytest.mark.parametrize(("operator", "settings"), [("denoising", ()), ("ct", ("views=12",)), ("blur", ())])
def test_a_weight_that_is_found_without_the_noise_leaves_an_image_in_every_unit(
    wardround: Wardround, tmp_path: Path, operator: str, settings: tuple[str, ...]
) -> None:
    """Neither flat, whatever the operator's norm is, nor otherwise in another unit."""
    entry = OPERATORS.build(Entry(operator, {"views": 12} if settings else {}))
    parameters = {
        name: torch.from_numpy(one)[None] for name, one in entry.draw(np.random.default_rng(0), WHOLE).items()
    }
    clean = entry.map(WHOLE, parameters).forward(torch.from_numpy(a_slice())[None, None] / 200)
    noise = 0.05 * clean.std() * torch.from_numpy(np.random.default_rng(1).normal(size=tuple(clean.shape)))
    found = {}
    for unit in (1e-3, 1.0, 1e3):
        given = saved(tmp_path, "data.npy", (clean + noise)[0, 0].numpy() * unit)
        code, said = wardround(
            *("reconstruct", given, "--operator", operator, *(f"--set={one}" for one in settings)),
            *("--size", "16x16", "--out", str(tmp_path / "out.npy")),
        )
        assert code == 0 and "give --noise or --weight" in " ".join(said.split()).lower()
        found[unit] = np.load(tmp_path / "out.npy") / unit
    np.testing.assert_allclose(found[1e-3], found[1.0], atol=1e-4)
    np.testing.assert_allclose(found[1e3], found[1.0], atol=1e-4)
    assert np.corrcoef(found[1.0].ravel(), a_slice().ravel())[0, 1] > 0.8
    assert found[1.0].std() > 0.6 * a_slice().std() / 200


def test_parameters_of_every_operator_that_measure_nothing_are_refused(wardround: Wardround, tmp_path: Path) -> None:
    zeros = saved(tmp_path, "none.npy", np.zeros(12))
    views = saved(tmp_path, "views.npy", np.ones((12, 23)))
    ct = ("--operator", "ct", "--set", "views=12", "--set", "detectors=23", "--size", "16x16")
    assert "'views' must not be nothing but zeros" in refused(wardround, views, *ct, "--parameter", f"views={zeros}")
    image = saved(tmp_path, "image.npy", a_slice())
    beside = (
        "--operator",
        "ct",
        "--set",
        "detectors=1",
        "--set",
        "detector_shift=1e4",
        "--simulate",
        "--data-range=1",
    )
    assert "measures nothing of an image" in refused(wardround, image, *beside)
    assert "hidden must be below 1" in refused(
        wardround, image, "--operator", "inpainting", "--set", "hidden=1", "--simulate", "--data-range", "1"
    )
    own = ("--operator", "blur", "--set", "point_spread=own", "--set", "weights=[[0.0]]", "--set", "normalised=false")
    assert "must not be nothing but zeros" in refused(wardround, image, *own)
    assert "noise must be zero or more" in refused(wardround, image, "--operator", "denoising", "--noise", "-1")
