"""OpenDP on the work of `bench noisy-answers`, in a Python of its own: errors of a count, a histogram and a mean.

Called as `python _noisy_answers_peer.py VALUES.json RESULTS.json`; imports nothing of this project.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opendp.prelude as dp

Release = Callable[[list[Any]], Any]


def noisy(start: Any, transformation: Any, epsilon: float) -> Release:
    """The scale is the least at which the library itself says that epsilon is kept."""
    measurement: Release = dp.binary_search_chain(
        lambda scale: start >> transformation >> dp.m.then_laplace(scale=scale), d_in=1, d_out=epsilon
    )
    return measurement


def space(kind: type) -> Any:
    return dp.vector_domain(dp.atom_domain(T=kind)), dp.symmetric_distance()


def rmse(errors: list[float]) -> float:
    return math.sqrt(sum(error * error for error in errors) / len(errors))


def errors(work: dict[str, Any], epsilon: float) -> dict[str, float]:
    """Of each answer: the root of its mean squared error."""
    values, repeats = [int(value) for value in work["values"]], work["repeats"]
    low, high = int(work["low"]), int(work["high"])
    half, centre = (high - low) // 2, (high + low) // 2
    counted = noisy(space(int), dp.t.then_count(), epsilon)
    bins = noisy(space(int), dp.t.then_count_by_categories(list(range(low, high)), null_category=False), epsilon)
    true = [values.count(value) for value in range(low, high)]
    centred = [value - centre for value in values]
    # Of whole numbers: its sum of floats takes twice the sensitivity.
    summed = noisy(space(int), dp.t.then_clamp((-half, half)) >> dp.t.then_sum(), epsilon / 2)
    number = noisy(space(int), dp.t.then_count(), epsilon / 2)
    mean = sum(values) / len(values)
    return {
        "count": rmse([counted(values) - len(values) for _ in range(10 * repeats)]),
        "histogram": rmse(
            [a - b for _ in range(max(1, repeats // 20)) for a, b in zip(bins(values), true, strict=True)]
        ),
        "mean": rmse([centre + summed(centred) / number(values) - mean for _ in range(repeats)]),
    }


def main() -> None:
    dp.enable_features("contrib")
    work = json.loads(Path(sys.argv[1]).read_text())
    found = {str(epsilon): errors(work, epsilon) for epsilon in work["epsilons"]}
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
