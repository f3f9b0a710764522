"""Whether a received model singles cases out of what would leave: a hospital looks before it answers.

A model that was made up may hide from any check of its parameters; what it does to cases is harder to hide. The
gradient of a linear layer is a sum over cases of (the derivative of a case's loss by each unit) x (the layer's
input), so that whoever wants inputs back needs units that few cases reach:

*alone*, *rare*: units that answer to one case, or to a twentieth of all or fewer (trap weights, Boenisch et al.
2023; behind convolutions, Zhao et al. 2023, LOKI; in latent space, Shi et al. 2023, Scale-MIA). Every case counts by
its largest derivative, since honest models that are sure of most cases are moved by few; cases of which they are so
sure that nothing comes back count for nothing. Units of the one case that most of these units answer to are left
out: a case unlike all others reaches honest units alone, and many of them at once (`pneumonia`, 256 units, FedSGD
with steps of 1: 71 % of them), whereas traps are there for many cases.
*one*: the share that a single case has of all derivatives by the last layer's input (Wen et al. 2022, Fishing).
Where the loss asks for that case alone, all others being known, it is no sign: a hospital with one case of a class
has that of honest models. A sign is a last layer that keeps back what the loss asks of others.
Units that are alike but for few cases (an imprint) are no sign by themselves: see `imprints`.

Looked at are the cases that the answer would be of: those of the batch, where one gradient is asked for. Limits are
beyond what honest training was measured to reach (`docs/security.md`), and so a server that asks for less at a time
is not caught; what it gets is said there.
Nothing is drawn, and nothing changes but the network's parameters. Where noise hides a case nothing is looked at: a
refusal that depends on cases would be outside that promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital
from client.objective import one_batch
from client.training import chunk_size
from client.whole_batches import pieces
from common.errors import WireError
from common.learning.abilities import no_case_loss
from common.learning.device import home
from common.learning.losses import as_held, case_losses
from common.learning.parameters import companion_tensors, read, trainable, write
from common.privacy.noise_coverage import hides_cases
from common.privacy.study_facts import mechanism_of
from common.sums.update import Vector
from common.wire.train_requests import Order

FAINT = 1e-3
"""Of the largest derivative by a unit: a smaller one is silence."""
TINY = float(np.finfo(np.float32).tiny)
FEW_CASES = 16
"""Of fewer an honest layer tells most apart as well, and one may well have all of the gradient."""
FEW_UNITS = 16
"""That answer to anybody; of fewer so many cases at most are told."""
MOST_CASES = 512
"""Looked at, evenly spread: it takes a fraction of an epoch."""
RARE = 0.05
"""Of all cases."""
MOST_ALONE, MOST_RARE, MOST_OF_ONE = 0.5, 0.9, 0.9999
KNOWN = 1e-30
"""A derivative by what the last layer answers that is lost in rounding further back: the model is sure of a case."""
OWN_PART = 0.5
"""Of all derivatives by what the last layer answers: a case with so much has the gradient by its own loss."""


@dataclass(frozen=True)
class Singled:
    """Of one layer: shares of the units that answer to anybody, and the largest case's share of all derivatives."""

    alone: float
    rare: float
    one: float


def refuse_singling_out(hospital: Hospital, order: Order) -> None:
    """Raise WireError where what would leave is made to be of single cases."""
    if order.work is None or hides_cases(mechanism_of(hospital.study)) or no_case_loss(hospital.task):
        return
    for name, found in singled_out(hospital, order).items():
        if found.alone > MOST_ALONE or found.rare > MOST_RARE:
            share = max(found.alone, found.rare)
            raise WireError(f"{share:.0%} of the units of layer {name} answer to hardly any case: traps.")
        if found.one > MOST_OF_ONE:
            raise WireError(f"one case has {found.one:.2%} of the gradient before layer {name}: it is fished for.")


def singled_out(hospital: Hospital, order: Order) -> dict[str, Singled]:
    """By learned linear layer, as far as there are enough cases and units to tell; {} where there is none."""
    layers, chosen = _learned_linear(hospital.network), _cases_of(hospital, order)
    if not layers or len(chosen) < FEW_CASES:
        return {}
    by_units, by_features = _derivatives(hospital, order.parameters, layers, chosen)
    *hidden, last = layers
    answers = by_units.get(last)
    asked = np.ones(len(chosen), np.bool_) if answers is None else np.abs(answers).max(1) > KNOWN
    if asked.sum() < FEW_CASES:
        return {}
    found = {name: _of_units(by_units[name][asked]) for name in hidden if name in by_units}
    if last in by_features:
        found[last] = Singled(0.0, 0.0, _fished(by_features[last], answers))
    return found


def _cases_of(hospital: Hospital, order: Order) -> NDArray[np.int64]:
    """The cases of the one gradient that is asked for, drawn as training draws them, or all; MOST_CASES at most."""
    chosen = np.arange(len(hospital.train))
    if order.work is not None and order.work.sends == "gradient":
        training = hospital.study.training.in_round(order.round)
        chosen = one_batch(hospital.train, training, hospital.training_draws(order.round))
    spread = np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_CASES))
    return np.asarray(chosen[np.unique(spread.astype(np.int64))])


def _learned_linear(network: nn.Module) -> dict[str, nn.Linear]:
    learned = {name for name, _ in trainable(network)}
    linear = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    return {name: one for name, one in linear.items() if f"{name}.weight" in learned}


def _derivatives(
    hospital: Hospital, parameters: Vector, layers: Mapping[str, nn.Linear], chosen: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """(cases, units) of every case's loss by each layer's answers, and (cases, features) by what the last is shown.

    The network has these parameters afterwards, and where it has a companion, which cases may move, those it had:
    nobody else relies on them, and a large model's copy would lie beside it.
    """
    network, training = hospital.network, hospital.network.training
    before = read(network) if companion_tensors(network) else None
    by_units: dict[str, list[Tensor]] = {}
    by_features: dict[str, list[Tensor]] = {}
    try:
        write(network, parameters)
        network.eval()
        for piece in pieces(hospital.task, hospital.train, chosen, chunk_size(hospital.train)):
            _of_piece(hospital, piece, layers, by_units, by_features)
    finally:
        if before is not None:
            write(network, before)
        network.train(training)
    return _joined(by_units), _joined(by_features)


def _of_piece(
    hospital: Hospital,
    piece: NDArray[np.int64],
    layers: Mapping[str, nn.Linear],
    by_units: dict[str, list[Tensor]],
    by_features: dict[str, list[Tensor]],
) -> None:
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    names = {id(layer): name for name, layer in layers.items()}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[names[id(layer)]] = (inputs[0], output)

    handles = [layer.register_forward_hook(note) for layer in layers.values()]
    try:
        batch = as_held(hospital.task, hospital.train.batch(piece)).to(home(hospital.network))
        loss = case_losses(hospital.task, hospital.network, batch).sum()
    finally:
        for handle in handles:
            handle.remove()
    last = list(layers)[-1]
    asked = [(by_units, name, answers) for name, (_, answers) in seen.items()]
    asked += [(by_features, last, seen[last][0])] if last in seen else []
    wanted = [(kept, name, one) for kept, name, one in asked if one.requires_grad]
    if not wanted:
        return
    gradients = torch.autograd.grad(loss, [one for _, _, one in wanted], allow_unused=True)
    if len(piece) > 1 and any(one is not None and len(one) != len(piece) for one in gradients):
        for index in piece:  # several views of a case, as so many rows: alone, all of them are its own
            _of_piece(hospital, np.array([index]), layers, by_units, by_features)
        return
    for (kept, name, _), gradient in zip(wanted, gradients, strict=True):
        if gradient is not None:
            kept.setdefault(name, []).append(_a_row_a_case(gradient, len(piece)).detach().cpu())


def _a_row_a_case(gradient: Tensor, cases: int) -> Tensor:
    """(cases, units): of tokens, and of views of the one case, all together."""
    if gradient.ndim == 2 and len(gradient) == cases:
        return gradient
    rows = gradient.abs().reshape(cases, -1, gradient.shape[-1])
    return rows.sum(1)


def _joined(parts: Mapping[str, list[Tensor]]) -> dict[str, NDArray[np.float32]]:
    return {name: torch.cat(found).float().numpy() for name, found in parts.items()}


def _of_units(derivatives: NDArray[np.float32]) -> Singled:
    """derivatives: (cases, units)."""
    size = np.abs(derivatives)
    size /= np.maximum(size.max(1, keepdims=True), TINY)
    answers = size > FAINT * np.maximum(size.max(0), TINY)
    counts = answers.sum(0, dtype=np.int32)
    speaking = int(np.count_nonzero(counts))
    if speaking < FEW_UNITS:
        return Singled(0.0, 0.0, 0.0)
    few = max(1, RARE * len(answers))
    alone, rare = (_without_the_first(answers[:, (counts > 0) & (counts <= most)]) / speaking for most in (1, few))
    return Singled(alone, rare, 0.0)


def _without_the_first(units: NDArray[np.bool_]) -> int:
    """How many there are, but for those of the case that most of them answer to: one that is unlike all others
    reaches honest units alone, and many of them. units: (cases, units).
    """
    return int(units.shape[1] - units.sum(1).max(initial=0))


def _fished(by_features: NDArray[np.float32], by_answers: NDArray[np.float32] | None) -> float:
    """The largest case's share; 0 where the loss itself asks for it: an honest model may know all others."""
    share, largest = _largest_share(by_features)
    if by_answers is None or share <= MOST_OF_ONE:
        return share
    size = np.linalg.norm(by_answers.astype(np.float64), axis=1)
    return 0.0 if size[largest] >= OWN_PART * size.sum() else share


def _largest_share(derivatives: NDArray[np.float32]) -> tuple[float, int]:
    """Of one case in all, and which. derivatives: (cases, features)."""
    size = np.linalg.norm(derivatives.astype(np.float64), axis=1)
    largest = int(size.argmax())
    return (float(size[largest] / size.sum()) if size.sum() > 0 else 0.0), largest
