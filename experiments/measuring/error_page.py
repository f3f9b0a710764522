"""A page that shows where predicted outlines are wrong, and what all cases come to.

Of every case the slice with most errors along each axis, the worst case first.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from common.data.image import Image
from common.metrics.calibration import CalibrationBin
from common.metrics.definitions import METRICS
from common.metrics.pair import Settings
from experiments.measuring import summary_page
from experiments.measuring.metrics_table import Row
from experiments.measuring.summaries import Line

AGREED, INVENTED, MISSED, OTHER = (70, 130, 180), (230, 97, 0), (93, 58, 155), (240, 228, 66)
"""Safe for colour-blind readers: both have the voxel, only the prediction, only the truth, two different labels."""
SIDE = 280
MOST_FIGURES, MOST_LABELS = 10, 12
SAID = {
    "both": "in both",
    "missed": "missed: only the truth has it",
    "invented": "invented: only the prediction has it",
    "neither": "in neither",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { color: #57606a; font-size: 13px; }
img { image-rendering: pixelated; display: block; border: 1px solid #d0d7de; }
.key span { display: inline-block; width: .9em; height: .9em; margin: 0 .35em 0 1em; vertical-align: -.1em; }
"""
KEY = (
    (AGREED, "both outline it"),
    (INVENTED, "only the prediction (false positive)"),
    (MISSED, "only the truth (false negative)"),
    (OTHER, "two different labels"),
)


def page(
    cases: Sequence[tuple[str, Image, Image]],
    rows: Sequence[Row],
    lines: Sequence[Line],
    settings: Settings,
    curves: Sequence[tuple[str, tuple[CalibrationBin, ...]]] = (),
) -> str:
    """One self-contained HTML page of (name, prediction, truth), label maps that lie in one place, in their order.

    rows: the figures of all cases; lines: what they come to. curves: reliability of chances, by case.
    """
    key = "".join(f'<span style="background: rgb{colour}"></span>{words}' for colour, words in KEY)
    body = "".join(
        f"<h2>{escape(name)}</h2>{_told(name, rows)}"
        f"{_figures(prediction.values, truth.values, truth.geometry.spacing_mm)}"
        for name, prediction, truth in cases
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Where outlines differ</title>'
        f"<style>{STYLE}{summary_page.STYLE}</style><h1>Where outlines differ</h1>"
        f"{summary_page.section(rows, lines, settings, curves)}<h1>Case by case</h1>"
        f"<p>Of every case, the slice with most wrong voxels along each axis. {_order(cases, rows)}</p>"
        f'<p class="key">{key}</p>{body}</html>\n'
    )


def _order(cases: Sequence[tuple[str, Image, Image]], rows: Sequence[Row]) -> str:
    if not rows or len(cases) < 2:
        return ""
    left_out = len({row.case for row in rows}) - len(cases)
    words = f"The worst by {escape(METRICS[next(iter(rows[0].figures))].heading)} come first"
    return f"{words}; better ones ({left_out}) are not drawn." if left_out else f"{words}."


def _told(name: str, rows: Sequence[Row]) -> str:
    """The first figures of a case, label by label."""
    lines = []
    for row in rows:
        if row.case == name:
            told = ", ".join(
                f"{escape(METRICS[one].heading)} {summary_page.spelled(value)}"
                for one, value in list(row.figures.items())[:MOST_FIGURES]
            )
            lines.append(f"<p class=told>label {row.label}, {SAID[row.found]}: {told}</p>")
    return "".join(lines[:MOST_LABELS])


def _figures(prediction: NDArray[np.int64], truth: NDArray[np.int64], spacing_mm: tuple[float, ...]) -> str:
    if truth.ndim == 2:
        return figure(_coloured(prediction, truth), spacing_mm, f"{_wrong(prediction, truth)} wrong pixels")
    figures = []
    for axis in range(3):
        wrong = (prediction != truth).sum(axis=tuple(other for other in range(3) if other != axis))
        index = int(wrong.argmax())
        slices = np.take(prediction, index, axis), np.take(truth, index, axis)
        spacing = tuple(mm for other, mm in enumerate(spacing_mm) if other != axis)
        caption = f"axis {axis}, slice {index} of {len(wrong)}: {int(wrong[index])} wrong voxels"
        figures.append(figure(_coloured(*slices), spacing, caption))
    return "".join(figures)


def _wrong(prediction: NDArray[np.int64], truth: NDArray[np.int64]) -> int:
    return int((prediction != truth).sum())


def _coloured(prediction: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(H, W, 3), the second axis of the slices upwards, as radiologists look at them."""
    colours = np.full((*truth.shape, 3), 255, np.uint8)
    colours[(truth > 0) & (prediction == truth)] = AGREED
    colours[(truth == 0) & (prediction > 0)] = INVENTED
    colours[(truth > 0) & (prediction == 0)] = MISSED
    colours[(truth > 0) & (prediction > 0) & (prediction != truth)] = OTHER
    return np.asarray(np.flip(colours.swapaxes(0, 1), axis=0))


def figure(pixels: NDArray[np.uint8], spacing_mm: tuple[float, ...], caption: str) -> str:
    """HTML of (H, W, 3) pixels, spacing_mm of the slice's two axes: to the right, and upwards."""
    buffer = io.BytesIO()
    Picture.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    width_mm, height_mm = pixels.shape[1] * spacing_mm[0], pixels.shape[0] * spacing_mm[1]
    scale = SIDE / max(width_mm, height_mm)
    size = f'width="{max(1, round(width_mm * scale))}" height="{max(1, round(height_mm * scale))}"'
    return (
        f'<figure><img {size} alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
