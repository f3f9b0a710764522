"""Draw the picture of docs/explanations.md: maps of a model that learned a mark, and of one that never saw it.

python docs/explanations_pictures.py --out docs

Half a minute of one core. Heads are synthesised, half of them called ill by a coin; into the images of the ill a
letter is burnt. One network learns from images with letters, the other from the same images without.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from common.attribution.attribution import Attribution
from common.attribution.faithfulness.marker import Marker
from common.attribution.log_odds import LogOdds
from common.data.cases import Shape
from common.learning.parameters import new_network
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS, SOURCES, TASKS
from common.study.options import Entry
from experiments.explanations.pictures import grey_picture, overlay

SIDE, STEPS, BATCH = 64, 80, 16
SHOWN, GAP, LABEL, LEFT = 168, 6, 34, 132
SOURCE = Entry("phantom", {"hospitals": 1, "patients": [40], "size": SIDE, "noiseless": True})
TASK = Entry("classification", {"network": "mcmahan_cnn"})
METHODS = ("occlusion", "integrated_gradients", "saliency", "edges")
NETWORKS = ("The model learned\nthe letter", "The model never\nsaw a letter")
MARKER = Marker(side_px=10, place=(4, 4))
SEED = 1


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    picture().save(parser.parse_args().out / "explanations-control.png", optimize=True)


def picture() -> Image.Image:
    """Rows of networks, columns of methods."""
    plain, labels = _heads()
    marked = np.where(labels[:, None, None, None] == 1, MARKER.planted(plain), plain)
    case = torch.from_numpy(marked[np.flatnonzero(labels)[:1]])
    rows = [
        (name, _row(_trained(images, labels), case)) for name, images in zip(NETWORKS, (marked, plain), strict=True)
    ]
    return _sheet(rows)


def _heads() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images in [0, 1], and a coin for each."""
    source: Any = SOURCES.build(SOURCE)
    images = source.cases(source.sites()[0], SEED).inputs
    low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
    labels = generator(SEED, "coins").integers(0, 2, len(images))
    return ((images - low) / np.maximum(high - low, 1e-6)).astype(np.float32), labels


def _trained(images: NDArray[np.float32], labels: NDArray[np.int64]) -> nn.Module:
    task: Any = TASKS.build(TASK)
    network = new_network(task, Shape((1, SIDE, SIDE), 2), SEED)
    optimiser, rng = torch.optim.Adam(network.parameters(), 3e-4), generator(SEED, "batches")
    for _ in range(STEPS):
        rows = rng.integers(0, len(images), BATCH)
        optimiser.zero_grad()
        logits = network(torch.from_numpy(images[rows]))
        nn.functional.cross_entropy(logits, torch.from_numpy(labels[rows])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


def _row(network: nn.Module, case: Tensor) -> list[tuple[str, NDArray[np.uint8]]]:
    with torch.no_grad():
        sure = float(network(case).softmax(1)[0, 1])
    cells = [(f"an ill case: {100 * sure:.0f} % sure", grey_picture(case[0]))]
    for name in METHODS:
        method: Attribution = ATTRIBUTIONS.build(Entry(name))
        found = method.explain(network, case, LogOdds(torch.tensor([1])), generator(SEED, name))
        words = "edges: a control" if name == "edges" else name.replace("_", " ")
        cells.append((words, overlay(case[0], found[0], method.signed)))
    return cells


def _sheet(rows: list[tuple[str, list[tuple[str, NDArray[np.uint8]]]]]) -> Image.Image:
    wide, high = LEFT + (SHOWN + GAP) * (1 + len(METHODS)), (SHOWN + LABEL) * len(rows)
    sheet = Image.new("RGB", (wide, high), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (name, cells) in enumerate(rows):
        top = row * (SHOWN + LABEL)
        pen.multiline_text((4, top + SHOWN // 2 - 16), name, "black", font)
        for column, (words, pixels) in enumerate(cells):
            left = LEFT + column * (SHOWN + GAP)
            sheet.paste(Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.NEAREST), (left, top))
            pen.text((left, top + SHOWN + 6), words, "black", font)
    return sheet


if __name__ == "__main__":
    main()
