from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from client.training import Trainer
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.parameters import new_network, read, write
from common.study.study import parse
from common.sums.update import Update
from common.wire.train_requests import Order
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding, Shares
from experiments.attacks._ridge import ridge
from experiments.attacks.property_over_rounds import PropertyOverRounds
from experiments.audit.questions import property as asked
from experiments.audit.questions.property import SharesOfGroups, chance_of
from experiments.observation import Observation, Single
from experiments.question import Attempt

STUDY = parse(
    """
title = "Who are they?"
rounds = 2
seed = 5
source = { name = "heart" }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { epochs = 1, batch_size = 20, learning_rate = 0.1 }
report = { subgroups = ["sex: f, m"] }
"""
)
TRUE = {"a": 0.05, "b": 0.3, "c": 0.5, "d": 0.7, "e": 0.95}
"""Shares of women."""


def cases(rng: np.random.Generator, count: int, women: float) -> Cases:
    """Women are large in the first input; the label is of the second, and has nothing to do with it."""
    sex = np.where(np.arange(count) < round(women * count), "f", "m")
    inputs = rng.normal(0, 1, (count, 4)).astype(np.float32)
    inputs[:, 0] += np.where(sex == "f", 2.0, -2.0)
    labels = (inputs[:, 1] > 0).astype(np.int64)
    names = [f"p{number}" for number in rng.integers(10**9, size=count)]
    return Cases.of(inputs, labels, names, ("well", "ill"), sex=sex)


def federation(shares: dict[str, float]) -> tuple[Observation, dict[str, Cases]]:
    """Two rounds of hospitals with such shares; and what they hold."""
    rng, shape = np.random.default_rng(0), Shape((4,), 2)
    held = {site: cases(rng, 40, share) for site, share in shares.items()}
    network = new_network(STUDY.build_task(), shape, STUDY.seed)
    models, singles = {1: read(network)}, []
    for number in (1, 2):
        order, total = Order(STUDY.json, number, models[number], None), 0.0
        for site, own in held.items():
            write(network, models[number])
            update, _ = Trainer(STUDY.build_task(), network, own, STUDY.training, rng).local_update()
            singles.append(Single(number, site, order, update))
            total = total + update.vectors[0] / (40 * len(held))
        models[number + 1] = (models[number] + total).astype(np.float32)
    access = Access(population=cases(rng, 120, 0.5))
    counts = dict.fromkeys(held, 40)
    return Observation("server", STUDY, shape, ("well", "ill"), counts, models, tuple(singles), access=access), held


def scored(seen: Observation, held: dict[str, Cases], finding: Finding, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(asked, "hospital_of", lambda study, site: SimpleNamespace(train=held[site]))
    run: Any = SimpleNamespace(observed=seen, study=STUDY)
    attempt = Attempt("property_over_rounds", "", "coordinator", View(seen), question="property")
    found = SharesOfGroups().scored(attempt, finding, run)
    return [(trial, list(SharesOfGroups().reasons(trial.site, trial, run))) for trial in found]


def test_shares_of_women_are_read_off_updates_and_said_beside_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, held = federation(TRUE)
    finding = PropertyOverRounds(hospitals=40).run(seen, np.random.default_rng(0), 60.0)
    trials = scored(seen, held, finding, monkeypatch)
    assert [trial.site for trial, _ in trials] == list(TRUE)
    for trial, reasons in trials:
        assert trial.figures["f, true"] == pytest.approx(TRUE[trial.site])
        assert [light for light, _, _ in reasons] == ["amber"]
    figures = trials[0][0].figures
    assert figures["chance"] < 0.05 and figures["mean_error"] < 0.8 * figures["mean_error_of_a_guess"]
    assert "without any update" in SharesOfGroups().answer([trial for trial, _ in trials])


def test_updates_of_noise_tell_no_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, held = federation(TRUE)
    rng = np.random.default_rng(3)
    noisy = tuple(
        replace(one, update=Update((rng.normal(size=len(one.update.vectors[0])),), 40.0)) for one in seen.singles
    )
    seen = replace(seen, singles=noisy)
    finding = PropertyOverRounds(hospitals=40).run(seen, np.random.default_rng(0), 60.0)
    for _, reasons in scored(seen, held, finding, monkeypatch):
        assert [light for light, _, _ in reasons] == ["green"]


def test_of_so_few_hospitals_that_nothing_could_be_sure_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hospitals have two orders: what is read exactly is right by chance in one of two."""
    seen, held = federation({"a": 0.2, "b": 0.8})
    claims = tuple(
        Shares(site, "sex", {"f": part, "m": 1 - part}, {"f": 0.5, "m": 0.5})
        for site, part in (("a", 0.2), ("b", 0.8))
    )
    for _, reasons in scored(seen, held, Finding("mine", "me", True, claims=claims), monkeypatch):
        assert [light for light, _, _ in reasons] == ["amber"] and "not powerful enough" in reasons[0][1]


def test_who_sees_too_little_is_told_what() -> None:
    seen, _ = federation({"a": 0.5, "b": 0.5})
    for view, words in (
        (replace(seen, singles=()), "no single update"),
        (replace(seen, access=Access()), "strangers"),
        (replace(seen, access=Access(population=cases(np.random.default_rng(0), 40, 1.0))), "several cells"),
        (replace(seen, study=replace(STUDY, report=type(STUDY.report)())), "names no groups"),
    ):
        found = PropertyOverRounds().run(view, np.random.default_rng(0), 1.0)
        assert not found.possible and words in found.reason


def test_claims_of_other_groups_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, held = federation({"a": 0.5, "b": 0.5})
    for claim in (
        Shares("a", "age", {"0-50": 1.0}, {"0-50": 1.0}),
        Shares("z", "sex", {"f": 1.0}, {"f": 1.0}),
        "women",
    ):
        with pytest.raises(StudyError):
            scored(seen, held, Finding("mine", "me", True, claims=(claim,)), monkeypatch)


def test_the_chance_is_the_share_of_orders_that_are_as_close() -> None:
    """Of three hospitals' estimates, told in order, no other of 6 orders is as close; of equal ones all are."""
    truth = np.array([[0.1], [0.5], [0.9]])
    assert chance_of(np.array([[0.2], [0.4], [0.8]]), truth) == pytest.approx(1 / 6)
    assert chance_of(np.full((3, 1), 0.5), truth) == 1
    assert chance_of(np.array([[0.8], [0.4], [0.2]]), truth) == 1


def test_ridge_left_out_residuals_are_those_of_the_slow_way() -> None:
    rng = np.random.default_rng(0)
    known, values = rng.normal(size=(12, 3)), rng.normal(size=12)
    found = ridge(known, values + 100 * known[:, 0], known)
    assert found.predictions == pytest.approx(values + 100 * known[:, 0], abs=5)
    for index in range(12):
        rest = np.arange(12) != index
        design = np.column_stack([np.ones(11), known[rest]])
        weights = np.linalg.lstsq(design, (values + 100 * known[:, 0])[rest], rcond=None)[0]
        expected = values[index] + 100 * known[index, 0] - np.array([1, *known[index]]) @ weights
        assert found.left_out[index] == pytest.approx(expected, abs=0.2)
    far = ridge(known, values + 100 * known[:, 0], np.array([[50.0, 0, 0], [0, 0, 0]])).squared_errors
    assert far[0] > 10 * far[1]
