"""Patients of four hospitals for the benchmark of questions, and what every analysis is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin, get_type_hints

import numpy as np

from common.asking.question import named_fields
from common.asking.records import Records, Values
from common.study.catalogue import ANALYSES
from common.study.options import options_of

SITES = ("east", "north", "south", "west")
PATIENTS = 250
LEVELS: Mapping[str, tuple[str, ...]] = {
    "sex": ("female", "male"),
    "ward": ("surgery", "medicine", "intensive"),
    "treated": ("0", "1"),
    "disease": ("0", "1"),
    "died": ("0", "1"),
}
BOUNDS = {"low": 0.0, "high": 120.0}
BY_FIELD: Mapping[str, Any] = {
    "column": "age",
    "columns": ("age", "weight", "before"),
    "group": "sex",
    "by": "sex",
    "rows": "ward",
    "score": "age",
    "truth": "disease",
    "time": "months",
    "event": "died",
    "events": "visits",
    "covariates": ("age", "sex"),
    "features": ("weight", "before", "after"),
    "first": "before",
    "second": "after",
    "before": "before",
    "after": "after",
    "outcome": "weight",
    "treatment": "treated",
    "test": "disease",
    "strata": "ward",
}
"""What stands for an option without a default, by its name: an analysis that is new is asked by itself."""
BY_ANALYSIS: Mapping[str, Mapping[str, Any]] = {
    "chi_squared": {"columns": "disease"},
    "cross_table": {"columns": "disease"},
    "logistic": {"outcome": "disease"},
    "poisson": {"outcome": "visits"},
    "proportion": {"column": "ward"},
    "anova": {"group": "ward", "by": "ward"},
    "kruskal_wallis": {"column": "pain", "group": "ward", "by": "ward"},
    "mann_whitney": {"column": "pain"},
    "rate": {"events": "visits", "time": "months"},
    "agreement": {"first": "treated", "second": "disease"},
    "mcnemar": {"first": "treated", "second": "disease"},
    "mantel_haenszel": {"rows": "treated", "columns": "disease"},
    "bounded_mean": BOUNDS,
    "private_quantile": BOUNDS,
    "quantile_tree": BOUNDS,
    "heavy_hitters": {"column": "ward"},
    "kaplan_meier": {"width": 1.0},
    "cox": {"width": 1.0},
    "logrank": {"width": 1.0},
    "g_formula": {"outcome": "after", "history": ("age", "treated"), "treatments": ("treated",)},
    "instrument": {"outcome": "after", "covariates": ("age",), "instrument": "pain"},
    "mediation": {"outcome": "after", "covariates": ("age",), "mediator": "before"},
    "mondrian": {"ranges": {"age": (0.0, 120.0, 1.0), "weight": (30.0, 150.0, 1.0), "before": (80.0, 200.0, 1.0)}},
    "simpson": {"outcome": "disease", "exposure": "treated"},
    "transport": {"outcome": "after", "covariates": ("age",), "target": SITES[-1]},
}


def records() -> tuple[Records, ...]:
    """A table of each hospital, whose patients differ from those of others."""
    rng = np.random.default_rng(8)
    return tuple(_hospital(site, place, rng) for place, site in enumerate(SITES))


def _hospital(site: str, place: int, rng: np.random.Generator) -> Records:
    rows = PATIENTS
    age, sex = np.round(rng.normal(55 + 2 * place, 10, rows), 1), rng.random(rows) < 0.5
    treated = (rng.random(rows) < 0.4 + 0.05 * place).astype(np.float64)
    before = np.round(rng.normal(140, 12, rows), 1)
    columns: dict[str, Values] = {
        "age": age,
        "weight": np.round(60 + 0.2 * age + 8 * sex + rng.normal(0, 8, rows), 1),
        "before": before,
        "after": np.round(before - 6 * treated + rng.normal(0, 5, rows), 1),
        "pain": rng.integers(0, 11, rows).astype(np.float64),
        "treated": treated,
        "disease": (rng.random(rows) < 1 / (1 + np.exp(-(age - 60) / 9))).astype(np.float64),
        "visits": rng.poisson(np.exp(0.01 * age), rows).astype(np.float64),
        "months": np.ceil(rng.exponential(20 * np.exp(-0.02 * (age - 60)), rows)),
        "died": (rng.random(rows) < 0.6).astype(np.float64),
        "sex": np.where(sex, "male", "female").astype(np.str_),
        "ward": rng.choice(LEVELS["ward"], rows).astype(np.str_),
    }
    return Records(columns, np.array([f"{site}-{row}" for row in range(rows)]), site)


def options_for(name: str) -> dict[str, Any]:
    """Of an analysis. Raises KeyError for an option of which nothing is known."""
    cls, own = ANALYSES.load(name), BY_ANALYSIS.get(name, {})
    hints = get_type_hints(cls)
    found = {option: value for option, value in own.items() if option in options_of(cls)}
    for option in named_fields(cls):
        value = found[option] if option in found else BY_FIELD[option]
        is_list = get_origin(hints[options_of(cls)[option].name]) is tuple
        if is_list and isinstance(value, str):
            value = (value,)
        found[option] = value[0] if not is_list and isinstance(value, tuple) else value
    return found
