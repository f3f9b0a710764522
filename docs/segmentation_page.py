"""Write docs/segmentation.md: what each method of `wardround segment` is good and bad at, measured, with pictures.

python docs/segmentation_page.py

Some minutes of one core, nearly all of it for atlases. Heads are those of source 'phantom': its label map is part of
the package, nothing is downloaded, and the truth is exact.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.ndimage import label

from client.sources._phantom_acquisition import Scan
from client.sources._phantom_anatomy import draw_anatomy
from client.sources._phantom_atlas import BONE, CSF, DEEP_GREY, GREY, LESION, SCALP, WHITE, Labels
from client.sources._phantom_scanners import T1_SCANNERS, Scanner
from client.sources._phantom_signal import varied
from client.sources.phantom import FIELD_OF_VIEW_MM, SAMPLES_A_PIXEL, TISSUE_SPREAD, majority, tissues
from common.data.geometry import Geometry
from common.data.image import Image
from common.metrics.counts import Counts, f_beta
from common.seeding import generator
from common.segmentation.atlases import Atlas
from common.segmentation.methods import ByAtlas, Grow, Otsu, Threshold
from common.segmentation.tidying import largest_part

SIDE, FINE_SIDE, SHOWN, GAP = 64, 128, 256, 6
PIXEL_MM = FIELD_OF_VIEW_MM / SIDE
PLACE_MM = 2.0
AGREED, INVENTED, MISSED = (70, 130, 180), (230, 97, 0), (160, 110, 240)
OPACITY = 0.75
PLAIN = T1_SCANNERS["ashford-general"]
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """image: (SIDE, SIDE) signal. tissue: (SIDE, SIDE) true tissues."""

    image: Values
    tissue: Labels

    def of(self, *kinds: int) -> Mask:
        """Pixels of these tissues."""
        return np.isin(self.tissue, kinds)


@dataclass(frozen=True)
class Section:
    """picture: pixels, of panels beside each other. table: heads, then rows."""

    name: str
    title: str
    words: str
    picture: NDArray[np.uint8]
    table: Sequence[Sequence[str]]


def head(
    patient: int, scanner: Scanner = PLAIN, change: Callable[[Labels], None] | None = None, side: int = SIDE
) -> Head:
    """A slice of one patient; `change` may alter the fine tissues before they are seen by the scanner."""
    anatomy = draw_anatomy(generator(7, "segmentation page", patient, "anatomy"))
    fine = tissues(anatomy, PLACE_MM, scanner.slice_mm, side)
    if change is not None:
        change(fine)
    rng = generator(7, "segmentation page", patient, "scan")
    scan = Scan.begin(scanner, varied(rng, TISSUE_SPREAD), rng)
    return Head(scan.image(fine, FIELD_OF_VIEW_MM, side, rng).astype(np.float64), majority(fine, side))


def dice(truth: Mask, found: Mask) -> float:
    """2 |A n B| / (|A| + |B|)."""
    return float(f_beta(Counts.of(truth.astype(np.int64), found.astype(np.int64), [1]))[0])


def best_threshold(values: Values, truth: Mask) -> float:
    """The lower limit that is best when the truth is known: as good as any threshold can be."""
    tried = np.quantile(values, np.linspace(0.4, 0.98, 117))
    return float(max(tried, key=lambda limit: dice(truth, values >= limit)))


def best_interval(values: Values, truth: Mask) -> float:
    """The Dice of the best lower and upper limit when the truth is known."""
    tried = np.quantile(values, np.linspace(0.0, 1.0, 41))
    pairs = [(low, high) for index, low in enumerate(tried) for high in tried[index + 1 :]]
    return max(dice(truth, outlined(Threshold(*pair), values)) for pair in pairs)


def outlined(method: Threshold | Otsu | Grow, values: Values) -> Mask:
    """What a method of two classes finds."""
    return np.asarray(method.find(_image(values)).labels > 0)


def noise_section() -> Section:
    """White matter is the brightest tissue in T1."""
    rows, panels = [("noise, share of white matter's signal", "Dice", "parts", "Dice of the largest part")], []
    limit = best_threshold(quiet().image, quiet().of(WHITE))
    for noise in (0.0, 0.03, 0.06, 0.10, 0.15):
        one = head(0, replace(PLAIN, noise=noise, bias=0.0))
        truth, found = one.of(WHITE), outlined(Threshold(lower=limit), one.image)
        largest = largest_part(found.astype(np.int64)) > 0
        rows.append((f"{noise:g}", f"{dice(truth, found):.3f}", str(label(found)[1]), f"{dice(truth, largest):.3f}"))
        panels += [panel(one.image, truth, found)] if noise in (0.0, 0.06, 0.15) else []
    return Section(
        "noise",
        "Thresholds: isolated pixels and rough borders",
        "One threshold, the best one of the image without noise. A threshold looks at one pixel at a time: as noise "
        "grows the outline falls into more and more parts and its border frays. `--largest-part` takes the specks "
        "away, and with them whatever true tissue no longer hangs together; the rough border stays.",
        beside(panels),
        rows,
    )


def scanner_section() -> Section:
    """T1 of five hospitals."""
    heads = {site: head(0, replace(scanner, motion_mm=0.0)) for site, scanner in T1_SCANNERS.items()}
    first = best_threshold(quiet().image, quiet().of(WHITE))
    rows, panels = (
        [("hospital, T1 weighted", "best threshold", "Dice there", "Dice at one for all", "Dice, Otsu")],
        [],
    )
    for site, one in heads.items():
        truth, limit = one.of(WHITE), best_threshold(one.image, one.of(WHITE))
        theirs = outlined(Threshold(lower=first), one.image)
        by_otsu = Otsu(classes=4).find(_image(one.image)).labels == 3
        found = (one.image >= limit, theirs, by_otsu)
        rows.append(
            (f"{site}, {T1_SCANNERS[site].name}", f"{limit:.3f}", *(f"{dice(truth, mask):.3f}" for mask in found))
        )
        panels.append(panel(one.image, truth, theirs))
    return Section(
        "scanners",
        "Thresholds: another image, another threshold",
        "The same head in five machines. The number that parts white from grey matter is another in each, and a coil "
        "that shines from one side moves it within one image. With a number from elsewhere the last hospital loses "
        "half of its Dice. Otsu's method (here the brightest of four classes) finds a threshold for each image by "
        "itself and falls nowhere so low; it asks where intensities part best, which need not be where tissues do, "
        "and so it is behind the best threshold everywhere. The pictures show the threshold of the first head "
        "without noise in all five.",
        beside(panels),
        rows,
    )


def leak_section() -> Section:
    """What is inside the skull, grown from the middle."""
    scanner = replace(PLAIN, noise=0.02, bias=0.0, pixel_mm=1.2, slice_mm=2.5)
    limits = (0.25, 0.3)
    rows = [
        ("gap in the skull, mm", *(f"{what}, limit {one:g}" for one in limits for what in ("Dice", "leaked pixels")))
    ]
    panels = []
    for gap_mm in (0.0, 2.0, 8.0):
        one = head(0, scanner, lambda fine, gap=gap_mm: opened(fine, gap), FINE_SIDE)  # type: ignore[misc]
        truth, white = one.of(CSF, GREY, WHITE, DEEP_GREY), np.argwhere(one.of(WHITE))
        cells = []
        for limit in limits:
            method = Grow(seeds=[white[len(white) // 2]], lower=limit * float(np.quantile(one.image, 0.95)))
            found = outlined(method, one.image)
            cells += [f"{dice(truth, found):.3f}", str(int((found & ~truth).sum()))]
            panels += [panel(one.image, truth, found)] if limit == limits[0] or gap_mm == 2 else []
        rows.append((f"{gap_mm:g}", *cells))
    return Section(
        "leak",
        "Growing: one gap is enough",
        "Grown from one pixel of white matter into all that is brighter than bone; limits are shares of the brain's "
        "signal. While the skull is closed nothing outside of it is taken. Through a gap of 2 mm the region runs "
        "out and takes the whole scalp at the one limit, and stays inside at the other: from right to wrong in one "
        "step, and no number in between warns. Dice hardly does, since the brain is large and the scalp thin. Look "
        "at the outline. (Pictures: closed; 2 mm at both limits; 8 mm.)",
        beside(panels),
        rows,
    )


def seed_section() -> Section:
    """The same tolerance from thirty seeds."""
    one = head(0, replace(PLAIN, noise=0.04, bias=0.0))
    truth = one.of(WHITE)
    places = generator(7, "segmentation page", "seeds").choice(np.argwhere(truth), 30, replace=False)
    step = float(one.image[truth].mean() - one.image[one.of(GREY)].mean())
    rows, panels = [("tolerance, share of the step to grey matter", "worst Dice", "median", "best")], []
    for share in (0.25, 0.5, 0.75, 1.0):
        grown = [outlined(Grow(seeds=[place], tolerance=share * step), one.image) for place in places]
        scores = np.array([dice(truth, mask) for mask in grown])
        rows.append((f"{share:g}", *(f"{value:.3f}" for value in (scores.min(), np.median(scores), scores.max()))))
        if share == 0.5:
            several = [
                outlined(Grow(seeds=places[i : i + 5], tolerance=share * step), one.image) for i in range(0, 30, 5)
            ]
            order = np.argsort(scores)
            panels = [panel(one.image, truth, grown[index]) for index in order[[0, len(order) // 2, -1]]]
    together = np.array([dice(truth, mask) for mask in several])
    spread = (together.min(), np.median(together), together.max())
    rows.append(("0.5, from five seeds together", *(f"{value:.3f}" for value in spread)))
    return Section(
        "seeds",
        "Growing: another seed, another outline",
        "White matter grown from 30 of its own pixels, one at a time, with one tolerance about the seed's value. "
        "Noise in the seed moves the whole interval, and a seed at the border grows next to nothing: two people who "
        "click beside each other get other outlines (pictures: worst, median and best at 0.5). The mean of several "
        "seeds, `--seed` again and again, is steadier, as the last row shows; `--lower` and `--upper` never move.",
        beside(panels),
        rows,
    )


def atlas_section(count: int = 3) -> Section:
    """Another patient with and without a tumour."""
    scanner = replace(PLAIN, noise=0.03, bias=0.05)
    atlases = [_atlas(head(patient, scanner)) for patient in range(1, count + 1)]
    targets = {"healthy": head(0, scanner), "with a tumour": head(0, scanner, tumour)}
    structures = {"ventricles and CSF": CSF, "white matter": WHITE, "deep grey matter": DEEP_GREY, "tumour": LESION}
    rows, panels = [("patient", *structures, "CPU s")], []
    for name, one in targets.items():
        started = time.process_time()
        found = ByAtlas(tuple(atlases)).find(_image(one.image)).labels
        seconds = time.process_time() - started
        scores = (dice(one.of(kind), found == kind) if one.of(kind).any() else np.nan for kind in structures.values())
        rows.append((name, *("-" if np.isnan(score) else f"{score:.3f}" for score in scores), f"{seconds:.0f}"))
        panels += [panel(one.image, one.of(kind), found == kind) for kind in (DEEP_GREY, WHITE)]
        if name == "healthy":
            limits = [best_interval(one.image, one.of(kind)) for kind in (CSF, WHITE, DEEP_GREY)]
            rows.append(("healthy, the best two thresholds", *(f"{score:.3f}" for score in limits), "-", "0"))
    ill = targets["with a tumour"]
    panels.append(panel(ill.image, ill.of(LESION), np.zeros_like(ill.of(LESION))))
    return Section(
        "atlas",
        "Atlases: they know anatomy, and nothing else",
        f"Labels of {count} other heads, registered to this one and fused. Deep grey matter has the signal of the "
        "cortex, so that even the best two thresholds, chosen with the truth at hand, hardly find it; atlases know "
        "where it lies. That has a price: each is registered deformably, seconds in all for one slice of 64 x 64 "
        "pixels, where a threshold takes none. And what no atlas has cannot be found: a tumour of 13 "
        "mm radius is labelled as the healthy tissue that lies there in others, and what is beside it is outlined "
        "worse. Nothing in the result says so. (Pictures: deep grey and white matter of the healthy patient, both "
        "with the tumour, and the tumour itself, all of it missed.)",
        beside(panels),
        rows,
    )


def opened(fine: Labels, gap_mm: float) -> None:
    """Bone at the front becomes scalp, over a width of `gap_mm` about the middle."""
    half = round(gap_mm * fine.shape[2] / FIELD_OF_VIEW_MM / 2)
    middle = fine.shape[2] // 2
    part = fine[:, : fine.shape[1] // 2, middle - half : middle + half]
    part[part == BONE] = SCALP


def tumour(fine: Labels) -> None:
    """A disc of 13 mm radius beside the ventricle."""
    y, x = np.indices(fine.shape[1:]) / (SAMPLES_A_PIXEL / PIXEL_MM)
    inside = (y - 0.47 * FIELD_OF_VIEW_MM) ** 2 + (x - 0.60 * FIELD_OF_VIEW_MM) ** 2 < 13.0**2
    fine[:, inside] = LESION


def quiet() -> Head:
    """Without noise and with an even coil."""
    return head(0, replace(PLAIN, noise=0.0, bias=0.0))


def panel(values: Values, truth: Mask, found: Mask) -> NDArray[np.uint8]:
    """(H, W, 3): the image, and where truth and outline agree or differ."""
    grey = np.clip(values / np.quantile(values, 0.995), 0, 1) * 255
    colours = np.repeat(grey[..., None], 3, axis=2)
    for mask, colour in ((truth & found, AGREED), (found & ~truth, INVENTED), (truth & ~found, MISSED)):
        colours[mask] = (1 - OPACITY) * colours[mask] + OPACITY * np.array(colour)
    return np.kron(np.round(colours), np.ones((SHOWN // len(values),) * 2 + (1,))).astype(np.uint8)


def beside(panels: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """In one row, with white between."""
    white = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for one in panels for part in (one, white)]
    return np.concatenate(parts[:-1], axis=1)


def page(sections: Sequence[Section]) -> str:
    """Markdown."""
    return HEADING + "".join(map(_written, sections))


def _written(section: Section) -> str:
    heads, *rows = section.table
    lines = ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]
    return (
        f"\n## {section.title}\n\n{section.words}\n\n![{section.title}](segmentation-{section.name}.png)\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _image(values: Values) -> Image:
    return Image(values, Geometry.of(values.shape, PIXEL_MM))


def _atlas(one: Head) -> Atlas:
    return Atlas(_image(one.image), Image(one.tissue.astype(np.int64), Geometry.of(one.tissue.shape, PIXEL_MM)))


HEADING = """# Outlines without learning

    wardround segment scan.nii.gz --method threshold --lower 120 --largest-part --fill-holes --out outline.nii.gz
    wardround segment scan.nii.gz --method otsu --classes 3 --out classes.nii.gz --truth labels.nii.gz
    wardround segment scan.nii.gz --method grow --seed 40,52,20 --seed 44,50,20 --tolerance 30 --out outline.nii.gz
    wardround segment scan.nii.gz --method atlas --atlas other.nii.gz=other-labels.nii.gz --out labels.nii.gz

Four methods that need no training, on NIfTI or arrays (.npy, .h5), in 2D and 3D; in Python
`wardround.imaging.segment`. The label map lies in the image's place, a record in JSON beside it says what was done
and found, and `--truth` adds the Dice. Where nothing was found, a seed lies outside of the limits, or an atlas could
not be brought over, the first lines say so and the command exits with 1. NaN and infinite values belong to nothing;
in files they are refused.

| method | asks for | good at | bad at |
|---|---|---|---|
| `threshold` | one limit or two | brightness in known units (CT); fast | noise, uneven coils, other scanners |
| `otsu` | number of classes | a limit of its own for each image | small structures, tissues nearly alike |
| `grow` | seeds; limits or a tolerance | one structure with a closed border | gaps; other seeds, other outlines |
| `atlas` | labelled images | structures that brightness does not tell | time; what no atlas has: tumours |

What follows was measured by `python docs/segmentation_page.py`, which writes this page: axial slices of synthetic
T1-weighted heads (source `phantom`), whose true tissues are known. In pictures blue is where outline and truth agree,
orange what only the outline has, violet what only the truth has. It is one head, to show what kind of error each
method makes; how large it is in your images, `--truth` tells.
"""


def main() -> None:
    """All sections, and their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    sections = [noise_section(), scanner_section(), leak_section(), seed_section(), atlas_section()]
    for section in sections:
        Picture.fromarray(section.picture).save(out / f"segmentation-{section.name}.png", optimize=True)
    (out / "segmentation.md").write_text(page(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
