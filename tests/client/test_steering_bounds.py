"""Numbers that steer a hospital's work: each honest one passes, and the nearest one beyond is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, inf, nan, nextafter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import Hospital, open_hospital
from client.steering_bounds import MOST_CASES, refuse_steering
from common.errors import WireError
from common.learning.client_work import Work
from common.learning.parameters import new_network, read
from common.privacy.mechanisms.hospital import HospitalLevel
from common.study.study import parse
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.exchange import Payload
from common.wire.train_requests import Order

TEXT = """
title = "Tiny"
rounds = 9
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "iid", hospitals = 5 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
"""
SCAFFOLD = ("strategy=scaffold", "aggregation={name='secagg', largest_value=0.5}")
CENTRAL = "privacy={name='hospital', noise_multiplier=1.0, delta=0.1, clip_norm=0.4%s}"
FIXED, ADAPTIVE = CENTRAL % "", CENTRAL % ", adaptive=true, target_quantile=0.75, clip_learning_rate=0.5"
DISTRIBUTED = (
    "strategy=fedsgd",
    "training={batch_size=8}",
    "privacy={name='distributed', noise_multiplier=1.0, delta=1e-3, sampling_rate=0.5, clip_norm=1.0, grid_bits=10}",
    "federation.least_in_sum=4",
)
DPSGD = "privacy={name='dpsgd', noise_multiplier=1.0, delta=1e-3}"
Open = Callable[..., Hospital]


@pytest.fixture(scope="module")
def opened(images: Path) -> Open:
    return lambda *overrides: open_hospital(parse(TEXT, [f'source.folder="{images}"', *overrides]).json, 0)


def order_of(hospital: Hospital, number: int = 4, **changed: Any) -> Order:
    """As an honest server's, but for what is changed."""
    parameters = read(new_network(hospital.task, hospital.train.shape, hospital.study.seed))
    strategy = hospital.study.strategy.name
    work = Work("gradient" if strategy == "fedsgd" else "delta", 0.0, strategy == "scaffold")
    control = np.zeros_like(parameters) if strategy == "scaffold" else None
    return replace(Order(hospital.study.json, number, parameters, work, control), **changed)


def agreed(hospital: Hospital, **changed: Any) -> Payload:
    agreement = Agreement(("a", "b", "c"), 10, 1, (), float(len(hospital.train)))
    return with_agreement(Payload(), replace(agreement, **changed))


def assert_refused(hospital: Hospital, order: Order, request: Payload, words: str) -> None:
    with pytest.raises(WireError, match=words):
        refuse_steering(hospital, order, request)


INT8 = ("federation.compression={kind='int8'}", "aggregation={name='secagg', value_bits=8, largest_value=0.5}")


def test_a_step_of_compressed_values_is_that_of_the_study_its_scale_and_range_and_no_other(opened: Open) -> None:
    hospital = opened(*INT8)
    due = 0.5 * 4 * len(hospital.train) / 127
    honest = order_of(hospital, step=due)
    refuse_steering(hospital, honest, agreed(hospital, step=due, range_factor=4))
    for ordered, added in ((0.0, due), (due, None), (due, due / 2), (due * 2, due * 2)):
        request = agreed(hospital, step=added, range_factor=4)
        assert_refused(hospital, replace(honest, step=ordered), request, "compressed values")
    assert_refused(opened("aggregation=secagg"), honest, agreed(hospital), "lie on a step of 0")
    assert_refused(opened(), honest, Payload(), "lie on a step of 0")


@pytest.mark.parametrize("overrides", [(), ("aggregation=secagg",), (DPSGD,), DISTRIBUTED])
@pytest.mark.parametrize("came", [1e-300, 0.4, 1.0, 1e9])
def test_a_clip_norm_is_refused_where_the_study_has_none_that_is_steered(
    opened: Open, overrides: tuple[str, ...], came: float
) -> None:
    hospital = opened(*overrides)
    step = 2.0**-10 if overrides is DISTRIBUTED else None
    refuse_steering(hospital, order_of(hospital), agreed(hospital, step=step))
    order = order_of(hospital, clip_norm=came)
    assert_refused(hospital, order, agreed(hospital, step=step), "no clip norm that the server steers; .* came")


@pytest.mark.parametrize("came", [0.0, 0.39, 0.3999, 0.4001, 0.8, 1e9])
@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_clip_norm_that_does_not_adapt_is_the_studys_own_in_every_round(
    opened: Open, came: float, number: int
) -> None:
    hospital = opened(FIXED)
    refuse_steering(hospital, order_of(hospital, number, clip_norm=0.4), Payload())
    words = f"in round {number} the clip norm must be within 0.4 and 0.4"
    assert_refused(hospital, order_of(hospital, number, clip_norm=came), Payload(), words)


@pytest.mark.parametrize(
    ("number", "least", "most"),
    [
        (1, 0.4, 0.4),
        (2, 0.4 * exp(-0.125), 0.4 * exp(0.375)),
        (5, 0.4 * exp(-0.5), 0.4 * exp(1.5)),
        (9, 0.4 * exp(-1.0), 0.4 * exp(3.0)),
    ],
)
def test_an_adaptive_clip_norm_is_refused_beyond_what_its_steps_can_reach(
    opened: Open, number: int, least: float, most: float
) -> None:
    """A step is exp(-0.5 (share - 0.75)), the share within 0 and 1: between exp(-0.125) and exp(0.375)."""
    hospital = opened(ADAPTIVE)
    for honest in (least, most):
        refuse_steering(hospital, order_of(hospital, number, clip_norm=honest), Payload())
    for came in (0.0, 0.9999 * least, 1.0001 * most, 1e9):
        order = order_of(hospital, number, clip_norm=came)
        assert_refused(hospital, order, Payload(), f"in round {number} the clip norm must be within")


@pytest.mark.parametrize("shares", [(0.0,) * 8, (1.0,) * 8, (-40.0, 41.0) * 4, (0.3, 0.9, 0.75, 2.0)])
def test_no_noise_on_the_count_leads_an_honest_server_out_of_the_interval(shares: tuple[float, ...]) -> None:
    mechanism = HospitalLevel(0.4, noise_multiplier=1.0, adaptive=True, target_quantile=0.75, clip_learning_rate=0.5)
    clip_norm = mechanism.clip_norm
    for number, share in enumerate(shares, start=2):
        clip_norm = mechanism.next_clip_norm(clip_norm, share)
        least, most = mechanism.clip_norms(number)
        assert least * (1 - 1e-9) <= clip_norm <= most * (1 + 1e-9)


def test_where_a_hospital_only_scores_no_clip_norm_is_looked_for(opened: Open) -> None:
    hospital = opened(FIXED)
    refuse_steering(hospital, order_of(hospital, work=None), Payload())


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("which", ["parameters", "control"])
@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_what_is_not_finite_is_refused_in_the_clear_too(
    opened: Open, value: float, which: str, aggregation: str
) -> None:
    hospital = opened("strategy=scaffold", f"aggregation={aggregation}")
    vector = getattr(order_of(hospital), which).copy()
    vector[7] = value
    order = order_of(hospital, **{which: vector})
    assert_refused(hospital, order, agreed(hospital), "must be finite; 1 values are not")


@pytest.mark.parametrize(("number", "factor", "most"), [(2, 1, 2.5), (4, 1, 7.5), (4, 16, 120.0)])
def test_a_control_variate_is_refused_beyond_what_sums_so_far_can_have_made(
    opened: Open, number: int, factor: int, most: float
) -> None:
    """5 hospitals, largest_value 0.5: a round moves it by 2.5 at most, times the range factor."""
    hospital = opened(*SCAFFOLD)
    request = agreed(hospital, vectors=2, range_factor=factor)
    control = np.zeros_like(order_of(hospital).parameters)
    for place, sign in ((0, 1), (-1, -1)):
        control[place] = sign * most
        refuse_steering(hospital, order_of(hospital, number, control=control), request)
        control[place] = sign * most * 1.02
        words = f"by round {number} no value of a control variate can be beyond"
        assert_refused(hospital, order_of(hospital, number, control=control), request, words)
        control[place] = 0


def test_a_scale_is_at_least_this_hospitals_cases_and_no_more_than_a_sum_can_count(opened: Open) -> None:
    hospital = opened("aggregation=secagg")
    cases = float(len(hospital.train))
    for scale in (cases, MOST_CASES):
        refuse_steering(hospital, order_of(hospital), agreed(hospital, scale=scale))
    for scale in (nextafter(cases, 0), cases / 2, 1e-9, nextafter(MOST_CASES, inf), 1e30):
        assert_refused(hospital, order_of(hospital), agreed(hospital, scale=scale), "scale of a sum must be within")


@pytest.mark.parametrize("scale", [0.5, 0.999, 1.001, 40.0])
def test_the_scale_is_one_where_every_hospital_weighs_one(opened: Open, scale: float) -> None:
    hospital = opened("aggregation=secagg", FIXED)
    order = order_of(hospital, clip_norm=0.4)
    refuse_steering(hospital, order, agreed(hospital, scale=1.0))
    assert_refused(hospital, order, agreed(hospital, scale=scale), "within 1 and 1 here")


@pytest.mark.parametrize("step", [None, 2.0**-11, 2.0**-9, 1e30])
def test_the_step_of_shares_of_noise_is_the_studys(opened: Open, step: float | None) -> None:
    """A step of 1e30 would round a hospital's share of noise away, together with what it hides."""
    hospital = opened("aggregation=secagg", *DISTRIBUTED)
    refuse_steering(hospital, order_of(hospital), agreed(hospital, step=2.0**-10))
    assert_refused(hospital, order_of(hospital), agreed(hospital, step=step), "lie on a step of")


@pytest.mark.parametrize("overrides", [("aggregation=secagg",), ("aggregation=secagg", DPSGD)])
def test_no_step_is_set_where_values_lie_on_none_and_the_range_may_be_wider(
    opened: Open, overrides: tuple[str, ...]
) -> None:
    hospital = opened(*overrides)
    refuse_steering(hospital, order_of(hospital), agreed(hospital, range_factor=1024))
    assert_refused(hospital, order_of(hospital), agreed(hospital, step=1.0), "lie on a step of None")


@pytest.mark.parametrize(("overrides", "clip_norm", "step"), [((FIXED,), 0.4, None), (DISTRIBUTED, 0.0, 2.0**-10)])
def test_the_range_is_the_studys_where_noise_is_computed_for_it(
    opened: Open, overrides: tuple[str, ...], clip_norm: float, step: float | None
) -> None:
    hospital = opened("aggregation=secagg", *overrides)
    order = order_of(hospital, clip_norm=clip_norm)
    scale = 1.0 if overrides == (FIXED,) else float(len(hospital.train))
    refuse_steering(hospital, order, agreed(hospital, scale=scale, step=step))
    assert_refused(hospital, order, agreed(hospital, scale=scale, step=step, range_factor=4), "range factor of 1")


@pytest.mark.parametrize("factor", [0, 2, -4, 4096, 1.0, True])
def test_a_range_factor_that_is_not_on_the_list_is_refused(opened: Open, factor: Any) -> None:
    hospital = opened("aggregation=secagg")
    request = agreed(hospital)
    request = replace(request, numbers={**request.numbers, "sum/range": factor})
    assert_refused(hospital, order_of(hospital), request, "one of 1, 4, 16")
