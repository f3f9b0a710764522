"""A cheating server's imprint: what its gradient holds, and hospitals without their approval and with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Message
from torch import nn

from client import answers
from client.node import Node, load_app
from common.errors import WireError
from common.learning.parameters import Layout, new_network, read_gradient
from common.learning.work import Work
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.orders import Order, to_payload
from common.wire.records import from_records, to_records
from experiments.attacks.cheating.imprint import Held, blur, carries, closer, held, imprinted, wide_thresholds
from experiments.audit import cheating_trials as trials_of_cheating
from experiments.audit.cheating import BLUR, LOWEST, cheats
from experiments.audit.cheating_trials import cheating_trials
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.report.page import page_of
from experiments.audit.verdicts import verdicts
from experiments.engines._quiet import run_quietly
from experiments.evidence.ground_truth import truth_of
from experiments.evidence.observing import observe, sent_orders

OUTLINED = """
title = "Outlined"
rounds = 1
engine = "inline"
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 1 }
federation = { record_traffic = true, evaluate_every = 0 }
"""
LARGEST = 1 << 24
RECORDED = ("federation.record_traffic=true", "federation.evaluate_every=0", "rounds=2")
CARRIER = ("strategy=fedsgd", 'training={batch_size="full"}', 'task.network={name="mlp", hidden=[256]}')
NO_CARRIER = ("strategy=fedsgd", 'training={batch_size="full"}', 'task.network="logistic"')


def two_layers(inputs: int, units: int, classes: int = 2) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(inputs, units), nn.ReLU(), nn.Linear(units, classes))


def gradient_of(network: nn.Module, inputs: torch.Tensor, labels: list[int]) -> np.ndarray:
    network.zero_grad()
    nn.functional.cross_entropy(network(inputs), torch.tensor(labels), reduction="sum").backward()
    return read_gradient(network)


def test_the_gradient_between_two_thresholds_is_the_one_case_between_them() -> None:
    network = two_layers(3, 4)
    imprinted(network, np.array([-1.0, 0.0, 1.0, 2.0]))
    inputs = torch.tensor([[-0.3, -0.6, 0.0], [0.9, 0.3, 0.6], [5.0, 6.0, 7.0]])
    seen = held(network, gradient_of(network, inputs, [0, 1, 0]))
    assert seen.bins.tolist() == [0, 1]
    np.testing.assert_allclose(seen.inputs, inputs[:2], atol=1e-5)
    assert seen.shares.sum() == pytest.approx(1)


def test_every_class_has_a_gradient_of_its_own() -> None:
    for classes in range(2, 12):
        network = two_layers(3, 4, classes)
        imprinted(network, np.array([-1.0, 0.0, 1.0, 2.0]))
        for label in range(classes):
            seen = held(network, gradient_of(network, torch.full((1, 3), 0.5), [label]))
            np.testing.assert_allclose(seen.inputs, np.full((1, 3), 0.5), rtol=1e-3)


def test_thresholds_move_to_where_cases_are_and_keep_their_order() -> None:
    before = np.linspace(-4, 4, 9)
    seen = Held(np.array([2, 5]), np.zeros((2, 1), np.float32), np.array([0.5, 0.5]))
    after = closer(before, seen, 1)
    assert after.shape == before.shape and (np.diff(after) > 0).all()
    np.testing.assert_allclose(after[:8], [-2, -1.75, -1.5, -1.25, 1, 1.25, 1.5, 1.75])
    assert after[8] == 2
    only_the_least = closer(before, seen, 100)
    assert only_the_least[0] == -2 and only_the_least[7] < -1 and only_the_least[8] == -1
    nothing = replace(seen, bins=np.array([], int), shares=np.array([]))
    assert closer(before, nothing, 3) is before


def test_an_imprint_needs_two_linear_layers_before_all_others() -> None:
    assert carries(nn.Sequential(nn.Flatten(), *two_layers(6, 4)), (2, 3))
    assert not carries(nn.Linear(6, 2), (6,))
    assert not carries(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), *two_layers(6, 4)), (1, 2, 3))
    assert not carries(nn.Sequential(nn.MaxPool1d(2), *two_layers(3, 4)), (6,))


def test_a_blur_leaves_the_rows_less_alike_than_the_check_asks_for() -> None:
    network = two_layers(50, 64)
    thresholds = wide_thresholds(network, LOWEST, -LOWEST)
    sharp = Layout.of(network).tensors(imprinted(network, thresholds))["0.weight"]
    rows = Layout.of(network).tensors(blur(network, BLUR, torch.Generator().manual_seed(0)))["0.weight"]
    assert sharp.shape == rows.shape and not np.array_equal(sharp, rows)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (units @ units.T)[np.triu_indices(64, 1)]
    assert cosines.min() > 0.99 and cosines.max() < 0.9999


@pytest.fixture
def study(tiny: Callable[..., Study]) -> Study:
    return tiny(*CARRIER, *RECORDED)


def answered(study: Study, folder: Path, number: int) -> Payload:
    """What the first hospital answers over the wire to an imprint sent as the model of round `number`."""
    run_quietly(study, folder / "run")
    observed = observe(folder / "run")
    network = new_network(study.build_task(), observed.shape, study.seed)
    parameters = imprinted(network, wide_thresholds(network, -1, 1))
    order = Order(study.json, number, parameters, Work("gradient"))
    node = Node(load_app("client.app:app"), 1, 1, {"site-index": 0, "folder": str(folder), "simulated": True})
    identify(1, 1)
    reply = from_bytes(node.answer(to_bytes(Message(to_records(to_payload(order)), 1, "train.round"))))
    return from_records(reply.content, LARGEST, LARGEST)


def test_without_approval_a_hospital_answers(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "approve", lambda *_: None)
    assert answered(study, tmp_path, 1).array is not None


@pytest.mark.parametrize("number", [1, 2])
def test_with_approval_the_hospital_answers_with_an_incident(study: Study, tmp_path: Path, number: int) -> None:
    reply = answered(study, tmp_path, number)
    assert reply.array is None and not reply.numbers
    assert set(reply.words) == {"incident"}


@pytest.mark.parametrize("settings", [(), ("aggregation=secagg",)])
def test_inputs_come_back_from_hospitals_that_check_nothing_and_their_checks_refuse_it(
    tiny: Callable[..., Study], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    run_quietly(tiny(*CARRIER, *RECORDED, *settings), tmp_path)
    observed, orders = observe(tmp_path), sent_orders(tmp_path)
    sites = observed.sites if settings else observed.sites[:1]
    sharp, blurred = cheats(observed, orders, sites)
    true = truth_of(sharp.study, sharp.back.round, sites).inputs
    errors = np.abs(sharp.back.inputs[:, None] - true[None]).reshape(len(sharp.back.inputs), len(true), -1).max(2)
    assert np.mean(errors.min(1) < 1e-2) > 0.5
    assert not sharp.own_study
    assert "seed gives" in sharp.refused["first"] and "an imprint" in sharp.refused["later"]
    assert sharp.refused["listed"] == sharp.refused["later"]
    assert "seed gives" in blurred.refused["first"] and not blurred.refused["later"] and not blurred.refused["listed"]


def test_a_study_of_the_coordinators_own_is_stopped_by_the_list_alone(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    noise = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-3}'
    run_quietly(tiny(*NO_CARRIER, *RECORDED, "aggregation=secagg", noise), tmp_path)
    observed = observe(tmp_path)
    sharp, blurred = cheating_trials(observed, sent_orders(tmp_path), lambda _: None)
    assert sharp.settings["own_study"] and any(one.identifies for one in sharp.rebuilt)
    assert not blurred.settings["refused"]["later"]
    assert "approved-studies.txt" in blurred.settings["refused"]["listed"]


@pytest.mark.parametrize("strategy", ["fedavg", "scaffold"])
def test_a_study_of_local_steps_is_sent_its_own_kind_of_work_and_tells_too(
    strategy: str, tiny: Callable[..., Study], tmp_path: Path
) -> None:
    one_step = (CARRIER[2], 'training.batch_size="full"', f"strategy={strategy}")
    run_quietly(tiny(*one_step, *RECORDED, "aggregation=secagg"), tmp_path)
    sharp, blurred = cheating_trials(observe(tmp_path), sent_orders(tmp_path), lambda _: None)
    assert sharp.possible and sharp.settings["sends"] == "delta" and not sharp.settings["own_study"]
    assert any(one.identifies and one.ssim > 0.9 for one in sharp.rebuilt)
    assert "an imprint" in sharp.settings["refused"]["listed"]
    assert blurred.settings["refused"]["listed"] == ""


def test_a_study_of_one_round_has_no_later_model_that_a_hospital_answers_to(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    run_quietly(tiny(*CARRIER, *RECORDED, "rounds=1"), tmp_path)
    observed = observe(tmp_path)
    for cheat in cheats(observed, sent_orders(tmp_path), observed.sites[:1]):
        assert cheat.refused["later"] == cheat.refused["listed"] == "the study ends with round 1; 2 came"


def test_what_cannot_be_played_is_said_and_the_audit_goes_on(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise WireError("the sum is not to be had.")

    run_quietly(study, tmp_path)
    monkeypatch.setattr(trials_of_cheating, "cheats", fails)
    trials = cheating_trials(observe(tmp_path), sent_orders(tmp_path), lambda _: None)
    assert {(trial.possible, trial.reason) for trial in trials} == {(False, "the sum is not to be had")}
    assert {trial.site for trial in trials} == set(observe(tmp_path).sites)


def test_noise_hides_inputs_from_an_imprint(tiny: Callable[..., Study], tmp_path: Path) -> None:
    noise = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-3}'
    run_quietly(tiny(*CARRIER, *RECORDED, noise), tmp_path)
    trials = cheating_trials(observe(tmp_path), sent_orders(tmp_path), lambda _: None)
    assert len(trials) == 8
    assert not any(one.identifies for trial in trials for one in trial.rebuilt)


def test_the_page_shows_both_ways_and_a_blurred_imprint_is_amber(study: Study, tmp_path: Path) -> None:
    run_quietly(study, tmp_path)
    report = audit_run(tmp_path, Effort(1.0))
    own = tuple(trial for trial in report.trials if trial.observer == "cheating")
    reasons = {
        (light, words)
        for verdict in verdicts(("hospital-0",), report.claim, own, study.audit)
        for light, words in verdict.reasons
    }
    assert any(light == "green" and "refused by a hospital that checks" in words for light, words in reasons)
    assert any(light == "amber" and words.startswith("If the coordinator cheats") for light, words in reasons)
    page = page_of(report)
    for words in ("If the coordinator cheats", "refused: round 1 must start", "patients came back"):
        assert words in page


def test_of_a_segmentation_it_is_said_why_nothing_was_played(tmp_path: Path) -> None:
    run_quietly(parse(OUTLINED), tmp_path)
    (trial,) = cheating_trials(observe(tmp_path), sent_orders(tmp_path), lambda _: None)
    assert not trial.possible and "two linear layers before all others" in trial.reason
