"""A strategy that is not ours: what it raises, and what it gives that is no model, ends the run in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import extract_tb

import numpy as np

from common.errors import RoundError, WardroundError
from common.study.catalogue import STRATEGIES
from common.sums.update import Vector


@contextmanager
def told(name: str, method: str) -> Iterator[None]:
    """Turn an error of a plug-in's method into RoundError with its place; ours keep their traceback."""
    try:
        yield
    except WardroundError:
        raise
    except Exception as error:
        if name in STRATEGIES.names():
            raise
        last = extract_tb(error.__traceback__)[-1]
        line = " ".join(str(error).split())[:200]
        where = f"line {last.lineno} of {last.filename}"
        raise RoundError(f"strategy {name!r} failed in {method}: {type(error).__name__}: {line}, {where}.") from error


def demand_model(name: str, state: object, parameters: object, before: Vector) -> None:
    """Raise RoundError where a strategy gave no (state, model) as its role has them."""
    if not isinstance(parameters, np.ndarray) or parameters.shape != before.shape or parameters.dtype != np.float32:
        found = f"{parameters.shape} {parameters.dtype}" if isinstance(parameters, np.ndarray) else type(parameters)
        raise RoundError(f"strategy {name!r} must give a model of shape {before.shape} float32; it gave {found}.")
    demand_state(name, state)


def demand_state(name: str, state: object) -> None:
    """Raise RoundError where a strategy's state could not be kept in a checkpoint."""
    arrays = state.values() if isinstance(state, Mapping) else [state]
    if not all(isinstance(one, np.ndarray) and one.dtype == np.float64 for one in arrays):
        raise RoundError(f"strategy {name!r} must give a state of float64 arrays by name; it gave {state!r:.200}.")
