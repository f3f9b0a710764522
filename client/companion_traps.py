"""Whether a received model lets single cases be read out of its companion: a hospital looks before it answers.

A centre is a mean of what a teacher says of cases, and leaves beside the model as it is. No gradient is needed: a
teacher that was made up says nothing of any case but one, and of that one its pixels. So what each case by itself
moves of the companion is looked at: of an honest teacher all cases move every number, each a little differently; of
a trap most numbers are moved by the same amount whoever it is, but for hardly anybody.

Every case is looked at, up to so many of them, drawn in secret: a trap for one that is not shows nothing.
Limits are those of `singled_out`, without what is forgiven there: that a case unlike all others reaches units alone
is honest in a gradient; a mean in which one case stands a thousand times farther out than any other is not.
Where no case moves the companion (`follows_parameters`), and where noise hides a case, nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from secrets import randbits

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital
from client.singled_out import FAINT, FEW_CASES, FEW_UNITS, MOST_ALONE, MOST_RARE, RARE, TINY
from common.errors import WireError
from common.learning.abilities import companion, couples, follows_parameters
from common.learning.device import home
from common.learning.losses import as_held, case_losses, follow
from common.learning.parameters import companion_tensors, read, write
from common.privacy.noise_coverage import hides_cases
from common.privacy.study_facts import mechanism_of
from common.wire.train_requests import Order

MOST_CASES, MOST_PIECES = 2048, 128
"""Looked at, and in how many pieces: of a mean over few cases, one that stands out so far stands out as well."""


def refuse_companion_traps(hospital: Hospital, order: Order) -> None:
    """Raise WireError where most of what cases move of the companion hardly any case moves."""
    task = hospital.task
    if order.work is None or not companion(task) or follows_parameters(task):
        return
    if couples(task) or hides_cases(mechanism_of(hospital.study)) or len(hospital.train) < FEW_CASES:
        return
    for name, moved in moved_by_cases(hospital, order).items():
        alone, rare = lonely(moved)
        if alone > MOST_ALONE or rare > MOST_RARE:
            share = max(alone, rare)
            raise WireError(f"{share:.0%} of the numbers of {name} are moved by hardly any case: traps.")


def moved_by_cases(hospital: Hospital, order: Order) -> Mapping[str, NDArray[np.float64]]:
    """(pieces, numbers) of each tensor of the companion that cases move, after a step of a few and no learning."""
    network = hospital.network
    secret = np.random.default_rng(randbits(128)).permutation(len(hospital.train))[:MOST_CASES]
    with _as_ordered(network, order), torch.no_grad(), torch.random.fork_rng(devices=[]):
        with _unmoved(network):
            follow(hospital.task, network)
            still = {name: tensor.detach().clone() for name, tensor in companion_tensors(network)}
        found: list[dict[str, Tensor]] = []
        for piece in np.array_split(secret, min(len(secret), MOST_PIECES)):
            with _unmoved(network):
                batch = as_held(hospital.task, hospital.train.batch(piece))
                case_losses(hospital.task, network, batch.to(home(network)))
                follow(hospital.task, network)
                by = {name: tensor - still[name] for name, tensor in companion_tensors(network)}
                found.append({name: change.flatten().cpu() for name, change in by.items() if change.any()})
    names = sorted({name for one in found for name in one})
    silent = {name: torch.zeros(still[name].numel()) for name in names}
    return {name: torch.stack([one.get(name, silent[name]) for one in found]).double().numpy() for name in names}


def lonely(moved: NDArray[np.float64]) -> tuple[float, float]:
    """Shares of the numbers that one case, and a twentieth of all, moves otherwise than most. moved: (cases, n)."""
    apart = np.abs(moved - np.median(moved, axis=0))
    speaks = (apart > FAINT * np.maximum(apart.max(axis=0), TINY)).T
    speaks = speaks[speaks.any(axis=1)]
    if len(speaks) < FEW_UNITS:
        return 0.0, 0.0
    reached = speaks.sum(axis=1)
    return float((reached <= 1).mean()), float((reached <= max(1, RARE * speaks.shape[1])).mean())


@contextmanager
def _as_ordered(network: nn.Module, order: Order) -> Iterator[None]:
    before, training = read(network), network.training
    try:
        write(network, order.parameters)
        network.train()
        yield
    finally:
        write(network, before)
        network.train(training)


@contextmanager
def _unmoved(network: nn.Module) -> Iterator[None]:
    before = [(tensor, tensor.detach().clone()) for tensor in (*network.parameters(), *network.buffers())]
    try:
        yield
    finally:
        for tensor, value in before:
            tensor.copy_(value)
