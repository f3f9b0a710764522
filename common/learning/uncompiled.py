"""Torch's optimisers without what compiling them would need.

The first optimiser that is made imports torch's compiler (1.6 CPU seconds and 70 MB in every process that learns),
and every step leaves its graph twice. Nothing here is ever compiled. What a step computes, and hooks on steps, stay.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any, TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)

STEP = "step"
_made: dict[type[Optimizer], type[Optimizer]] = {}
WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """The same optimiser, bit for bit, whose members are those that torch wraps for its compiler."""
    if kind not in _made:
        members: dict[str, Any] = {name: unwrap(getattr(kind, name)) for name in WRAPPED}
        members[STEP] = torch.no_grad()(unwrap(getattr(kind, STEP)))
        _made[kind] = type(kind.__name__, (kind,), members)
    return cast(type[Kind], _made[kind])
