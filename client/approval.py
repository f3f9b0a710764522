"""What a hospital refuses to do for a study that it approved: whatever an honest server would not ask.

Rounds, kind of work, splits to score and the hospitals of a round are those of the study. Rounds go forward only
(`answered_rounds`); one that is asked for again, as after a crash of the server, is answered where the very same
order comes.

A cheating server may still send any parameters, such as a model made to copy cases into a gradient. Three things are
checked of them: that round 1 starts from the parameters that the study's seed gives, to rounding, or from those of
the model whose digest the study names; that no linear layer before the last is an imprint, rows of nearly one
direction that sort cases into bins so that each bin's gradient is an input (Fowl et al. 2022, Robbing the Fed,
section 3); and what the model makes of the hospital's own cases (`singled_out`). There is no bound on how far a later
model may be from an earlier one: a server's learning rate is free, and a hospital that was not drawn for many rounds
has seen none of what lies between. What of this a cheating server gets past is played by every audit
(`experiments/audit/adversaries/cheating.py`) and said in `docs/security.md`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from client.own_parts import model_in
from client.singled_out import refuse_singling_out
from common.errors import WireError
from common.learning.parameters import Layout, trainable
from common.learning.start import begins_with
from common.learning.work import Work
from common.study.catalogue import STRATEGIES
from common.study.schedule import evaluated_splits, final_round, votes_in
from common.study.study import Study
from common.sums.cohorts import reveals
from common.sums.update import Vector
from common.wire.orders import Order

PARALLEL = 0.9999
"""Cosine, of either sign, from which two rows have one direction; a server's imprint has 1 but for rounding."""
MOST_PARALLEL = 3
"""Rows of one direction that may be chance; an imprint of so few bins tells cases apart no better than any layer."""
NEARLY_PARALLEL, NEARLY_PARALLEL_IF_SHORT, SHORT = 0.8, 0.95, 32
"""An imprint under noise of half its rows' norm still has the first; of fewer inputs than the last, chance has it."""
MOST_IN_BINS = 0.25
"""Of a layer's rows, those in sets of one direction, of whatever direction: in 13 honest runs there
was none."""
LEAST_BINS = 8
"""So few rows that are nearly of one direction may be chance."""
LEAST_COLUMNS = 8
"""Of fewer inputs, honest random rows are parallel too."""


def approve(hospital: Hospital, order: Order) -> None:
    """Raise WireError where the order is none of the study's, or its parameters are not to be served."""
    _refuse_another_round(hospital.study, order)
    _refuse_undrawn(hospital, order)
    _refuse_other_work(hospital.study, order.work)
    _refuse_other_splits(hospital.study, order)
    _refuse_comparison(hospital.study, order)
    if order.round == 1:
        _refuse_another_start(hospital, order.parameters)
        _refuse_early_control(order.control)
    _refuse_imprint(hospital, order.parameters)
    refuse_singling_out(hospital, order)


def approve_alone(hospital: Hospital, order: Order) -> None:
    """Raise WireError where a model of the hospital's own is not to be trained, or not from these parameters."""
    if not hospital.study.baselines.local:
        raise WireError("the study does not compare with hospitals' own models (baselines.local).")
    if order.round != hospital.study.rounds:
        raise WireError(f"a hospital's own model is of round {hospital.study.rounds}; {order.round} came.")
    if order.work is not None or order.evaluate != ("test",):
        raise WireError("a hospital's own model is scored on its test cases, and nothing else of it leaves.")
    _refuse_another_start(hospital, order.parameters)


def _refuse_another_round(study: Study, order: Order) -> None:
    last = study.rounds if order.work is not None else final_round(study)
    if order.round < 1:
        raise WireError(f"rounds are numbered from 1; {order.round} came.")
    if order.round > last:
        raise WireError(f"the study ends with round {study.rounds}; {order.round} came.")
    if order.work is None and order.round <= study.rounds and reveals(study) == "sum":
        raise WireError("where only sums are revealed, scores alone are asked for after the last round only.")


def _refuse_undrawn(hospital: Hospital, order: Order) -> None:
    """Whoever is not drawn scores the model at most, and not even that where scores are in a sum of those drawn."""
    is_bound = order.work is not None or reveals(hospital.study) == "sum"
    if is_bound and hospital.site not in hospital.cohorts.of_round(order.round).sites:
        raise WireError(f"the study does not draw this hospital in round {order.round}.")


def _refuse_other_work(study: Study, work: Work | None) -> None:
    wanted = STRATEGIES.build(study.strategy).work()
    if work is not None and work != wanted:
        raise WireError(f"strategy {study.strategy.name!r} asks for {wanted}; {work} came.")


def _refuse_other_splits(study: Study, order: Order) -> None:
    allowed = evaluated_splits(study, order.round)
    if not set(order.evaluate) <= set(allowed):
        raise WireError(f"in round {order.round} the study scores {list(allowed)}; {list(order.evaluate)} came.")


def _refuse_comparison(study: Study, order: Order) -> None:
    """A vote tells one bit of validation cases: only where the study has votes, and on a model of its size."""
    if order.reference is None:
        return
    if not votes_in(study, order.round):
        raise WireError(f"the study has no vote in round {order.round}; a model to compare with came.")
    if order.reference.shape != order.parameters.shape:
        raise WireError("the model to compare with is of another size.")


def _refuse_another_start(hospital: Hospital, parameters: Vector) -> None:
    shape, model = hospital.train.shape, model_in(hospital.network)
    if not begins_with(hospital.study, hospital.task, shape, parameters, model):
        given = "seed gives" if hospital.study.start is None else "start.sha256 stands for"
        raise WireError(f"round 1 must start from the parameters that the study's {given}; others came.")


def _refuse_early_control(control: Vector | None) -> None:
    """A control variate corrects every step, and so could make of the right start any other model."""
    if control is not None and np.any(control):
        raise WireError("in round 1 a control variate must be zero; another came.")


def _refuse_imprint(hospital: Hospital, parameters: Vector) -> None:
    layout = Layout.of(hospital.network)
    if parameters.shape != (layout.length,):
        raise WireError(f"the model has {layout.length} parameters; {parameters.size} came.")
    tensors = layout.tensors(parameters)
    for name in _hidden_linear_layers(hospital.network):
        if f"{name}.weight" not in tensors:
            continue
        weights = tensors[f"{name}.weight"]
        if _parallel_rows(weights) > MOST_PARALLEL:
            raise WireError(f"more than {MOST_PARALLEL} rows of layer {name} have one direction: an imprint.")
        if (binned := _rows_in_bins(weights)) > max(LEAST_BINS - 1, MOST_IN_BINS * len(weights)):
            raise WireError(f"{binned} rows of layer {name} have the direction of others, nearly: a blurred imprint.")


def _hidden_linear_layers(network: nn.Module) -> list[str]:
    """All that are learned but the last: its rows of classes that no hospital has a case of are honestly parallel.

    A companion gives no gradient, into which cases could be copied.
    """
    learned = {name for name, _ in trainable(network)}
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return [name for name in linear if f"{name}.weight" in learned or f"{name}.bias" in learned][:-1]


def _parallel_rows(weights: NDArray[np.float32]) -> int:
    """The most rows that have the direction of one of them, of either sign. Rows of zeros have none."""
    cosines = _cosines(weights)
    return int((cosines >= PARALLEL).sum(axis=1).max()) if cosines.size else 0


def _rows_in_bins(weights: NDArray[np.float32]) -> int:
    """How many rows have nearly the direction of MOST_PARALLEL others or more."""
    cosines = _cosines(weights)
    least = NEARLY_PARALLEL if weights.shape[1] >= SHORT else NEARLY_PARALLEL_IF_SHORT
    return int(((cosines >= least).sum(axis=1) > MOST_PARALLEL).sum())


def _cosines(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows, rows) absolute; empty where none has a direction that chance would not give to others."""
    rows = weights.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    return np.abs(rows @ rows.T) if rows.shape[1] >= LEAST_COLUMNS else np.zeros((0, 0))
