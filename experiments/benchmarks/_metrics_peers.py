"""Runs beside other libraries, in their own Python: times and figures of each on the pairs of `bench metrics`.

Called as `python _metrics_peers.py PAIRS.npz ROWS.jsonl`; imports nothing of this project. A row is written as soon
as it is measured, and one that is there already is not measured again. surface-distance, which takes booleans alone,
is handed them: what making them takes does not count.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 3
SMALL_PAIRS_TIMED = 200
LONG_S = 5.0
"""What took as long is not repeated."""
BOOLEANS_ALONE = ("surface-distance",)


def monai_figures(truth: Any, prediction: Any, spacing: tuple[float, ...]) -> list[float]:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    a, b = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth))
    settings = {"include_background": True, "spacing": spacing}
    return [
        float(compute_dice(a, b)),
        float(compute_hausdorff_distance(a, b, **settings)),
        float(compute_hausdorff_distance(a, b, percentile=95, **settings)),
        float(compute_average_surface_distance(a, b, symmetric=True, **settings)),
    ]


def surface_distance_figures(truth: Any, prediction: Any, spacing: tuple[float, ...]) -> list[float]:
    import surface_distance

    found = surface_distance.compute_surface_distances(truth, prediction, spacing)
    a, b = surface_distance.compute_average_surface_distance(found)
    return [
        float(surface_distance.compute_dice_coefficient(truth, prediction)),
        float(surface_distance.compute_robust_hausdorff(found, 100)),
        float(surface_distance.compute_robust_hausdorff(found, 95)),
        float((a + b) / 2),
    ]


def medpy_figures(truth: Any, prediction: Any, spacing: tuple[float, ...]) -> list[float]:
    from medpy.metric import binary

    pair = (prediction, truth)
    return [
        float(binary.dc(*pair)),
        float(binary.hd(*pair, spacing)),
        float(binary.hd95(*pair, spacing)),
        float(binary.assd(*pair, spacing)),
    ]


def simpleitk_figures(truth: Any, prediction: Any, spacing: tuple[float, ...]) -> list[float]:
    """Dice and HD by its filters; HD95 and ASSD from its signed distance map and contours, as its users do."""
    import SimpleITK

    images = []
    for mask in (truth, prediction):
        image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(spacing[::-1])
        images.append(image)
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    outlines = [SimpleITK.LabelContour(image) for image in images]
    distances = [
        SimpleITK.SignedMaurerDistanceMap(outline, squaredDistance=False, useImageSpacing=True)
        for outline in outlines
    ]
    on_truth, on_prediction = (SimpleITK.GetArrayViewFromImage(outline) > 0 for outline in outlines)
    from_truth, from_prediction = (SimpleITK.GetArrayViewFromImage(distance) for distance in distances)
    to_truth, to_prediction = np.abs(from_truth[on_prediction]), np.abs(from_prediction[on_truth])
    pooled = np.concatenate([to_truth, to_prediction])
    high = max(float(np.percentile(part, 95)) for part in (to_truth, to_prediction))
    return [float(overlap.GetDiceCoefficient()), float(pooled.max()), high, float(pooled.mean())]


def exacta_figures(truth: Any, prediction: Any, spacing: tuple[float, ...]) -> list[float]:
    from exacta import functional

    names = ("dice", "hausdorff_distance", "hd95", "assd")
    pair = [mask[None, None].astype(np.uint8) for mask in (prediction, truth)]
    found = functional.evaluate(*pair, metrics=names, spacing=spacing, input_format="one-hot")
    return [float(np.asarray(found[name]).reshape(-1)[0]) for name in names]


LIBRARIES = {
    "MONAI": monai_figures,
    "surface-distance": surface_distance_figures,
    "SimpleITK": simpleitk_figures,
    "medpy": medpy_figures,
    "exacta": exacta_figures,
}


def main(pairs_file: Path, rows_file: Path) -> None:
    """Time every library on every pair; what is absent or fails has no figures, and what it said is shown."""
    warnings.simplefilter("ignore")
    data = np.load(pairs_file)
    spacing = tuple(map(float, data["spacing_mm"]))
    done = {(row["who"], row["name"]) for row in map(json.loads, rows_file.read_text(encoding="utf-8").splitlines())}
    for name in (key.removesuffix("_truth") for key in data.files if key.endswith("_truth")):
        for who, figures in LIBRARIES.items():
            if (who, name) not in done:
                row = {"who": who, "name": name, **_measured(who, figures, name, data, spacing)}
                with rows_file.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps(row) + "\n")


def _measured(who: str, figures: Any, name: str, data: Any, spacing: tuple[float, ...]) -> dict[str, Any]:
    """Nothing of a task that the library refuses, or misreads, so that a figure is none."""
    truth, prediction = data[f"{name}_truth"], data[f"{name}_prediction"]
    if who in BOOLEANS_ALONE:
        truth, prediction = truth != 0, prediction != 0
    try:
        many = name == "many"
        found = _of_many(figures, truth, prediction) if many else _of_pair(figures, truth, prediction, spacing)
    except Exception as error:  # noqa: BLE001 - it does not take such numbers
        sys.stderr.write(f"{who}, {name}: {type(error).__name__}\n")
        return {}
    return found if np.isfinite(found["figures"]).all() else {}


def _of_pair(figures: Any, truth: Any, prediction: Any, spacing: tuple[float, ...]) -> dict[str, Any]:
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < LONG_S:
        begin = time.process_time()
        values = figures(truth, prediction, spacing)
        seconds.append(time.process_time() - begin)
    return {"seconds": sorted(seconds)[len(seconds) // 2], "figures": values}


def _of_many(figures: Any, truths: Any, predictions: Any) -> dict[str, Any]:
    truths, predictions = truths[:SMALL_PAIRS_TIMED], predictions[:SMALL_PAIRS_TIMED]
    figures(truths[0], predictions[0], (1.0, 1.0))
    begin = time.process_time()
    values = [figures(truth, prediction, (1.0, 1.0)) for truth, prediction in zip(truths, predictions, strict=True)]
    seconds_a_pair = (time.process_time() - begin) / len(truths)
    return {"seconds": seconds_a_pair, "figures": np.mean(values, axis=0).tolist()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
