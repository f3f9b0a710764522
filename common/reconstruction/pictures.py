"""A reconstruction beside the truth and what it began with, in one window of grey, with maps of their errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.learning.panels import Panel
from common.metrics.images.of_cases import scores_of_each

ERROR_TIMES = 5.0
"""An error map spans this part of the grey window."""
BRIGHTEST_PERCENT = 99.8
"""Of the truth's values lie within the window: a single bright vessel would leave all else dark."""
LEAST_MAGNITUDE = 0.05
"""Share of the window below which a phase is noise, and not shown."""


def comparison(
    truth: Tensor | None,
    shown: Mapping[str, Tensor],
    data_range: float,
    *,
    complex_images: bool = False,
    phase: bool = False,
    error_times: float = ERROR_TIMES,
    spacing_mm: tuple[float, ...] = (),
) -> dict[str, Panel]:
    """Panels by name: the truth, and each image with PSNR and SSIM beneath and the map of its error after it.

    Args:
        truth: (C, *S); None where it is not known, and then there are no scores and no errors.
        shown: (C, *S) images by name, such as "zero-filled", "reconstruction"; the first channel is drawn.
        data_range: what values may span, stated; of scores alone.
        complex_images: two channels, real and imaginary, drawn by magnitude.
        phase: draw the phase of complex images as well.
        error_times: how much more an error shows than the image; the note below says the scale.
        spacing_mm: of voxels.
    """
    held = {name: _numbers(image) for name, image in shown.items()}
    true = None if truth is None else _numbers(truth)
    window = _window(_drawn(next(iter(held.values())) if true is None else true, complex_images))
    panels: dict[str, Panel] = {}
    if true is not None:
        panels["truth"] = _panel(_drawn(true, complex_images), window, _span(window), spacing_mm)
    for name, image in held.items():
        note = "" if true is None else _scored(image, true, data_range, complex_images)
        panels[name] = _panel(_drawn(image, complex_images), window, note or _span(window), spacing_mm)
        if true is not None:
            error = np.abs(_drawn(image, complex_images) - _drawn(true, complex_images))
            panels[f"error, {name}"] = _error(error, (window[1] - window[0]) / error_times, spacing_mm)
    if phase and complex_images:
        known = {"truth": true, **held} if true is not None else held
        panels |= {f"phase, {name}": _phase(image, window, spacing_mm) for name, image in known.items()}
    return panels


def _numbers(image: Tensor) -> NDArray[np.float64]:
    return np.asarray(image.detach().cpu().double().numpy())


def _drawn(image: NDArray[np.float64], complex_images: bool) -> NDArray[np.float64]:
    """(*S)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.hypot(image[0], image[1]) if complex_images else image[0])


def _window(values: NDArray[np.float64]) -> tuple[float, float]:
    """From the least value, or 0 where none is below, to nearly the largest."""
    finite = values[np.isfinite(values)]
    low, high = (
        (min(0.0, float(finite.min())), float(np.percentile(finite, BRIGHTEST_PERCENT)))
        if finite.size
        else (0.0, 1.0)
    )
    return low, high if high > low else low + 1.0


def _span(window: tuple[float, float]) -> str:
    return f"{window[0]:.3g} to {window[1]:.3g}"


def _panel(
    values: NDArray[np.float64], window: tuple[float, float], note: str, spacing_mm: tuple[float, ...]
) -> Panel:
    return Panel(torch.from_numpy(values), *window, note=note, spacing_mm=spacing_mm)


def _scored(image: NDArray[np.float64], truth: NDArray[np.float64], data_range: float, complex_images: bool) -> str:
    found = scores_of_each(
        image[None], truth[None], data_range=data_range, complex_images=complex_images, names=("psnr", "ssim")
    )
    return f"PSNR {found['psnr'][0]:.2f} dB, SSIM {found['ssim'][0]:.3f}"


def _error(error: NDArray[np.float64], high: float, spacing_mm: tuple[float, ...]) -> Panel:
    note = f"black 0, pale {high:.3g}"
    return Panel(torch.from_numpy(error), 0.0, high, "heat", note, spacing_mm)


def _phase(image: NDArray[np.float64], window: tuple[float, float], spacing_mm: tuple[float, ...]) -> Panel:
    angle = np.arctan2(image[1], image[0])
    angle[~(np.hypot(image[0], image[1]) > LEAST_MAGNITUDE * window[1])] = np.nan
    return Panel(torch.from_numpy(angle), -np.pi, np.pi, "phase", "\u2212\u03c0 to \u03c0", spacing_mm)
