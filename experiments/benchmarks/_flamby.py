"""What FLamby published (du Terrail et al. 2022), and which of its methods our strategies stand beside."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from common.errors import SourceError
from experiments.benchmarks._data import find

POOLED = "Pooled Training"


@dataclass(frozen=True)
class Setting:
    """One strategy and its settings. published: FLamby's name for it, "" where it has none."""

    strategy: str
    published: str
    overrides: tuple[str, ...] = ()


def published_means(dataset: str) -> dict[str, list[float]]:
    """Per method, one figure a seed: the mean over hospitals' test patients; {} where the files are not here."""
    try:
        paths = sorted(find("flamby-reference").glob(f"results/results_benchmark_{dataset}/*.csv"))
    except SourceError:
        return {}
    by_run: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in (row for path in paths for row in rows_of(path)):
        if row["Test"].startswith("client_test"):
            by_run[row["Method"], row["seed"]].append(float(row["Metric"]))
    means: dict[str, list[float]] = defaultdict(list)
    for (method, _), figures in sorted(by_run.items()):
        means[method.removesuffix("100")].append(fmean(figures))
    return dict(means)


def published_mean(name: str, settings: Sequence[Setting], published: dict[str, list[float]]) -> float | None:
    """Of one of our strategies, or "pooled", over seeds, to four digits; None where FLamby has none."""
    theirs = published.get({one.strategy: one.published for one in settings}.get(name, POOLED))
    return round(fmean(theirs), 4) if theirs else None


def rows_of(path: Path) -> list[dict[str, str]]:
    """A table's rows by its header."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
