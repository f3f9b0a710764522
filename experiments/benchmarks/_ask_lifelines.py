"""Survival by lifelines, in a Python of its own: columns as JSON in, numbers and seconds as JSON out."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from time import perf_counter
from typing import Any


def main() -> None:
    """Cox (Efron), Kaplan-Meier and the log-rank test of the columns that come on standard input."""
    lifelines, statistics = import_module("lifelines"), import_module("lifelines.statistics")
    frame = import_module("pandas").DataFrame(json.load(sys.stdin))
    frame["male"] = (frame.pop("sex") == "male").astype(float)
    found: dict[str, Any] = {}

    begin = perf_counter()
    fit = lifelines.CoxPHFitter().fit(frame, "months", "died", fit_options={"precision": 1e-12})
    cox = {
        "coefficients.age.estimate": float(fit.params_["age"]),
        "coefficients.age.standard_error": float(fit.standard_errors_["age"]),
    }
    found["cox"] = {"numbers": cox, "seconds": perf_counter() - begin}

    begin = perf_counter()
    curve = lifelines.KaplanMeierFitter().fit(frame["months"], frame["died"])
    survival = [float(one) for one in curve.survival_function_.iloc[1:11, 0]]
    numbers = {f"groups.everybody.survival.{place}": one for place, one in enumerate(survival)}
    found["kaplan_meier"] = {"numbers": numbers, "seconds": perf_counter() - begin}

    begin = perf_counter()
    men, women = frame[frame.male == 1], frame[frame.male == 0]
    test = statistics.logrank_test(men.months, women.months, men.died, women.died)
    numbers = {"statistic": float(test.test_statistic), "p": float(test.p_value)}
    found["logrank"] = {"numbers": numbers, "seconds": perf_counter() - begin}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
