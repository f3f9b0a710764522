"""Schedules over rounds: tables by hand, torch's schedulers beside them, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from common.errors import StudyError
from common.learning.baseline import baseline_trainings
from common.learning.client_work import Training
from common.learning.schedules import Schedule, rate_in_round
from common.study.study import parse, parse_json

TEXT = """
title = "Tiny"
rounds = 4
source = { name = "phantom" }
task = "segmentation"
"""


def factors(schedule: Schedule, rounds: int) -> list[float]:
    return [schedule.factor_of(number) for number in range(1, rounds + 1)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(), [1, 1, 1, 1]),
        (Schedule(warm_up_rounds=3), [0.25, 0.5, 0.75, 1, 1, 1]),
        (Schedule("step", every=2), [1, 1, 0.1, 0.1, 0.01]),
        (Schedule("step", every=2, factor=0.5, warm_up_rounds=1), [0.5, 1, 1, 0.5, 0.5, 0.25]),
        (Schedule("step", at=(2, 5), factor=0.5), [1, 0.5, 0.5, 0.5, 0.25]),
        (Schedule("exponential", factor=0.5), [1, 0.5, 0.25]),
        (Schedule("linear", over=4), [1, 0.75, 0.5, 0.25, 0.25]),
        (Schedule("linear", over=4, lowest=0.5), [1, 0.875, 0.75, 0.625, 0.625]),
        (Schedule("linear", over=4, warm_up_rounds=2), [1 / 3, 2 / 3, 1, 0.5, 0.5]),
        (Schedule("cosine", over=4), [1, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2, (1 - 2**-0.5) / 2]),
        (Schedule("cosine", over=2, lowest=0.5), [1, 0.75, 0.75]),
    ],
)
def test_factors_are_those_of_a_table_by_hand(schedule: Schedule, expected: list[float]) -> None:
    assert factors(schedule, len(expected)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "peer"),
    [
        (Schedule("step", every=3, factor=0.3), lambda o: lr_scheduler.StepLR(o, 3, 0.3)),
        (Schedule("step", at=(3, 7), factor=0.3), lambda o: lr_scheduler.MultiStepLR(o, [2, 6], 0.3)),
        (Schedule("exponential", factor=0.8), lambda o: lr_scheduler.ExponentialLR(o, 0.8)),
        (Schedule("linear", over=10, lowest=0.1), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, 10)),
        (Schedule("cosine", over=10), lambda o: lr_scheduler.CosineAnnealingLR(o, 10)),
    ],
)
def test_rates_are_those_of_torch_with_a_round_for_an_epoch(schedule: Schedule, peer) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler, rates = peer(optimiser), []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert [rate_in_round(0.2, schedule, number) for number in range(1, 11)] == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize("kind", ["constant", "exponential", "linear", "cosine"])
def test_no_round_has_a_rate_of_zero(kind: str) -> None:
    schedule = Schedule(kind, warm_up_rounds=2).resolved(6)
    assert all(factor > 0 for factor in factors(schedule, 12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cosine", "factor": 0.5}, r"schedule\.factor has no effect on kind 'cosine'.*'step' and 'exp"),
        ({"kind": "constant", "every": 2}, r"schedule\.every has no effect on kind 'constant'"),
        ({"kind": "step"}, r"schedule\.every is missing"),
        ({"kind": "step", "at": (3, 3)}, "rising order"),
        ({"kind": "step", "at": (1,)}, "from 2"),
        ({"kind": "step", "at": (3,), "every": 2}, "in the place of"),
        ({"kind": "cosine", "over": 3, "warm_up_rounds": 3}, "leaves no round"),
        ({"kind": "cosine", "lowest": 1.5}, r"schedule\.lowest must lie between"),
        ({"warm_up_rounds": -1}, r"warm_up_rounds must be zero or more"),
        ({"kind": "exponential", "factor": 0.0}, r"factor must be above zero"),
    ],
)
def test_options_that_do_nothing_or_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Schedule(**options)


def test_without_a_schedule_the_very_same_settings_are_used() -> None:
    training = Training(learning_rate=0.1)
    assert training.in_round(7) is training
    assert rate_in_round(0.1, None, 7) == 0.1


def test_a_study_made_longer_says_so_by_the_length_it_was_read_with() -> None:
    study = parse(TEXT, ["training.schedule.kind=cosine", "server_schedule.kind=linear"])
    assert study.training.schedule.over == study.server_schedule.over == 4
    again = parse(study.text, ["rounds=8"])
    assert again.training.schedule.over == 4
    assert parse_json(study.json) == study


def test_models_to_compare_with_are_trained_at_the_rates_of_the_rounds() -> None:
    plain = baseline_trainings(parse(TEXT, ["training.epochs=2"]))
    assert [one.epochs for one in plain] == [8]
    step = ["training.schedule={kind='step', every=2}", "training.learning_rate=1.0", "training.epochs=2"]
    assert [(one.epochs, one.learning_rate) for one in baseline_trainings(parse(TEXT, step))] == [
        (2, 1.0),
        (2, 1.0),
        (2, 0.1),
        (2, 0.1),
    ]
    server = ["strategy={name='fedsgd', learning_rate=1.0}", "server_schedule={kind='exponential', factor=0.5}"]
    assert [one.learning_rate for one in baseline_trainings(parse(TEXT, server))] == [1.0, 0.5, 0.25, 0.125]


def test_a_schedule_of_steps_that_hospitals_do_not_take_is_refused_and_leads_to_the_servers() -> None:
    with pytest.raises(StudyError, match=r"training\.schedule has no effect.*server_schedule"):
        parse(TEXT, ["strategy=fedsgd", "training.schedule.kind=cosine"])
