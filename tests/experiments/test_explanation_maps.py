"""Sums of maps name whose they are, unless noise is in them; and a folder without an answer of maps is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.case_maps import shares_of_case
from common.analyses.attribution_maps import AttributionMaps
from common.asking.analysis import Public
from common.asking.exact_sums import Total
from common.asking.maps import MapReading, shares
from common.attribution.methods.gradient_x_input import GradientXInput
from common.errors import StudyError
from common.files.json_files import write_json
from common.files.tensor_files import write_tensors
from common.learning.parameters import write
from common.study.options import Entry
from common.wire.questions import query_table, total_table
from experiments.attacks.explanation_maps import ExplanationMaps
from experiments.evidence.answered_maps import AnsweredMaps, Summed, maps_answered
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.whose_maps import whose
from wardround.testing.audits import tiny_run, tried


def pool(seed: int, count: int, side: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return shares(rng.gamma(2.0, size=(count, 14, 14)), side)


def summed(maps: np.ndarray, noise: float = 0.0, seed: int = 0) -> Summed:
    rng = np.random.default_rng(seed)
    drawn = [rng.laplace(0, noise, maps.shape[1]) if noise else 0.0 for _ in range(2)]
    return Summed(len(maps), maps.sum(0) + drawn[0], (maps**2).sum(0) + drawn[1])


def test_exact_sums_of_twenty_maps_name_all_twenty_among_two_hundred() -> None:
    maps, others = pool(0, 200), pool(1, 100)
    scores = whose(maps, others, summed(maps[:20]), is_exact=True)
    assert set(np.argsort(-scores)[:20].tolist()) == set(range(20))


def test_a_sum_of_more_maps_than_it_has_numbers_still_ranks_members_above_others() -> None:
    maps, others = pool(2, 400), pool(3, 400)
    scores = whose(maps, others, summed(maps[:150]), is_exact=True)
    assert np.mean(scores[:150, None] > scores[None, 150:]) > 0.55


def test_with_noise_that_hides_a_person_members_are_ranked_as_by_chance() -> None:
    maps, others = pool(4, 200), pool(5, 100)
    areas = []
    for seed in range(20):
        scores = whose(maps, others, summed(maps[:20], noise=8.0, seed=seed), is_exact=False)
        areas.append(np.mean(scores[:20, None] > scores[None, 20:]))
    assert abs(float(np.mean(areas)) - 0.5) < 0.05


METHOD = MapReading(Entry("gradient_x_input"), side=6)


def answered(noise: float = 0.0) -> AnsweredMaps:
    """What the hospitals of the tiny run would answer of their patients in training."""
    seen = tiny_run(()).observed
    network = seen.network()
    write(network, seen.final_model)
    model = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    network = network.double().eval()
    method: Any = GradientXInput()
    rng, sums = np.random.default_rng(0), {}
    for site in seen.sites:
        cases = hospital_of(seen.study, site).splits["train"]
        batch = cases.batch(np.arange(len(cases)))
        rows = [
            shares_of_case(method, network, one[None].double(), label[None].long(), METHOD.side, rng)
            for one, label in zip(batch.inputs, batch.targets, strict=True)
        ]
        own, truth = np.stack(rows), np.asarray(cases.targets)
        sums[site] = tuple(summed(own[truth == label], noise, label) for label in range(len(seen.classes)))
    return AnsweredMaps(METHOD, seen.classes, 1.0 if noise else 0.0, sums, model)


def test_the_audit_names_the_patients_of_an_exact_answer_and_nobody_of_one_with_noise() -> None:
    run = tiny_run(())
    (exact, *_), light = tried(ExplanationMaps(), replace(run, maps=answered()), seconds=20.0)
    assert light == "red" and exact.settings["method"] == "gradient_x_input"
    trials, light = tried(ExplanationMaps(), replace(run, maps=answered(noise=8.0)), seconds=20.0)
    assert trials and light != "red"


def test_without_an_answer_of_maps_it_says_so() -> None:
    found = ExplanationMaps().run(tiny_run(()).handed, np.random.default_rng(0), 1.0)
    assert not found.possible and "no answer of maps" in found.reason


def folder_of(place: Path, name: str = "attribution_maps") -> Path:
    query = next(AttributionMaps(side=2).ask(Public(("a", "b"), {"class": ("no", "yes")})))
    numbers = {
        part: np.full(own.shape, 3 << 128 if own.kind == "reals" else 3, object) for part, own in query.parts.items()
    }
    line = {"question": 0, **query_table(query), "total": total_table(Total(query.parts, numbers))}
    write_json(
        place, "answer.json", {"answers": [{"question": {"name": name, "options": {"side": 2}, "epsilon": 2.0}}]}
    )
    (place / "queries.jsonl").write_text(json.dumps(line) + "\n")
    write_tensors(place, "start.safetensors", {"weight": np.ones(3, np.float32)})
    return place


def test_an_answer_is_read_from_the_folder_that_it_left(tmp_path: Path) -> None:
    found = maps_answered(folder_of(tmp_path), ("a", "c"))
    assert (found.reading.side, found.classes, found.epsilon) == (2, ("no", "yes"), 2.0)
    assert found.sums["b"][1].cases == 3 and found.sums["b"][1].squares.tolist() == [3.0] * 4
    with pytest.raises(StudyError, match="none of which is in the run"):
        maps_answered(tmp_path, ("x",))


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no answer to a question of maps"):
        maps_answered(folder_of(tmp_path, "mean"), ("a",))
