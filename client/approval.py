"""What a hospital refuses to do for a study that it approved: whatever an honest server would not ask.

Rounds, kind of work, splits to score and the hospitals of a round are those of the study. Rounds go forward only
(`answered_rounds`); one that is asked for again, as after a crash of the server, is answered where the very same
order comes.

A cheating server may still send any parameters, such as a model made to copy cases into a gradient. Three things are
checked of them: that round 1 starts from the parameters that the study's seed gives, to rounding, or from those of
the model whose digest the study names; that no linear layer before the last is an imprint (`imprints`); and what the
model makes of the hospital's own cases (`singled_out`, `companion_traps`). There is no bound on how far a later
model may be from an earlier one: a server's learning rate is free, and a hospital that was not drawn for many rounds
has seen none of what lies between. What of this a cheating server gets past is played by every audit
(`experiments/audit/adversaries/cheating.py`) and said in `docs/security.md`.
"""

from __future__ import annotations

import numpy as np

from client.companion_traps import refuse_companion_traps
from client.hospital import Hospital
from client.imprints import refuse_imprint
from client.own_parts import model_in
from client.singled_out import refuse_singling_out
from common.errors import WireError
from common.learning.client_work import Work
from common.learning.start import begins_with
from common.study.catalogue import STRATEGIES
from common.study.schedule import evaluated_splits, final_round, votes_in
from common.study.study import Study
from common.sums.cohorts import reveals
from common.sums.update import Vector
from common.wire.train_requests import Order


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
    refuse_imprint(hospital, order.parameters)
    refuse_singling_out(hospital, order)
    refuse_companion_traps(hospital, order)


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
