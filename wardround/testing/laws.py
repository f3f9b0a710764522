"""What tests of several kinds ask: options that cannot change, and no draw from a generator that all share."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def check_options(entry: Any) -> None:
    """A frozen dataclass that survives a copy and a pickle, since engines hand entries to other processes."""
    name = type(entry).__name__
    assert dataclasses.is_dataclass(entry), f"{name} is no dataclass: put @dataclass(frozen=True) above it"
    frozen = getattr(type(entry), "__dataclass_params__").frozen  # noqa: B009 - typeshed does not know it
    assert frozen, f"{name} can be changed after it was made: write @dataclass(frozen=True)"
    copies = [copy.deepcopy(entry)]
    if getattr(sys.modules.get(type(entry).__module__), name, None) is type(entry):  # else it was made, not written
        copies.append(pickle.loads(pickle.dumps(entry)))
    for made in copies:
        assert options_of(made) == options_of(entry), f"a copy of {name} has other options"


def options_of(entry: Any) -> str:
    """All fields of a dataclass as text."""
    return repr([(field.name, getattr(entry, field.name)) for field in dataclasses.fields(entry)])


@contextmanager
def no_global_draw(what: str) -> Iterator[None]:
    """Fail where Python's, NumPy's or torch's global generator is drawn from, or seeded, while the block lasts."""
    before = _global_states()
    yield
    drawn = [name for name, state in _global_states().items() if state != before[name]]
    assert not drawn, f"{what} draws from, or seeds, {' and '.join(drawn)}, which all code in the process shares"


def _global_states() -> dict[str, bytes]:
    return {
        "random": pickle.dumps(random.getstate()),
        "numpy.random": pickle.dumps(np.random.get_state()),
        "torch's global generator": torch.random.get_rng_state().numpy().tobytes(),
    }


def check_same(first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    """Bit for bit, where both are numbers."""
    assert first.shape == second.shape, f"{what}: shapes {tuple(first.shape)} and {tuple(second.shape)}"
    assert torch.equal(torch.nan_to_num(first), torch.nan_to_num(second)), what
