"""Real patients for effects: UCI's heart disease in its four hospitals, NHEFS in six, LaLonde's trial and survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Public
from common.asking.records import Records

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
HEART = (
    "age", "sex", "pain", "pressure", "cholesterol", "sugar", "ecg", "rate", "angina", "oldpeak", "slope", "vessels",
    "thal", "num",
)  # fmt: skip
HEART_LEVELS = ("sex=0|1", "pain=1|2|3|4")
HEART_COVARIATES = ("age", "sex", "pain")
NHEFS_LEVELS = ("education=1|2|3|4|5", "exercise=0|1|2", "active=0|1|2")
NHEFS_COVARIATES = (
    "sex", "race", "age", "age^2", "education", "smokeintensity", "smokeintensity^2", "smokeyrs", "smokeyrs^2",
    "exercise", "active", "wt71", "wt71^2",
)  # fmt: skip
LALONDE_COVARIATES = ("age", "age^2", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
Made = tuple[list[Records], Public]


def heart(folder: Path) -> Made:
    """Exercise angina and disease; what is missing is left out by the analysis."""
    tables = []
    for name in HOSPITALS:
        lines = (folder / f"processed.{name}.data").read_text(encoding="utf-8").split()
        values = np.array([[np.nan if cell == "?" else float(cell) for cell in line.split(",")] for line in lines])
        columns = {column: np.ascontiguousarray(values[:, index]) for index, column in enumerate(HEART)}
        columns["disease"] = np.asarray(columns["num"] > 0, dtype=np.float64)
        tables.append(Records(columns, np.array([f"{name}-{row}" for row in range(len(values))]), name))
    return tables, Public(HOSPITALS)


def in_hospitals(columns: Mapping[str, Sequence[float]], hospitals: int) -> Made:
    """Rows dealt out in turn."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    count = len(next(iter(arrays.values())))
    names = tuple(f"hospital-{index}" for index in range(hospitals))
    dealt: NDArray[np.intp] = np.arange(count) % hospitals
    persons = np.array([f"p{row}" for row in range(count)])
    whole = Records(arrays, persons)
    parts = [(name, whole.take(dealt == index)) for index, name in enumerate(names)]
    return [Records(part.columns, part.persons, name) for name, part in parts], Public(names)


def lalonde(data: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, Made]:
    """The trial, and its treated beside people of a survey who were never offered the training."""
    trial, survey = data["trial"], data["survey"]
    treated = [index for index, value in enumerate(trial["treat"]) if value == 1]
    observed = {name: [trial[name][index] for index in treated] + list(survey[name]) for name in trial}
    return {"trial": in_hospitals(trial, 4), "survey": in_hospitals(observed, 4)}
