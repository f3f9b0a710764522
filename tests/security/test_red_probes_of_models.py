"""Whoever coordinates lets several harmless models look at the same persons, and subtracts what it was told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from common.errors import RefusedError
from tests.security.asked_hospital import Asker
from tests.security.test_red_probes import NETWORK, gram_of, probe, second_total, with_start

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
    first = next(name for name, _ in asker.hospital.network.named_parameters()).removesuffix("weight")
    with_start(asker, {f"{first}weight": weight, f"{first}bias": bias})
    return gram_of(second_total(asker, **question))


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
    later = Asker(tmp_path, [probe()], study={**NETWORK, "title": "drawn by chance"})
    assert second_total(later, **probe()).parts
    other = Asker(tmp_path, [probe()], study={**NETWORK, "title": "drawn again", "seed": 2})
    with pytest.raises(RefusedError, match="another encoder"):
        second_total(other, **probe())
