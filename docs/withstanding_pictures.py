"""Draw the picture of docs/withstanding.md: images, what was added, and what the model of a run then answers.

python docs/withstanding_pictures.py runs/pneumonia/NEWEST --out docs/withstanding.png

The examples are those of `wardround withstand`: answers that were right, and the least change that misleads.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from experiments.explanations.clock import Clock
from experiments.explanations.pictures import grey_picture, sliced, tile
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.sections.example import Example, Examples, make

SIDE, GAP, LABEL = 224, 12, 44
GREY = "#57606a"


def main() -> None:
    """A row an example, three pictures in each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "withstanding.png")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = make(Subject.of(given.run), Asked(cases=60), Clock(600.0))
    assert isinstance(found, Examples), "nothing misleads this run's model"
    page = Image.new("RGB", (3 * (SIDE + GAP), len(found.examples) * (SIDE + LABEL)), "white")
    for row, one in enumerate(found.examples):
        draw(page, row * (SIDE + LABEL), one)
    page.quantize(128, dither=Image.Dither.NONE).save(given.out, optimize=True)


def draw(page: Image.Image, top: int, one: Example) -> None:
    """The image, the change and the changed image, each with a line below it."""
    added = tile(sliced((one.changed - one.image).sum(0, keepdim=True))[0], signed=True, side=SIDE)
    pictures = (grey(one.image), added, grey(one.changed))
    words = (f"{one.before} (truth: {one.truth})", f"added, at most {one.size} a pixel", one.after)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for column, (pixels, said) in enumerate(zip(pictures, words, strict=True)):
        left = column * (SIDE + GAP)
        page.paste(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, top))
        text = said.replace("\u00a0", " ")
        pen.text((left + SIDE / 2, top + SIDE + 15), text, GREY if column == 1 else "black", font, anchor="mm")


def grey(image: Tensor) -> NDArray[np.uint8]:
    """Its middle slice, where it is a volume."""
    return grey_picture(sliced(image), SIDE)


if __name__ == "__main__":
    main()
