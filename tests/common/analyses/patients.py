"""Made-up patients of three hospitals, and how an answer is compared with a peer's on all rows together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Analysis
from common.asking.answer import Answer
from common.asking.pooled import ask_tables
from common.asking.records import Records, Values

LEVELS = ("sex=f|m", "stage=I|II|III")


def patients(rows: int = 240, seed: int = 0) -> Records:
    """As of one hospital; a hospital's own column says which of three they came from."""
    rng = np.random.default_rng(seed)
    age, sex = np.round(rng.normal(60, 10, rows), 1), rng.choice(["f", "m"], rows)
    stage, hospital = rng.choice(["I", "II", "III"], rows, p=[0.5, 0.3, 0.2]), rng.choice(["a", "b", "c"], rows)
    risk = (age - 60) / 10 + (sex == "m") + (stage == "III")
    days = np.round(rng.uniform(10, 300, rows))
    time = np.ceil(rng.exponential(200 * np.exp(-risk / 2)))
    columns: dict[str, Values] = {
        "age": age,
        "sex": sex,
        "stage": stage,
        "hospital": hospital,
        "pressure": 100 + 0.5 * age + 4 * (sex == "m") + rng.normal(0, 3 + 4 * (sex == "m"), rows),
        "died": (rng.random(rows) < 1 / (1 + np.exp(-risk))).astype(np.float64),
        "days": days,
        "falls": rng.poisson(days / 100 * np.exp(risk / 4)).astype(np.float64),
        "time": np.minimum(time, days),
        "event": (time <= days).astype(np.float64),
    }
    return Records(columns, np.array([f"p{row}" for row in range(rows)]), "all")


def hospitals(records: Records) -> tuple[Records, ...]:
    """Each its own rows, one more with a single row, and one with none."""
    first = np.arange(len(records)) == 0
    of = [records.take((records.words("hospital") == name) & ~first) for name in ("a", "b", "c")]
    return (*of, records.take(first), records.take(np.zeros(len(records), dtype=np.bool_)))


def answered(analysis: Analysis, records: Records) -> Answer:
    """Of hospitals; that all rows together give the same, bit for bit, is looked at on the way."""
    answer = ask_tables(analysis, hospitals(records)).answer
    assert answer == ask_tables(analysis, [records]).answer
    return answer


def column(answer: Answer, key: str) -> NDArray[np.float64]:
    """One number of every coefficient, in order."""
    rows: Any = answer.numbers["coefficients"]
    return np.array([row[key] for row in rows.values()])


def design(records: Records) -> NDArray[np.float64]:
    """Intercept, age, sex, stage, and age by sex."""
    age, male = records.numbers("age"), (records.words("sex") == "m").astype(np.float64)
    stages = [(records.words("stage") == level).astype(np.float64) for level in ("II", "III")]
    return np.stack([np.ones(len(age)), age, male, *stages, age * male], axis=1)
