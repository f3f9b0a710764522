"""Draw the pictures of docs/reconstruction.md: every operator, and every prior on one problem.

python docs/reconstruction_pictures.py --out docs

Some two minutes of one core. What is learned is learned here, by one hospital, for half a minute each: pictures show
what kinds of priors do, not which one wins (docs/results.md says that).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from client.sources.acquired import Acquired
from common.data.cases import Cases
from common.learning.panels import Panel
from common.learning.parameters import new_network
from common.metrics import psnr, ssim
from common.reconstruction.deep_image_prior import DeepImagePrior, fitted
from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import Invertible, LinearMap
from common.reconstruction.packing import Layout
from common.reconstruction.phase import smooth_phase
from common.reconstruction.solve import reconstruct
from common.study.catalogue import OPERATORS, TASKS
from common.study.options import Entry
from experiments.running.windowed_panels import pixels_of

SIDE, SHOWN, LABEL, GAP = 64, 192, 34, 6
NOISE = 0.02
PHANTOM = Entry("phantom", {"hospitals": 2, "patients": [12, 12], "size": SIDE, "noiseless": True})
MRI = Entry("cartesian_mri", {"acceleration": 4.0})
POINTS = Entry("cartesian_mri", {"acceleration": 3.0, "pattern": "poisson_disc"})
"""Of a plane of k-space, as volumes have two directions of lines: what is missing looks like noise."""
OPERATOR_EXAMPLES = (
    Entry("denoising"),
    Entry("inpainting", {"hidden": 0.5}),
    Entry("blur", {"point_spread": "motion", "length_pixels": 9.0, "motion_degrees": 30.0}),
    Entry("downsampling", {"factor": 4}),
    MRI,
    Entry("radial_mri", {"spokes": 24}),
    Entry("ct", {"views": 20}),
)
TV_WEIGHTS = {"ct": 0.3, "denoising": 0.015, "downsampling": 0.002, "radial_mri": 0.01}
"""A datum of CT is a sum over a ray, and large."""
Cell = tuple[str, str, NDArray[np.uint8]]
"""A name, a line below it, and pixels."""


def main() -> None:
    """Both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    truth = true_image()
    save(out / "reconstruction-operators.png", operator_rows(truth))
    save(out / "reconstruction-priors.png", prior_rows(truth))


def scans(operator: Entry) -> Cases:
    """Synthetic heads of one hospital, measured."""
    source = Acquired(PHANTOM, (operator,), noise=(NOISE,))
    return source.cases(source.sites()[0], 0)


def true_image() -> NDArray[np.float64]:
    """A slice of the other hospital, 0 to 1."""
    source = Acquired(PHANTOM, (Entry("denoising"),))
    return np.asarray(source.cases(source.sites()[1], 0).targets[1, 0], np.float64)


def measured(entry: Entry, truth: NDArray[np.float64]) -> tuple[LinearMap, Tensor, Tensor, Layout, dict[str, Tensor]]:
    """A, noisy data, the image (1, C, *S), and what packs them."""
    operator, rng = OPERATORS.build(entry), np.random.default_rng(1)
    image = smooth_phase(truth.astype(np.float32), 1.5, rng) if operator.complex_images else truth[None]
    images = torch.from_numpy(np.asarray(image, np.float64))[None]
    shape = tuple(images.shape[1:])
    parameters = {name: torch.from_numpy(np.asarray(one))[None] for name, one in operator.draw(rng, shape).items()}
    linear = operator.map(shape, parameters)
    clean = linear.forward(images)
    spread = NOISE * (float(clean.abs().max()) if entry.name == "ct" else 1.0)
    support = linear.support().to(clean) if hasattr(linear, "support") else torch.ones_like(clean)
    noise = torch.from_numpy(rng.normal(size=tuple(clean.shape))) * spread
    return linear, clean + noise * support, images, Layout.of(operator, shape), parameters


def operator_rows(truth: NDArray[np.float64]) -> list[list[Cell]]:
    """What is measured, above the image that it gives without a prior and that by total variation."""
    data, starts, found = [cell("truth", "", truth)], [words("inverse")], [words("total variation")]
    for entry in OPERATOR_EXAMPLES:
        linear, noisy, images, _, _ = measured(entry, truth)
        start = magnitude(inverse(linear, noisy))
        data.append(cell(entry.name, "data", shown_data(entry, noisy)))
        starts.append(cell("", scored(start, magnitude(images)), start))
        image = magnitude(reconstruct(linear, noisy, prior="tv", weight=TV_WEIGHTS.get(entry.name, 0.005)).images)
        found.append(cell("", scored(image, magnitude(images)), image))
    return [data, starts, found]


def inverse(linear: LinearMap, noisy: Tensor) -> Tensor:
    """The pseudo-inverse where it is known: a blur's shows why that is not enough."""
    return linear.pseudo_inverse(noisy) if isinstance(linear, Invertible) else first_image(linear, noisy)


def prior_rows(truth: NDArray[np.float64]) -> list[list[Cell]]:
    """Images by prior, each above the map of its error."""
    linear, noisy, _, layout, parameters = measured(POINTS, truth)
    solve = partial(reconstruct, linear, noisy)
    denoiser = learned("denoiser", 250, network={"name": "ffdnet", "channels": 24, "depth": 6})
    generator = learned("generator", 300, width=24)
    unrolled = learned("unrolled", 150, network={"name": "ffdnet", "channels": 24, "depth": 5}, iterations=5)
    packed = layout.pack(noisy, parameters).float()

    made: dict[str, Callable[[], Tensor]] = {
        "no prior": lambda: first_image(linear, noisy),
        "identity": lambda: solve(method="closed_form", prior="identity", weight=0.1).images,
        "gradient": lambda: solve(method="conjugate_gradient", prior="gradient", weight=0.05).images,
        "wavelet": lambda: solve(prior="wavelet", weight=0.01).images,
        "tv": lambda: solve(prior="tv", weight=0.008).images,
        "deep image prior": lambda: fitted(linear, noisy.float(), DeepImagePrior()).image,
        "denoiser": lambda: denoiser(packed),
        "generator": lambda: generator(packed),
        "unrolled": lambda: unrolled(packed),
    }
    above, below = [cell("truth", "", truth)], [words("error, 0 to 0.2")]
    for name, make in made.items():
        image = magnitude(make().detach())
        error = np.abs(image - truth)
        above.append(cell(name, scored(image, truth), image))
        below.append(("", "", pixels_of(Panel(torch.from_numpy(error), 0.0, 0.2, "heat"), name)[:SHOWN]))
    half = (len(above) + 1) // 2
    return [above[:half], below[:half], above[half:], below[half:]]


def learned(task_name: str, steps: int, **options: Any) -> Any:
    """A network of one hospital's scans, trained here."""
    cases = scans(POINTS)
    task: Any = TASKS.build(Entry(task_name, {"operator": {"name": POINTS.name, **POINTS.options}, **options}))
    network = new_network(task, cases.shape, 0)
    optimiser, rng = torch.optim.Adam(network.parameters(), 0.002), np.random.default_rng(0)
    for _ in range(steps):
        batch = cases.batch(np.sort(rng.choice(len(cases), 4, replace=False)))
        optimiser.zero_grad()
        task.loss(network, task.augment(batch, rng)).mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval()


def magnitude(images: Tensor) -> NDArray[np.float64]:
    """(*S) of one case."""
    values = images[0].double().numpy()
    return np.hypot(values[0], values[1]) if len(values) == 2 else values[0]


def shown_data(entry: Entry, noisy: Tensor) -> NDArray[np.float64]:
    """Data as a picture: k-space by the logarithm of its magnitude."""
    values = noisy[0].double().numpy()
    if len(values) == 2:
        logarithms = np.log10(np.hypot(values[0], values[1]) + 1e-2) + 2
        values = (logarithms / logarithms.max())[None]
    plane = values.reshape(-1, *values.shape[-2:])[0]
    if entry.name == "ct":
        plane = plane / plane.max()
    return np.asarray(plane)


def scored(image: NDArray[np.float64], truth: NDArray[np.float64]) -> str:
    """A line below a picture."""
    return f"{psnr(image, truth, data_range=1.0):.1f} dB, SSIM {ssim(image, truth, data_range=1.0):.2f}"


def cell(name: str, note: str, values: NDArray[np.float64]) -> Cell:
    """From black, 0, to white, 1, on a square."""
    pixels = pixels_of(Panel(torch.from_numpy(np.ascontiguousarray(values)), 0.0, 1.0), name)
    picture = Image.fromarray(pixels)
    picture.thumbnail((SHOWN, SHOWN))
    scale = SHOWN / max(picture.size)
    sides = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    square = Image.new("RGB", (SHOWN, SHOWN), "white")
    square.paste(picture.resize(sides, Image.Resampling.NEAREST), ((SHOWN - sides[0]) // 2, (SHOWN - sides[1]) // 2))
    return name, note, np.asarray(square)


def words(text: str) -> Cell:
    """In the place of a picture."""
    square = Image.new("RGB", (SHOWN, SHOWN), "white")
    pen = ImageDraw.Draw(square)
    pen.text((SHOWN / 2, SHOWN / 2), text, "black", ImageFont.load_default(15), anchor="mm")
    return "", "", np.asarray(square)


def save(path: Path, rows: list[list[Cell]]) -> None:
    """Rows of cells with their names above and their notes below."""
    width = max(map(len, rows)) * (SHOWN + GAP)
    page = Image.new("RGB", (width, sum(map(row_height, rows))), "white")
    pen, font, y = ImageDraw.Draw(page), ImageFont.load_default(15), 0
    for row in rows:
        named, noted = any(name for name, _, _ in row), any(note for _, note, _ in row)
        for column, (name, note, pixels) in enumerate(row):
            x = column * (SHOWN + GAP)
            pen.text((x + SHOWN / 2, y + 13), name, "black", font, anchor="mm")
            square = Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.NEAREST)
            page.paste(square, (x, y + LABEL * named))
            pen.text((x + SHOWN / 2, y + LABEL * named + SHOWN + 13), note, "#57606a", font, anchor="mm")
        y += SHOWN + LABEL * (named + noted) + GAP
    page.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def row_height(row: list[Cell]) -> int:
    """With the names and notes that it has."""
    return SHOWN + GAP + LABEL * (any(name for name, _, _ in row) + any(note for _, note, _ in row))


if __name__ == "__main__":
    main()
