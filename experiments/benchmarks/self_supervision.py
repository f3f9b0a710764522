"""Six ways to pretrain without labels, federated: AUC with 1, 10 and 100 % of labels, beside floor and pooled.

Rows are kept in `runs/bench/ssl` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from client.hospital import Hospital
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _pretraining_ways as ways
from experiments.benchmarks._data import find
from experiments.benchmarks._fine_tuning import PROBED, TUNED, tuned
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row, mean_of
from experiments.benchmarks._label_efficiency import DRAWS, SHARES, STANDARDISED, auc, efficiency, name_of
from experiments.benchmarks._pretraining_studies import (
    METHODS,
    SETS,
    Method,
    Set,
    fine_tuning_text,
    study_text,
    supervised_text,
)

FOLDER = Path("runs") / "bench" / "ssl"
BUDGET_CPU_S = 3600.0
FLOOR, FEDERATED, POOLED, PEER = "untrained", "federated", "pooled", "FedEMA's rule"
SCRATCH = "from scratch, federated"
AT_LEAST = {"mae": 0.90, "simclr": 0.75}
"""Share of the way from the floor to pooled pretraining, at 1 % of labels."""
REACHED = {"byol": 0.90, "dino": 0.90}
BEST = 0.93
TUNED_DRAWS = 2
"""Of a tenth of the labels."""
PROTOTYPE: Mapping[str, float] = {
    "simclr": 0.912,
    "triplet": 0.887,
    "byol": 0.850,
    "dino": 0.861,
    "mae": 0.884,
    "ijepa": 0.774,
}

Make = Callable[[Study, Sequence[Hospital]], nn.Module]
AT_ONE, AT_TEN = name_of(0.01), name_of(0.1)


def measure(console: Console) -> Measured:
    """Train and probe, row by row."""
    return measured(rows_of(KeptRows(FOLDER, BUDGET_CPU_S, console)))


def rows_of(kept: KeptRows) -> list[Row]:
    """All of them, measured or kept, those first that a table is worthless without."""
    return [
        found
        for images in SETS
        for seed in range(images.seeds)
        for found in [
            *(row_of(kept, images, method, seed, way) for way in WAYS for method in METHODS
              if _is_wanted(images, method, seed, way)),
            *([_from_scratch(kept, images, seed)] if images.classes else []),
        ]
    ]  # fmt: skip


def measured(rows: Sequence[Row]) -> Measured:
    """The table, means over seeds, and the targets."""
    return Measured("Pretraining without labels", table_of(rows), targets_of(rows), [
        "AUC of a logistic regression on frozen features, on all hospitals' test cases. Labels: equally many of "
        f"every class, drawn {DRAWS[0.01]} times at 1 % and {DRAWS[0.1]} at 10 %; means over draws and seeds.",
        "Features are taken as they are, as in the prototype, whose figures stand beside, and once more standardised "
        "by training cases' spread, which suits some encoders and harms others.",
        "untrained: the same network before any step. A table without it is worthless: features of a random network "
        "know much. pooled: all hospitals' images in one place, passed over as often.",
        "FedEMA's rule (Zhuang et al. 2022) is made again on our steps; its authors' program, EasyFL, needs versions "
        "of PyTorch that this one's Python does not have.",
        "Fine-tuned: all of the network, from the encoder and the probe of the same labels, over "
        f"{TUNED_DRAWS} draws of a tenth of them.",
        "Recipes of SimCLR, triplets, BYOL and I-JEPA were chosen by validation cases of seed 7, which is in no row.",
        f"CPU minutes of all rows: {sum(float(row[CPU_S]) for row in rows) / 60:.0f}.",
    ])  # fmt: skip


def table_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """One line for each way of training each method."""
    return [
        {
            "images": images,
            "method": method,
            "trained": trained,
            "seeds": len(own),
            **{name_of(share): mean_of(own, name_of(share)) for share in SHARES},
            "standardised, 1%": mean_of(own, STANDARDISED + name_of(0.01)),
            "prototype's at 1%": PROTOTYPE.get(method) if trained == FEDERATED and images == SETS[0].name else None,
            "CPU s": mean_of(own, CPU_S),
        }
        for images, method, trained in dict.fromkeys((row["images"], row["method"], row["trained"]) for row in rows)
        if (own := _of(rows, images, method, trained))
    ]


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """On the first set of images."""
    images = SETS[0].name
    one = {(m.name, way): mean_of(_of(rows, images, m.name, way), AT_ONE) for m in METHODS for way in WAYS}
    found = [_closed(name, share, one) for name, share in AT_LEAST.items()]
    reached = [value for (_, way), value in one.items() if way == FEDERATED and value is not None]
    found.append(_at_least("best federated", max(reached, default=None), 0.922, BEST, f"at least {BEST}"))
    probed, fine = (mean_of(_tuned(rows), name) for name in (PROBED, TUNED))
    found.append(_at_least("fine-tuned, 10% of labels", fine, None, probed, "not below the probe of the same labels"))
    for name, least in REACHED.items():
        found.append(_at_least(name, one.get((name, FEDERATED)), PROTOTYPE[name], least, f"at least {least:.2f}"))
    for method in METHODS:
        for own in dict.fromkeys(row["images"] for row in rows):
            floor, ours = (mean_of(_of(rows, own, method.name, way), AT_ONE) for way in (FLOOR, FEDERATED))
            found.append(_at_least(f"{method.name}, {own}", ours, None, floor, "not below its floor"))
        if method.peer:
            peer = one.get((method.name, PEER))
            found.append(
                _at_least(f"{method.name} and {PEER}", one.get((method.name, FEDERATED)), peer, peer, "not below it")
            )
    return found


WAYS: Mapping[str, Make] = {FLOOR: ways.drawn, FEDERATED: ways.federated, POOLED: ways.pooled, PEER: ways.fedema}


def _of(rows: Sequence[Row], images: str, method: str, trained: str) -> list[Row]:
    return [row for row in rows if (row["images"], row["method"], row["trained"]) == (images, method, trained)]


def _tuned(rows: Sequence[Row]) -> list[Row]:
    """Those whose encoder was trained on from as well."""
    return [row for row in rows if TUNED in row]


def _closed(name: str, share: float, one: Mapping[tuple[str, str], float | None]) -> Target:
    floor, ours, pooled = (one.get((name, way)) for way in (FLOOR, FEDERATED, POOLED))
    closed = None
    if floor is not None and ours is not None and pooled is not None:
        closed = (ours - floor) / (pooled - floor) if pooled > floor else None
    return _at_least(f"{name}: way from floor to pooled", closed, None, share, f"at least {share:.0%}, {AT_ONE}")


def _at_least(name: str, ours: float | None, peer: float | None, least: float | None, words: str) -> Target:
    return Target(name, ours, peer, least, words, None if ours is None or least is None else ours >= least)


def _is_wanted(images: Set, method: Method, seed: int, way: str) -> bool:
    """A pooled bound is measured once where there is no time for more, and FedEMA's rule where it fits."""
    return {POOLED: seed == 0 or method.name in images.pooled, PEER: method.peer}.get(way, True)


def row_of(kept: KeptRows, images: Set, method: Method, seed: int, way: str) -> Row:
    """One way of training one method."""
    folder = str(find(images.data))
    study = parse(study_text(method, images, folder, seed))
    later: list[Study] = []
    if method.tuned and images.classes and way == FEDERATED:
        later = [parse(fine_tuning_text(images, folder, seed, draw)) for draw in range(TUNED_DRAWS)]
    names: dict[str, str | int] = {"images": images.name, "method": method.name, "seed": seed, "trained": way}
    setting = "".join(one.json for one in (study, *later))
    return kept.row(names, setting, _of_way(study, WAYS[way], images, later))


def _from_scratch(kept: KeptRows, images: Set, seed: int) -> Row:
    texts = {share: supervised_text(images, str(find(images.data)), seed, share) for share in SHARES}
    studies = {share: parse(text) for share, text in texts.items()}

    def measure_row() -> Mapping[str, float]:
        torch.set_num_threads(1)
        hospitals = ways.hospitals_of(studies[1.0])
        return {name_of(share): auc(*ways.supervised(study, hospitals)) for share, study in studies.items()}

    names: dict[str, str | int] = {"images": images.name, "method": "supervised", "seed": seed, "trained": SCRATCH}
    return kept.row(names, "".join(study.json for study in studies.values()), measure_row)


def _of_way(study: Study, make: Make, images: Set, later: Sequence[Study]) -> Callable[[], Mapping[str, float]]:
    """later: studies that train on from the encoder, of a draw of the labels each."""

    def measure_row() -> Mapping[str, float]:
        torch.set_num_threads(1)
        hospitals = ways.hospitals_of(study)
        encoder = make(study, hospitals)
        found = efficiency(encoder, hospitals, images.labels, study.seed)
        return {**found, **tuned(encoder, later, images.labels)} if later else found

    return measure_row


benchmark: Benchmark = measure
