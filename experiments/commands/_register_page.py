"""The page of `wardround register`: both images in one picture, before and after, through the middle of each axis."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from common.data.image import Image
from common.registration.linear import Linear
from common.registration.pictures import checkerboard, difference, fused, scaled, split
from common.registration.record import Registration
from common.registration.sampling import least_value, resample

SIDE = 240
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { color: #57606a; font-size: 13px; }
img { image-rendering: pixelated; display: block; border: 1px solid #d0d7de; }
.failed { border-left: 4px solid #b35900; padding-left: .8rem; }
"""
HOW_TO_READ = (
    ("two colours", "grey where both images are alike; magenta where the fixed one is brighter, green where the "
     "moving one is. Unlike contrasts stay coloured even where they fit: look at edges."),
    ("two halves", "left the fixed image, right the moving one: outlines must run on over the middle."),
    ("checkerboard", "fields of one and the other in turn: edges must run on from field to field."),
    ("difference", "grey where both agree, bright or dark where they do not."),
)  # fmt: skip


def page(moving: Image, fixed: Image, found: Registration) -> str:
    """Self-contained HTML."""
    still = Linear.identity(fixed.geometry.dimensions)
    before = resample(moving, fixed.geometry, still, outside=least_value(moving))
    figures = "".join(
        f"<h2>{name}</h2>{_figures(scaled(fixed.values.astype(float)), scaled(image.values.astype(float)), fixed)}"
        for name, image in (("Before", before), ("After", found.image))
    )
    failed = "".join(
        f'<p class="failed"><b>This has probably failed: {escape(doubt)}.</b></p>' for doubt in found.doubts
    )
    failed += "".join(f"<p><b>To know: {escape(note)}.</b></p>" for note in found.notes)
    words = (
        f"{found.overlap:.1%} of the fixed image has a counterpart in the moving one; space folds in "
        f"{found.negative_jacobian:.2%} of it; the cost ended at {found.cost:.5f}."
    )
    key = "".join(f"<li><b>{name}</b>: {meaning}</li>" for name, meaning in HOW_TO_READ)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Registration</title>'
        f"<style>{STYLE}</style></head><body><h1>Registration</h1>{failed}<p>{escape(words)}</p>"
        f"<ul>{key}</ul>{figures}</body></html>\n"
    )


def _figures(fixed: NDArray[np.float64], moving: NDArray[np.float64], image: Image) -> str:
    axes = range(3) if fixed.ndim == 3 else (None,)
    rows = []
    for axis in axes:
        one, two, spacing = _slices(fixed, moving, image, axis)
        pictures = (fused(one, two), split(one, two), checkerboard(one, two), 0.5 + difference(one, two) / 2)
        named = zip(pictures, HOW_TO_READ, strict=True)
        rows.append("<div>" + "".join(figure(one, spacing, name) for one, (name, _) in named) + "</div>")
    return "".join(rows)


def _slices(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], image: Image, axis: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, ...]]:
    if axis is None:
        return fixed, moving, image.geometry.spacing_mm
    middle = fixed.shape[axis] // 2
    left = tuple(size for other, size in enumerate(image.geometry.spacing_mm) if other != axis)
    return fixed.take(middle, axis), moving.take(middle, axis), left


def figure(values: NDArray[np.float64], spacing_mm: tuple[float, ...], caption: str) -> str:
    """(W, H) grey or (W, H, 3) colours of [0, 1]: first axis to the right, second axis up, in true proportions."""
    levels = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    lengths = np.array(values.shape[:2]) * spacing_mm
    width, height = np.maximum(1, np.round(SIDE * lengths / lengths.max())).astype(int)
    buffer = io.BytesIO()
    shown = Picture.fromarray(levels.swapaxes(0, 1)[::-1].copy())
    shown.resize((int(width), int(height)), Picture.Resampling.NEAREST).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )
