"""Figures of `bench image-priors`: an image by every method, and what an untrained network fits first."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from common.data.array_files import read_array, write_array
from common.files.access import is_there, write
from experiments.benchmarks._log_chart import Points, log_chart

TRUTH = "truth"
FIRST_SHOWN = 10
ENLARGED, LABEL = 3, 14
"""Times a pixel; height of the words above a picture."""


def keep(folder: Path, problem: str, method: str, image: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
    """For the sheet."""
    for name, one in ((method, image), (TRUTH, truth)):
        write_array(one, folder / _name(problem, name))


def sheet(folder: Path, problems: Sequence[str], methods: Sequence[str]) -> None:
    """`priors.png`: a row a problem, the truth first."""
    columns = [TRUTH, *methods]
    rows = [problem for problem in problems if all(is_there(folder, _name(problem, one)) for one in columns)]
    if not rows:
        return
    pictures = [[_grey(read_array(folder / _name(problem, one))) for one in columns] for problem in rows]
    side = pictures[0][0].width
    whole = Image.new("L", (len(columns) * side, len(rows) * (side + LABEL)), 255)
    draw = ImageDraw.Draw(whole)
    for down, line in enumerate(pictures):
        for across, picture in enumerate(line):
            place = (across * side, down * (side + LABEL))
            draw.text((place[0] + 2, place[1] + 1), columns[across] if across else rows[down][:32], fill=0)
            whole.paste(picture, (place[0], place[1] + LABEL))
    written = io.BytesIO()
    whole.save(written, "PNG", optimize=True)
    write(folder, "priors.png", written.getvalue())


def before_noise(losses: Mapping[str, Points]) -> str:
    """An SVG, from the tenth step on: before it all are far from anything."""
    shown = {name: [(step, left) for step, left in points if step >= FIRST_SHOWN] for name, points in losses.items()}
    return str(log_chart(shown, None, "steps", "error that is left, as a share of the variance"))


def _grey(image: NDArray[np.float32]) -> Image.Image:
    picture = Image.fromarray((255 * np.clip(image, 0, 1)).astype(np.uint8))
    return picture.resize((picture.width * ENLARGED, picture.height * ENLARGED), Image.Resampling.NEAREST)


def _name(problem: str, method: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{problem} {method}".lower()) + ".npy"
