"""`wardround segment`: outline an image, say what was found and what speaks against it, write labels and a record."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from common import __version__
from common.data.image import Image
from common.errors import ImageError
from common.files.access import write_to
from common.metrics.counts import Counts, f_beta
from common.segmentation.methods import Found, segmented
from experiments.measuring.image_files import check_name, is_nifti, write_labels
from experiments.segmenting.asked import Asked, read_given, read_truth
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

MOST_LABELS = 1000
MM3_AN_ML = 1000.0


def record_beside(out: Path) -> Path:
    """out.nii.gz -> out.json."""
    stem = out.name.removesuffix(".gz")
    return out.with_name(stem[: stem.rfind(".")] + ".json")


def outline(asked: Asked, console: Console, out: Path, json_file: Path) -> bool:
    """Whether nothing speaks against what was found; it is written in any case. Raises ImageError and others."""
    check_name(out)
    _keep_inputs(asked, out, json_file)
    started = time.process_time()
    method = asked.method_asked()
    image = read_given(asked.given)
    truth = None if asked.truth is None else read_truth(asked.truth, image)
    found = segmented(image, method, largest=asked.largest, filled=asked.filled, connectivity=asked.connectivity)
    record = _record(asked, image, found, truth) | {"cpu_seconds": round(time.process_time() - started, 3)}
    write_labels(Image(found.labels, image.geometry), out, asked.given)
    write_to(json_file, json.dumps(record, indent=1) + "\n")
    for doubt in found.doubts:
        console.print(f"[bold red]This has probably failed:[/] {visible(doubt)}.", highlight=False, soft_wrap=True)
    print_whole(console, _table(record))
    return not found.doubts


def _keep_inputs(asked: Asked, *written: Path) -> None:
    """Raise ImageError where a file that is read would be written over, or what lies beside it in JSON."""
    if len({path.resolve() for path in written}) < len(written):
        raise ImageError(f"{written[0].name} and the record must be two files.")
    for path in [one for read in asked.files() for one in (read, record_beside(read))]:
        if any(path.resolve() == one.resolve() for one in written):
            raise ImageError(f"{path.name} is read or describes what is; write what is found to another file.")


def _record(asked: Asked, image: Image, found: Found, truth: Image | None) -> dict[str, Any]:
    spacing = list(image.geometry.spacing_mm) if is_nifti(asked.given) else None
    labels, counts = np.unique(found.labels, return_counts=True)
    sizes = {int(label): int(count) for label, count in zip(labels, counts, strict=True) if label != 0}
    voxel_ml = math.prod(spacing) / MM3_AN_ML if spacing is not None and len(spacing) == 3 else None
    dice = {} if truth is None else _dice(found, truth.values)
    return {
        "image": asked.given.name,
        "method": asked.method,
        "options": _finite(asked.spelled()),
        "largest_part": asked.largest,
        "fill_holes": asked.filled,
        "connectivity": asked.connectivity,
        "found": _finite(dict(found.figures)),
        "doubts": list(found.doubts),
        "spacing_mm": spacing,
        "truth": None if asked.truth is None else asked.truth.name,
        "labels": [
            {
                "label": label,
                "voxels": sizes.get(label, 0),
                "ml": None if voxel_ml is None else sizes.get(label, 0) * voxel_ml,
                **({"dice": dice.get(label)} if truth is not None else {}),
            }
            for label in sorted({*sizes, *dice})
        ],
        "wardround": __version__,
    }


def _dice(found: Found, truth: Any) -> dict[int, float | None]:
    """By label. Where the method finds one structure alone, the truth is all that is not 0."""
    predicted = np.asarray(found.labels)
    true = np.asarray(truth).reshape(predicted.shape)
    if found.is_mask:
        true, predicted = (true != 0).astype(np.int64), (predicted != 0).astype(np.int64)
    labels = sorted(({*np.unique(true).tolist()} | {*np.unique(predicted).tolist()}) - {0})
    if len(labels) > MOST_LABELS:
        raise ImageError(f"the truth has {len(labels)} labels; at most {MOST_LABELS} are compared.")
    values = f_beta(Counts.of(true.astype(np.int64), predicted, labels))
    return {int(label): float(value) for label, value in zip(labels, values, strict=True)}


def _finite(value: Any) -> Any:
    """JSON has no infinity: an open limit is null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(record: dict[str, Any]) -> Table:
    found = ", ".join(f"{name} {_words(value)}" for name, value in record["found"].items() if name != "voxels")
    said = f"{record['method']}: {found}" if found else record["method"]
    table = Table(title=f"{visible(said)}; {record['cpu_seconds']:.2f} s", title_justify="left")
    dice = ["Dice"] if record["truth"] is not None else []
    for column in ("label", "voxels", "ml", *dice):
        table.add_column(column, justify="right")
    for row in record["labels"]:
        ml = "-" if row["ml"] is None else f"{row['ml']:.4g}"
        score = [f"{row['dice']:.3f}"] if dice else []
        table.add_row(str(row["label"]), str(row["voxels"]), ml, *score)
    return table


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return "open" if value is None else f"{value:.6g}"
