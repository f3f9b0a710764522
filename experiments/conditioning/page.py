"""Writes docs/conditioning.md: how ill-posed each operator is, and what a weight buys, with its figures as pictures.

Run `python -m experiments.conditioning.page` from the project's folder after a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.files.access import write_to
from experiments.conditioning.curves import Curve, Shown, curve
from experiments.conditioning.log_axes import log_axes
from server.reporting.markup import Markup

FOLDER = Path("docs")
SIDE = 32
REAL, COMPLEX = (1, SIDE, SIDE), (2, SIDE, SIDE)
SHOWN = (
    Shown("denoising", REAL),
    Shown("inpainting", REAL, {"hidden": 0.5}, "inpainting, half hidden"),
    Shown("blur", REAL, {"sd_pixels": 1.0}, "blur of 1 pixel"),
    Shown("downsampling", REAL, {"factor": 2}, "downsampling by 2"),
    Shown("cartesian_mri", COMPLEX, {"acceleration": 4.0}, "MRI x4"),
    Shown("cartesian_mri", COMPLEX, {"acceleration": 4.0, "coils": 4}, "MRI x4, 4 coils"),
    Shown("ct", REAL, {"views": 12}, "CT, 12 views"),
)
X_WORDS = "weight, as a share of the squared norm"
TABLE_AT = (1e-6, 1e-4, 1e-2, 1.0)
HEADING = f"""# How ill-posed an operator is

A Tikhonov image (A'A + w I)<sup>-1</sup> A'y of {SIDE} x {SIDE} pixels. Its equations have the condition number
(s<sub>max</sub>² + w) / (s<sub>min</sub>² + w). White noise of standard deviation 1 in the data becomes noise of the
**noise gain** a pixel. What the weight buys in noise it costs in bias: **lost** is the share of an image of
independent pixels that the method leaves out, on average. The weight is a share of the squared norm of A, so that
operators compare. Figures are computed by the code of this project, from stated singular values or, where an
operator states none, by Lanczos quadrature (`common/reconstruction/conditioning.py`);
`python -m experiments.conditioning.page` writes this page.

- Where nothing is missing (denoising), no weight is needed; where something is not measured at all (inpainting, MRI
  x4, downsampling), the condition number is that of the weight alone, and no weight brings back what is lost.
- Blur measures everything, some of it hardly: its noise gain falls with the weight over decades. This is where the
  choice of the weight decides.
- Several coils see what one does not: less is lost, at a noise gain that the weight has to hold.
"""


def write(folder: Path = FOLDER) -> None:
    """The page and its pictures."""
    curves = [curve(shown) for shown in SHOWN]
    (folder / "conditioning").mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(curves).items():
        write_to(folder / "conditioning" / name, f"{picture}\n")
    write_to(folder / "conditioning.md", "\n".join(_lines(curves)) + "\n")


def pictures(curves: Sequence[Curve]) -> Mapping[str, Markup]:
    """SVG by file name: condition number, noise gain and loss against the weight's share of the squared norm."""
    return {
        f"{file}.svg": log_axes(
            {one.name: [(at.weight / one.largest, getattr(at, quantity)) for at in one.points] for one in curves},
            X_WORDS,
            title,
        )
        for file, quantity, title in (
            ("condition-number", "condition_number", "condition number"),
            ("noise-gain", "noise_gain", "noise a pixel for noise 1 of a datum"),
            ("lost", "lost", "share of an image that is lost"),
        )
    }


def _lines(curves: Sequence[Curve]) -> Iterator[str]:
    yield HEADING
    yield "![Condition number against weight](conditioning/condition-number.svg)\n"
    yield "![Noise gain against weight](conditioning/noise-gain.svg)\n"
    yield "![Loss against weight](conditioning/lost.svg)\n"
    yield "| operator | squared norm | " + " | ".join(f"at {share:g}" for share in TABLE_AT) + " |"
    yield "|---|---|" + "---|" * len(TABLE_AT)
    for one in curves:
        cells = [_cell(one, share) for share in TABLE_AT]
        yield f"| {one.name}{'' if one.exact else ' *'} | {one.largest:.4g} | " + " | ".join(cells) + " |"
    yield "\nCondition number / noise gain / lost. * estimated by Lanczos quadrature, the others exact."


def _cell(one: Curve, share: float) -> str:
    at = min(one.points, key=lambda point: abs(point.weight / one.largest - share))
    return f"{at.condition_number:.3g} / {at.noise_gain:.3g} / {at.lost:.2g}"


if __name__ == "__main__":
    write()
