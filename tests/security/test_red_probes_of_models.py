"""Whoever coordinates lets several harmless models look at the same persons, and subtracts what it was told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from client.asking.part import _encoder
from common.analyses.probe_ridge import ProbeRidge
from common.errors import RefusedError
from common.study.plugins import ANYTHING, trusting
from tests.security.asked_hospital import Asker
from tests.security.test_red_probes import NETWORK, gram_of, probe, second_total, told_or_word, with_start

CROSSING = 12
"""A seed of which one unit is silent for half of the persons."""
MIDDLE = 16
"""Of the training persons by age: a threshold there parts them in halves."""


def look(root: Path, number: int, threshold_before: int, policy: str = "", **options: object) -> np.ndarray:
    """Products of the features of a model of its own: how far one is younger than a threshold, and cholesterol."""
    question = probe(encoder="start", **options)
    asker = Asker(
        root,
        [question],
        policy=policy,
        study={**NETWORK, "title": f"study {number}", "start": {"model": "somewhere", "sha256": f"{number}" * 64}},
    )
    inputs = inputs_of(asker)
    ages = np.sort(inputs[:, 0])
    weight, bias = np.zeros((4, inputs.shape[1])), np.zeros(4)
    weight[0, 0], bias[0] = -1, (ages[threshold_before - 1] + ages[threshold_before]) / 2
    weight[1, 1] = 1
    put(asker, weight, bias)
    return gram_of(second_total(asker, **question))


def put(asker: Asker, weight: np.ndarray, bias: np.ndarray) -> None:
    first = next(name for name, _ in asker.hospital.network.named_parameters()).removesuffix("weight")
    with_start(asker, {f"{first}weight": weight, f"{first}bias": bias})


def inputs_of(asker: Asker) -> np.ndarray:
    return np.asarray(asker.hospital.train.batch(np.arange(len(asker.hospital.train))).inputs.numpy())


def test_three_models_of_which_each_parts_persons_in_halves_tell_nobodys_cholesterol(tmp_path: Path) -> None:
    """Before: second differences of their sums are a tent over one person's age, and by it that person's value."""
    sums = []
    for number, threshold in enumerate((MIDDLE - 1, MIDDLE, MIDDLE + 1)):
        with suppress(RefusedError):
            gram = look(tmp_path, number, threshold)
            sums.append((gram[1, 0], gram[1, 2]))
    assert len(sums) == 1, values_of(sums)


def values_of(sums: list[tuple[float, float]]) -> str:
    one, two, three = map(np.array, sums)
    tent = one - 2 * two + three
    return f"somebody's cholesterol, scaled, is {tent[1] / tent[0]}"


def test_the_same_model_is_read_again_and_another_where_the_policy_says_so_or_with_noise(tmp_path: Path) -> None:
    assert (look(tmp_path, 1, MIDDLE) == look(tmp_path, 1, MIDDLE)).all()
    with pytest.raises(RefusedError, match="exact_encoders = 1"):
        look(tmp_path, 2, MIDDLE + 1)
    look(tmp_path, 2, MIDDLE + 1, "[questions]\nexact_encoders = 2")
    with pytest.raises(RefusedError, match="exact_encoders = 2"):
        look(tmp_path, 3, MIDDLE + 2, "[questions]\nexact_encoders = 2")


def test_one_model_whose_tent_over_ages_is_a_combination_of_three_units_tells_nobodys_cholesterol(
    tmp_path: Path,
) -> None:
    """Before: so few persons told apart were forgiven, and their features followed from one answer."""
    question = probe(encoder="start")
    asker = Asker(
        tmp_path, [question], study={**NETWORK, "start": {"model": "somewhere", "sha256": "1" * 64}, "title": "tent"}
    )
    inputs = inputs_of(asker)
    ages = np.sort(inputs[:, 0])
    weight, bias = np.zeros((4, inputs.shape[1])), np.array([*ages[MIDDLE - 1 : MIDDLE + 2], 5.0])
    weight[:3, 0], weight[3, 1] = -1, 1
    put(asker, weight, bias)
    products = told_or_word(asker, question)
    if products != "encoder":
        gram, tent = gram_of(products), np.array([1, -2, 1])
        pytest.fail(f"somebody's cholesterol, scaled, is {tent @ gram[1:4, 4] / (tent @ gram[1:4, 0]) - 5}")


def test_one_model_over_parts_that_differ_by_a_person_tells_nothing_of_them(tmp_path: Path) -> None:
    """Before: a validation share a little larger, and the difference of both sums was the products of one person."""
    question, grams = probe(encoder="start"), []
    for place, share in enumerate((0.1, 0.13)):
        asker = Asker(
            tmp_path,
            [question],
            study={
                **NETWORK,
                "start": {"model": "somewhere", "sha256": "1" * 64},
                "split": {"validation": share, "test": 0.25},
                "title": f"study {place}",
            },
        )
        weight = np.zeros((4, inputs_of(asker).shape[1]))
        weight[[0, 1, 2], [0, 1, 2]] = 1
        put(asker, weight, np.full(4, 5.0))
        with suppress(RefusedError):
            grams.append(gram_of(second_total(asker, **question)))
    assert len(grams) == 1, f"the difference has rank {np.linalg.matrix_rank(grams[1] - grams[0], tol=1e-6)}"


def test_a_trained_model_made_to_differ_from_a_drawn_one_by_a_person_is_refused_beside_it(tmp_path: Path) -> None:
    """Before: each was an encoder of its own sort, and a unit moved to and fro was a tent beside the drawn one."""
    whole = {**NETWORK, "seed": CROSSING, "start": {"model": "somewhere", "sha256": "1" * 64}}
    asker = Asker(tmp_path, [trained := probe(encoder="start"), probe()], study=whole)
    drawn = [one.detach().numpy().astype(np.float64) for one in asker.hospital.network.parameters()][:2]
    answers = inputs_of(asker) @ drawn[0].T + drawn[1]
    unit = int(np.minimum((answers > 0).sum(0), (answers < 0).sum(0)).argmax())
    near = np.sort(np.abs(answers[:, unit]))
    width = (near[0] + near[1]) / 2
    weight, bias = np.zeros_like(drawn[0]), np.full(4, 5.0)
    weight[:2], bias[:2] = drawn[0][unit], drawn[1][unit] + np.array([width, -width])
    weight[2, 1] = 1
    put(asker, weight, bias)
    with pytest.raises(RefusedError, match="persons from all others"):
        second_total(asker, **trained)


def test_a_drawn_encoder_of_another_study_and_other_code_of_the_same_name_are_other_encoders(tmp_path: Path) -> None:
    look(tmp_path, 1, MIDDLE)
    with pytest.raises(RefusedError, match="another encoder"):
        second_total(Asker(tmp_path, [probe()], study={**NETWORK, "title": "drawn by chance"}), **probe())
    code = "from common.learning.tasks.classification import Classification\n\n\nclass Own(Classification):\n"
    states = []
    for place, doc in enumerate(("one", "another")):
        (tmp_path / "own_task.py").write_text(f'{code}    """{doc}"""\n\n\ntask = Own\n')
        task = {"name": str(tmp_path / "own_task.py"), "network": {"name": "mlp", "hidden": [4]}}
        with trusting(ANYTHING):
            asker = Asker(tmp_path, [probe()], study={**NETWORK, "task": task, "title": f"plug-in {place}"})
            states.append(_encoder(asker.hospital, ProbeRidge(encoder="random")))
    assert states[0] != states[1]
