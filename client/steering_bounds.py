"""What a hospital refuses of the numbers that steer its work: whatever the approved study cannot have led to.

The model steers, and is `approval`'s. Beside it come, in an order, SCAFFOLD's control variate, the clip norm of
hospital-level privacy, and how values become whole numbers: the scale, the step and the range factor of a sum. Each
is bounded here by what the study's rules can have made of any updates at all, so that no honest server is refused;
and each is part of what hospitals sign before a sum is opened (`common.sums.aggregations._transcript`), so that a
server cannot tell one hospital this and another that.

*Control variate.* The server's is the sum of n_k dc_k over all hospitals' weights. In a sum of whole numbers no
hospital's part is beyond largest_value * scale * range factor in any coordinate, the scale is one hospital's weight
and so at most that of all, so that a round moves it by at most hospitals * largest_value * range factor; before the
first round it is 0, and the range factor never falls. Where updates travel in the clear nothing bounds it but that it
must be finite.

*Clip norm.* That of the study, or where it adapts, what so many of its geometric steps can reach.

*Scale.* The largest weight of a hospital in the round: at least this hospital's, or its values would be cut more than
those of others, and at most as many cases as can be counted in a sum at all. Where every hospital weighs 1, it is 1.

*Range factor.* Of a short list; 1 where noise is computed for the study's own range.

*Step.* None but the grid of a mechanism's noise; where the study compresses to whole numbers, the one that follows
from the range and the scale, in the order and in what is added up alike.
"""

from __future__ import annotations

import numpy as np

from client.hospital import Hospital
from common.compression.whole_steps import step_of
from common.errors import WireError
from common.privacy.abilities import abilities, can, grid_of, may_be_asked_again, weighs_alike
from common.privacy.mechanism import Mechanism
from common.privacy.study_facts import mechanism_of
from common.study.catalogue import AGGREGATIONS
from common.sums.abilities import codec_of
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.exchange import Payload
from common.sums.mean import MOST_WEIGHT
from common.sums.update import Vector
from common.wire.train_requests import Order

ROUNDING = 1e-6
"""Relative, by which another processor's arithmetic may differ."""
ENCRYPTION = 1.01
"""By how much an encryption with small errors may let a sum of whole numbers seem larger than it is."""
MOST_CASES = float(MOST_WEIGHT)
"""More cases than a sum can count; no study has a hospital with so many."""


def refuse_steering(hospital: Hospital, order: Order, request: Payload) -> None:
    """Raise WireError, saying what was due, where a number that steers is none that the study can have led to."""
    _refuse_not_finite(order)
    if order.work is None:
        return
    mechanism = mechanism_of(hospital.study)
    _refuse_other_clip_norm(order, mechanism)
    codec = codec_of(AGGREGATIONS.build(hospital.study.aggregation))
    if codec is None:
        _refuse_other_compression(order.step, 0.0)
        return
    agreement = read_agreement(request)
    bits = None if (compression := hospital.study.federation.compression) is None else compression.sum_bits
    if bits is None:
        _refuse_other_compression(order.step, 0.0)
        _refuse_other_step(agreement, mechanism)
    else:
        for came in (order.step, agreement.step or 0.0):
            _refuse_other_compression(came, step_of(codec.largest_value, agreement.reach, bits))
    _refuse_other_range(agreement, mechanism)
    _refuse_other_scale(agreement, mechanism, len(hospital.train))
    if order.control is not None:
        a_round = len(hospital.roster) * codec.largest_value * agreement.range_factor
        _refuse_unreachable_control(order.control, order.round, a_round)


def _refuse_not_finite(order: Order) -> None:
    models = (("model", order.parameters), ("model to compare with", order.reference))
    for name, vector in (*models, ("control variate", order.control)):
        if vector is not None and not np.isfinite(vector).all():
            raise WireError(f"a {name} must be finite; {np.count_nonzero(~np.isfinite(vector))} values are not.")


def _refuse_other_clip_norm(order: Order, mechanism: Mechanism | None) -> None:
    if mechanism is None or not can(mechanism, "clip_norms"):
        if order.clip_norm != 0:
            raise WireError(f"the study has no clip norm that the server steers; {order.clip_norm:g} came.")
        return
    least, most = abilities(mechanism).clip_norms(order.round)
    if not least * (1 - ROUNDING) <= order.clip_norm <= most * (1 + ROUNDING):
        raise WireError(
            f"in round {order.round} the clip norm must be within {least:g} and {most:g}; {order.clip_norm:g} came."
        )


def _refuse_other_step(agreement: Agreement, mechanism: Mechanism | None) -> None:
    due = None if mechanism is None else grid_of(mechanism)
    if agreement.step != due:
        raise WireError(f"values of this study lie on a step of {due}; one of {agreement.step} came.")


def _refuse_other_compression(came: float, due: float) -> None:
    if came != due:
        raise WireError(f"compressed values of this study lie on a step of {due:g}; one of {came:g} came.")


def _refuse_other_range(agreement: Agreement, mechanism: Mechanism | None) -> None:
    """Central noise pays for one range's rounding, and shares of noise have room in one."""
    if agreement.range_factor != 1 and mechanism is not None and not may_be_asked_again(mechanism):
        raise WireError(f"noise is computed for a range factor of 1; {agreement.range_factor} came.")


def _refuse_other_scale(agreement: Agreement, mechanism: Mechanism | None, cases: int) -> None:
    """Under noise of its own a hospital loses nothing by a small scale: what is cut was noised before."""
    least, most = (0.0 if mechanism is not None else float(cases)), MOST_CASES
    if mechanism is not None and weighs_alike(mechanism):
        least = most = 1.0
    if not least <= agreement.scale <= most:
        raise WireError(f"the scale of a sum must be within {least:g} and {most:g} here; {agreement.scale:g} came.")


def _refuse_unreachable_control(control: Vector, number: int, a_round: float) -> None:
    """a_round: the farthest that one round moves a value."""
    most = (number - 1) * a_round * ENCRYPTION
    largest = float(np.abs(control).max(initial=0.0))
    if largest > most:
        raise WireError(f"by round {number} no value of a control variate can be beyond {most:g}; {largest:g} came.")
