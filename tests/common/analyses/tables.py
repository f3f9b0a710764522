"""Tables for tests of analyses: columns divided among three hospitals, the last of which may have nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from common.asking.analysis import Analysis, Public
from common.asking.pooled import ask_tables
from common.asking.records import Records

LEVELS = {"group": ("a", "b", "c"), "ill": ("0", "1"), "sex": ("f", "m")}
NAN = float("nan")


def hospitals(columns: Mapping[str, Sequence[Any]]) -> tuple[Records, ...]:
    """Numbers, or words; row 0, 3, 6, ... at the first hospital."""
    arrays = {
        name: np.array(values, dtype=np.str_ if any(isinstance(one, str) for one in values) else np.float64)
        for name, values in columns.items()
    }
    n = len(next(iter(arrays.values())))
    whole = Records(arrays, np.array([f"p{row}" for row in range(n)], dtype=np.str_))
    return tuple(
        Records(whole.take(np.arange(n) % 3 == place).columns, whole.persons[np.arange(n) % 3 == place], site)
        for place, site in enumerate(("north", "south", "west"))
    )


def asked(analysis: Analysis, **columns: Sequence[Any]) -> Mapping[str, Any]:
    """The numbers of an answer."""
    tables = hospitals(columns)
    return ask_tables(analysis, tables, Public(tuple(one.site for one in tables), LEVELS)).answer.numbers


def awkward(name: str, n: int = 60, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values as columns have them: with ties, far from zero, of full precision, minute, skewed."""
    rng = np.random.default_rng(seed)
    made = {
        "ties": rng.integers(0, 4, n).astype(np.float64),
        "decimals": np.round(rng.normal(60, 9, n), 1),
        "offset": 1e9 + np.round(rng.normal(0, 1, n) * 64) / 64,
        "full": rng.normal(0, 1, n),
        "minute": rng.normal(0, 1e-12, n),
        "skewed": rng.lognormal(0, 3, n),
        "negative": -rng.exponential(5, n),
    }
    return made[name]


AWKWARD = ("ties", "decimals", "offset", "full", "minute", "skewed", "negative")
values = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))
)
