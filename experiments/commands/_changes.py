"""`wardround changes`: two visits in, what changed between them out, each place with its probability by chance."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from scipy.ndimage import binary_erosion

from common.data.image import Image, read_image, write_image
from common.errors import ImageError
from common.files.access import write_to
from common.registration.changes import Change, Changes, detect_changes, inner
from common.registration.itk_files import FIELD_SUFFIXES
from common.registration.pictures import scaled
from common.registration.register import register
from common.registration.sampling import resample
from common.registration.transform import Transform
from experiments.commands._register_page import STYLE, figure
from experiments.whole_tables import print_whole

MOST_SHOWN = 12
WHOLLY = 0.999
BRIGHTER, DARKER = (0.90, 0.38, 0.0), (0.12, 0.47, 0.71)
"""Orange and blue: told apart by colour-blind readers too."""


@dataclass(frozen=True)
class Sought:
    """What a person asked for, as in the command's help."""

    transform: str = "rigid"
    mask: Path | None = None
    rate: float = 0.05
    size_mm: float = 3.0
    seed: int = 0
    out: Path | None = None
    csv_file: Path | None = None
    pictures: Path | None = None


def compare_visits(before_file: Path, after_file: Path, console: Console, sought: Sought) -> bool:
    """Register, look, say, write; whether nothing speaks against the registration."""
    if sought.out is not None and not sought.out.name.endswith(FIELD_SUFFIXES):
        raise ImageError(f"{sought.out.name} must end with .nii or .nii.gz.")
    before, after = read_image(before_file), read_image(after_file)
    mask = None if sought.mask is None else read_image(sought.mask)
    torch.set_num_threads(1)
    doubts: tuple[str, ...] = ()
    if sought.transform != "none":
        aligned = register(after, before, sought.transform, seed=sought.seed, fixed_mask=mask)
        mask = _met(before, after, aligned.transform, mask)
        after, doubts = aligned.image, aligned.doubts
    for doubt in doubts:
        console.print(f"[bold red]The registration has probably failed:[/] {escape_markup(doubt)}.", soft_wrap=True)
    found = detect_changes(before, after, mask, rate=sought.rate, size_mm=sought.size_mm, seed=sought.seed)
    console.print(sentence(found, sought), soft_wrap=True, highlight=False)
    if found.places:
        print_whole(console, _table(found.places))
    if sought.out is not None:
        write_image(found.p, sought.out)
    if sought.csv_file is not None:
        write_to(sought.csv_file, as_csv(found.places, before.geometry.dimensions))
    if sought.pictures is not None:
        write_to(sought.pictures, page(before, after, found, sought, doubts))
    return not doubts


def _met(before: Image, after: Image, transform: Transform, mask: Image | None) -> Image:
    """Where to look: within the mask, or else the head, and at least a voxel within the second image's field."""
    still = after.geometry
    field = resample(Image(np.ones(still.shape, np.float32), still), before.geometry, transform, outside=0.0)
    thick = np.array([size > 2 for size in before.geometry.shape])
    near = np.ones(np.where(thick, 3, 1), np.bool_)
    looked = binary_erosion(field.values > WHOLLY, near) & (inner(before) if mask is None else mask.values != 0)
    return Image(looked, before.geometry)


def sentence(found: Changes, sought: Sought) -> str:
    """What was found, and how often that is found where nothing changed."""
    chance = f"of pairs without any change, {sought.rate:.0%} have a place so conspicuous"
    if not found.places:
        return f"No change was found: nothing above {found.threshold(sought.rate):.2f} deviations; {chance}."
    return f"{len(found.places)} places changed by more than {found.threshold(sought.rate):.2f} deviations; {chance}."


def as_csv(places: tuple[Change, ...], dimensions: int) -> str:
    """A row a place: centre in mm, RAS."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*"xyz"[:dimensions], "volume_mm3" if dimensions == 3 else "area_mm2", "change", "p"])
    for one in places:
        centre = (round(part, 3) for part in one.centre_mm)
        writer.writerow(
            [*centre, round(one.volume_mm3, 3), "brighter" if one.brighter else "darker", round(one.p, 5)]
        )
    return text.getvalue()


def page(before: Image, after: Image, found: Changes, sought: Sought, doubts: tuple[str, ...]) -> str:
    """Self-contained HTML: each place in both visits, and coloured; the null distribution."""
    failed = "".join(
        f'<p class="failed"><b>The registration has probably failed: {escape(one)}.</b></p>' for one in doubts
    )
    shown = "".join(
        f"<h2>Place {number}: {_words(place)}</h2><div>{_pictures(before, after, found, place, sought.rate)}</div>"
        for number, place in enumerate(found.places[:MOST_SHOWN], 1)
    )
    left = len(found.places) - MOST_SHOWN
    more = f"<p>{left} smaller places are not shown.</p>" if left > 0 else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Changes between two visits</title>'
        f"<style>{STYLE}</style></head><body><h1>Changes between two visits</h1>{failed}"
        f"<p>{escape(sentence(found, sought))} Orange is brighter at the second visit, blue darker.</p>"
        f"{_null(found, sought.rate)}{shown}{more}</body></html>\n"
    )


def _way(place: Change) -> str:
    return "brighter" if place.brighter else "darker"


def _words(place: Change) -> str:
    centre = ", ".join(f"{part:.1f}" for part in place.centre_mm)
    unit = "mm<sup>3</sup>" if len(place.centre_mm) == 3 else "mm<sup>2</sup>"
    return f"{_way(place)}, {place.volume_mm3:.1f} {unit} at ({centre}) mm, p = {place.p:.3g}"


def _pictures(before: Image, after: Image, found: Changes, place: Change, rate: float) -> str:
    geometry = before.geometry
    images = [scaled(one.values.astype(float)) for one in (before, after)]
    grey = np.repeat(images[1][..., None], 3, axis=-1)
    changed = found.p.values <= rate
    for colour, here in ((BRIGHTER, found.score.values > 0), (DARKER, found.score.values < 0)):
        grey[changed & here] = 0.35 * grey[changed & here] + 0.65 * np.array(colour)
    spacing = geometry.spacing_mm
    planes: list[NDArray[np.float64]] = [*images, grey]
    if geometry.dimensions == 3:
        index = int(np.clip(round(float(geometry.world_to_voxel(place.centre_mm)[2])), 0, geometry.shape[2] - 1))
        planes, spacing = [one[:, :, index] for one in planes], spacing[:2]
    names = ("first visit", "second visit, registered", "what changed")
    return "".join(figure(one, spacing, name) for one, name in zip(planes, names, strict=True))


def _null(found: Changes, rate: float) -> str:
    """A histogram of the largest score in maps of noise, the threshold, and the largest score of this pair."""
    largest = float(np.abs(found.score.values[found.p.values < 1]).max(initial=0.0))
    low, high = float(found.largest[0]), max(float(found.largest[-1]), largest) * 1.05
    counts, edges = np.histogram(found.largest, bins=30, range=(low, high))
    width, height = 560.0, 120.0

    def at(value: float) -> float:
        return 10 + (width - 20) * (value - low) / max(high - low, 1e-9)

    bars = "".join(
        f'<rect x="{at(edges[k]):.1f}" y="{height - 100 * count / max(1, counts.max()):.1f}" '
        f'width="{at(edges[k + 1]) - at(edges[k]) - 1:.1f}" height="{100 * count / max(1, counts.max()):.1f}" '
        'fill="#8c959f"/>'
        for k, count in enumerate(counts)
    )
    lines = "".join(
        f'<line x1="{at(value):.1f}" x2="{at(value):.1f}" y1="8" y2="{height}" stroke="{colour}" stroke-width="2"/>'
        for value, colour in ((found.threshold(rate), "#1b1f24"), (largest, "#b35900"))
    )
    ends = "".join(
        f'<text x="{at(value):.0f}" y="{height + 15:.0f}" font-size="12" text-anchor="middle">{value:.1f}</text>'
        for value in np.linspace(low, high, 5)
    )
    words = (
        f"The largest score in each of {len(found.largest)} maps of noise like this pair's; black: what {rate:.0%} "
        f"of them exceed ({found.threshold(rate):.2f}); orange: the largest of this pair ({largest:.2f})."
    )
    return (
        f'<figure><svg viewBox="0 0 {width:.0f} {height + 20:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="largest scores of noise">{bars}{lines}{ends}</svg><figcaption>{words}</figcaption></figure>'
    )


def _table(places: tuple[Change, ...]) -> Table:
    table = Table()
    for column in ("centre, mm", "size", "change", "p"):
        table.add_column(column, justify="left" if column == "change" else "right")
    for one in places[:MOST_SHOWN]:
        centre = ", ".join(f"{part:.1f}" for part in one.centre_mm)
        table.add_row(centre, f"{one.volume_mm3:.1f}", _way(one), f"{one.p:.3g}")
    return table
