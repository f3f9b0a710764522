"""Imported in the process that hospitals' processes are forked from: what they all need is read once, and shared.

Torch imports a good part of itself at the first optimiser's step; it is taken here, without a backward pass, after
which no process could be forked. Nor may it look for a GPU: where CUDA has started, no child can start it.

It reads what the file named in the environment says, which the engine writes. What goes wrong here goes wrong again
in every hospital, with its name and reason, and is not told twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

import client.app
import client.process  # noqa: F401 - every hospital needs both
from client.optimisers import new_optimiser
from client.pool import POOL_FILE, warm
from common.learning.client_work import Training
from common.learning.device import before_forks
from common.study.plugins import ANYTHING, trusting

with before_forks():
    for optimiser in ("sgd", "adam", "adamw"):
        parameter = torch.nn.Parameter(torch.zeros(1))
        parameter.grad = torch.zeros(1)
        new_optimiser([parameter], Training(optimiser=optimiser, learning_rate=0.1)).step()

if os.environ.get(POOL_FILE):
    with suppress(Exception), trusting(ANYTHING), before_forks():
        warm(Path(os.environ[POOL_FILE]).read_text(encoding="utf-8"))
