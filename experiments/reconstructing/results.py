"""What `wardround reconstruct` leaves: scores, a table, a record in JSON, pictures, and the image itself."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from common import __version__
from common.learning.panels import Panel
from common.metrics.images.of_cases import scores_of_each
from common.reconstruction.pictures import comparison
from experiments.measuring.image_files import write_picture
from experiments.measuring.picture_page import page
from experiments.reconstructing.acquisition import Acquisition
from experiments.reconstructing.asked import FROM_DATA, Asked
from experiments.reconstructing.channels import out_of_channels
from experiments.reconstructing.methods import Answer
from experiments.running.windowed_panels import pixels_of
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

SCORES = ("psnr", "ssim", "nmse", "hfen")
HEADINGS = {"psnr": "PSNR dB", "ssim": "SSIM", "nmse": "NMSE", "hfen": "HFEN"}
START = {
    "cartesian_mri": "zero-filled",
    "ct": "filtered back-projection",
    "radial_mri": "gridded",
    "denoising": "noisy",
    "inpainting": "masked",
}
"""What the image that the data give without a prior is called."""
PICTURES = (".html", ".png")
MOST_SHOWN = 3
"""Images of several."""
GAP, WORDS, FONT, LEAST_WIDTH = 6, 40, 12, 190
PLANE = 3
"""Axes of an image of one plane with its channels."""


@dataclass(frozen=True, eq=False)
class Result:
    """scores: mean over images by image and score; {} where the truth is not known."""

    acquired: Acquisition
    start: Tensor
    answer: Answer
    scores: Mapping[str, Mapping[str, float]]

    @property
    def start_name(self) -> str:
        """Of the image without a prior."""
        return START.get(self.acquired.entry.name, "from the data alone")


def result_of(acquired: Acquisition, found: Answer) -> Result:
    """With scores where the truth is known."""
    start = acquired.start()
    unnamed = Result(acquired, start, found, {})
    if acquired.truth is None:
        return unnamed
    images = {unnamed.start_name: start, "reconstruction": found.images}
    return Result(
        acquired, start, found, {name: _scores(one, acquired.truth, acquired) for name, one in images.items()}
    )


def tell(result: Result, console: Console) -> None:
    """Print how the image was found, and how near it is to the truth."""
    facts = Table(show_header=False, box=None, pad_edge=False)
    for key, value in _told(result).items():
        facts.add_row(key, Text(visible(value)))
    console.print(facts)
    if not result.scores:
        return
    table = Table(caption=f"Data range {result.acquired.scale:g}.", caption_justify="left")
    table.add_column("image")
    for name in SCORES:
        table.add_column(HEADINGS[name], justify="right")
    for name, row in result.scores.items():
        table.add_row(name, *(_spell(score, row[score]) for score in SCORES))
    print_whole(console, table)


def record(asked: Asked, result: Result) -> dict[str, Any]:
    """For JSON: all that it takes to do it again, and what came of it."""
    acquired = result.acquired
    return {
        "input": asked.given.name,
        "program": f"wardround {__version__}",
        "operator": {"name": acquired.entry.name, **acquired.entry.options},
        "parameters": {name: asked.files().get(name, "not from a file") for name in acquired.parameters},
        "settings": list(asked.settings),
        "simulated": asked.simulate,
        "seed": asked.seed,
        "noise": None if acquired.noise is None else acquired.noise * acquired.scale,
        "photons": asked.photons,
        "data_range": asked.data_range,
        "scale": acquired.scale,
        "image_shape": list(acquired.image_shape),
        "images": len(acquired.measured),
        "remarks": list(acquired.remarks),
        **result.answer.facts,
        "scores": {
            image: {name: _json(value) for name, value in row.items()} for image, row in result.scores.items()
        },
    }


def write_images(result: Result, asked: Asked, out: Path) -> None:
    """The reconstruction in the unit of the file, in its place. Raises ImageError or FileError."""
    values = out_of_channels(result.answer.images * result.acquired.scale, asked.slices)
    write_picture(_smaller(values), out, result.acquired.stored)


def pictures(asked: Asked, result: Result, place: Path) -> str | bytes:
    """A page (.html) or a strip (.png) of the middle images."""
    cases = _cases(asked, result)
    if place.suffix == ".png":
        return _strip([panels for _, panels in cases])
    return page(f"Reconstruction of {asked.given.name}", cases, _told(result))


def _cases(asked: Asked, result: Result) -> list[tuple[str, dict[str, Panel]]]:
    acquired, count = result.acquired, len(result.answer.images)
    chosen = sorted({(2 * at + 1) * count // (2 * MOST_SHOWN) for at in range(MOST_SHOWN)})
    alone = {} if asked.method_name == FROM_DATA else {result.start_name: result.start}
    images = {**alone, "reconstruction": result.answer.images}
    return [
        (
            f"image {at + 1} of {count}" if count > 1 else "",
            comparison(
                None if acquired.truth is None else _turned(acquired.truth[at] * acquired.scale, acquired),
                {name: _turned(one[at] * acquired.scale, acquired) for name, one in images.items()},
                acquired.scale,
                complex_images=acquired.complex_images,
                phase=acquired.complex_images,
                spacing_mm=_spacing(asked, acquired),
            ),
        )
        for at in chosen
    ]


def _turned(image: Tensor, acquired: Acquisition) -> Tensor:
    """A plane of NIfTI with its top up; an array as it is."""
    if acquired.stored.geometry is None or image.dim() != PLANE:
        return image
    return image.rot90(1, (1, 2))


def _spacing(asked: Asked, acquired: Acquisition) -> tuple[float, ...]:
    """Of the axes of one image, by its sides: an image of more pixels than its data covers the same space."""
    held = list(acquired.stored.spacing_mm)
    sizes = list(acquired.stored.geometry.shape) if acquired.stored.geometry is not None else []
    if asked.slices is not None and held:
        del held[asked.slices], sizes[asked.slices]
    sides = acquired.image_shape[1:]
    if len(held) != len(sides):
        return ()
    found = tuple(mm * size / side for mm, size, side in zip(held, sizes, sides, strict=True))
    return found[::-1] if len(found) == PLANE - 1 else found


def _scores(images: Tensor, truth: Tensor, acquired: Acquisition) -> dict[str, float]:
    found = scores_of_each(images, truth, data_range=1.0, complex_images=acquired.complex_images, names=SCORES)
    return {name: _mean(values) for name, values in found.items()}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _told(result: Result) -> dict[str, str]:
    facts, acquired = result.answer.facts, result.acquired
    told = {
        "operator": acquired.entry.name
        + "".join(f", {key} {value}" for key, value in acquired.entry.options.items()),
        "image": " x ".join(map(str, acquired.image_shape[1:]))
        + (", complex" if acquired.complex_images else "")
        + (f", {len(acquired.measured)} of them" if len(acquired.measured) > 1 else ""),
        "method": str(facts["method"]) + (f" on {facts['prior']}" if "prior" in facts else ""),
    }
    if "weight" in facts:
        told["weight"] = f"{facts['weight']:.4g}: {facts['weight_chosen']}"
    if "iterations" in facts:
        told["iterations"] = f"{facts['iterations']}, ended by {facts['stopped']}"
    if "task" in facts:
        told["model"] = f"{facts['task']} of {facts['study']!r}, trained with {facts['trained_with']}"
    return {**told, "seconds": f"{facts['seconds']:.2f}"}


def _spell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if name == "psnr" else f"{value:.4f}"


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value


def _smaller(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.complex64 if values.dtype.kind == "c" else np.float32)


def _strip(rows: list[dict[str, Panel]]) -> bytes:
    """Panels side by side, a row an image, with name and note below each, in one PNG."""
    drawn = [[(name, panel.note, pixels_of(panel, name)) for name, panel in panels.items()] for panels in rows]
    every = [pixels for row in drawn for _, _, pixels in row]
    height, width = max(len(one) for one in every), max(LEAST_WIDTH, *(one.shape[1] for one in every))
    whole = Picture.new("RGB", (max(map(len, drawn)) * (width + GAP), len(drawn) * (height + WORDS + GAP)), "white")
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(FONT)
    for line, row in enumerate(drawn):
        for column, (name, note, pixels) in enumerate(row):
            x, y = column * (width + GAP), line * (height + WORDS + GAP)
            whole.paste(Picture.fromarray(pixels), (x + (width - pixels.shape[1]) // 2, y))
            pen.text((x + width / 2, y + height + WORDS / 2), f"{name}\n{note}", "black", font, "mm", align="center")
    stream = io.BytesIO()
    whole.save(stream, "PNG", optimize=True)
    return stream.getvalue()
