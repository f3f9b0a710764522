"""Breast cancer of The Cancer Genome Atlas (Fed-TCGA-BRCA), as hospitals' records."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from common.asking.records import Records, Values


def brca(folder: Path) -> Records:
    """1,096 persons; T: days, E: whether they died; third: a group of three by the decade of age."""
    with (folder / "fed-tcga-brca" / "brca.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    table = np.array([row[1:] for row in rows], dtype=np.float64)
    columns: dict[str, Values] = {name: table[:, place] for place, name in enumerate(header[1:])}
    age = columns["age_at_index"]
    columns["third"] = np.array(["a", "b", "c"])[(age // 10 % 3).astype(np.int64)]
    columns["hospital"] = np.array(["a", "b", "c"])[np.arange(len(rows)) * 3 // len(rows)]
    return Records(columns, np.array([row[0] for row in rows]), "all")
