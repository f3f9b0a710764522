"""Whoever asks probes wants single persons' features, that is to say their images, out of exact sums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.asking.asked import Place, asked_of
from client.asking.part import part_of
from client.features import featured_records
from client.policy import read_policy
from common.asking.exact_sums import Total, object_array
from common.asking.features import told_of_many
from common.asking.public import public_of
from common.asking.question import Question
from common.errors import RefusedError
from common.privacy.noise import SystemNoise
from common.study.options import Entry
from tests.security.asked_hospital import PERSONS, SOURCE, Asker

NETWORK = {"task": {"name": "classification", "network": {"name": "mlp", "hidden": [4]}}, "source": {**SOURCE}}


def probe(**options: Any) -> dict[str, Any]:
    return {"name": "probe_ridge", "encoder": "random", "levels": ["class=no|yes"], **options}


def second_total(asker: Asker, **options: Any) -> Total:
    """Of the products, told that there are persons enough: the hospital cannot know how many others have."""
    hospital, question = (
        asker.hospital,
        Question.of(Entry("probe_ridge", {k: v for k, v in options.items() if k != "name"})),
    )
    analysis = question.build()
    conversation = analysis.ask(public_of(hospital.study, hospital.roster))
    query = next(conversation)
    width = len(featured_names(asker))
    told = {"rows": 900, "width": 900 * width, "cases": 450, "persons": 450, "tested": 90, "left out": 0}
    integers = {name: object_array([told[name]] * part.size, part.shape) for name, part in query.parts.items()}
    query = conversation.send(Total(query.parts, integers))
    asked = asked_of(hospital.study, 1, question, query, 2, hospital.roster)
    place = Place(asker.root / "folder", "data", "0" * 32)
    sums = part_of(hospital, analysis, asked, read_policy(asker.root / "folder"), place, SystemNoise())
    return Total(query.parts, sums)


def featured_names(asker: Asker) -> list[str]:
    return [name for name in featured_records(asker.hospital, "random").columns if name.startswith("feature_")]


def rows_of(asker: Asker) -> np.ndarray:
    records = featured_records(asker.hospital, "random")
    return np.stack([records.numbers(name) for name in featured_names(asker)], axis=1)


def sums_of_features(total: Total) -> np.ndarray:
    return np.asarray(total.exact("targets")[1:].sum(axis=1), np.float64)


def is_a_row(found: np.ndarray, asker: Asker) -> bool:
    return bool(np.isclose(rows_of(asker), found, atol=1e-9).all(axis=1).any())


def refusal_of(asker: Asker, *questions: Mapping[str, Any]) -> Any:
    """The word by which a hospital refuses one of these; what it told otherwise."""
    try:
        return [sums_of_features(second_total(asker, **one)) for one in questions]
    except RefusedError as refusal:
        return refusal.reason


def test_a_share_that_leaves_one_person_is_refused(tmp_path: Path) -> None:
    """Before: a hospital that would be left with nobody takes its first, and told that person's features."""
    asker = Asker(tmp_path, [one := probe(share=0.001)], study=NETWORK)
    found = refusal_of(asker, one)
    assert found == "cells", is_a_row(found[0], asker)


@pytest.mark.parametrize("shares", [(0.5, 0.55), (0.97,)])
def test_shares_that_are_nearly_alike_are_refused(shares: tuple[float, ...], tmp_path: Path) -> None:
    """Before: what the larger share had more was the sum of one or two persons."""
    questions = [probe(share=share) for share in shares]
    asker = Asker(tmp_path, questions if len(questions) > 1 else [*questions, probe()], study=NETWORK)
    found = refusal_of(asker, *asker.listed)
    assert found == "cells", is_a_row(found[1] - found[0], asker)


def test_shares_of_two_studies_are_looked_at_together(tmp_path: Path) -> None:
    first = Asker(tmp_path, [probe(share=0.4)], study=NETWORK)
    assert isinstance(refusal_of(first, *first.listed), list)
    later = Asker(tmp_path, [probe(share=0.45)], study={**NETWORK, "title": "another"})
    assert refusal_of(later, *later.listed) == "cells"
    other = Asker(tmp_path, [probe(share=0.4, penalty=2.0)], study=NETWORK)
    assert isinstance(refusal_of(other, *other.listed), list)


def test_as_many_draws_as_persons_are_refused(tmp_path: Path) -> None:
    """Before: so many sums over known halves of all persons were as many equations, and gave everybody's features."""
    questions = [probe(share=(0.5, 0.3)[draw % 2], draw=draw) for draw in range(PERSONS)]
    asker = Asker(tmp_path, questions, study=NETWORK)
    found = refusal_of(asker, *questions)
    assert found == "cells", solved(asker, questions, found)


def solved(asker: Asker, questions: list[dict[str, Any]], found: list[np.ndarray]) -> float:
    """Share of training persons whose features follow, by who knows the persons' names and classes."""
    records = featured_records(asker.hospital, "random")
    train = records.take(records.words("part") == "train")
    known = []
    for one in questions:
        analysis = Question.of(Entry(one["name"], {k: v for k, v in one.items() if k != "name"})).build()
        used, _ = analysis.drawn(records, ("no", "yes"))  # type: ignore[attr-defined]
        known.append(np.isin(train.persons, used.persons).astype(float))
    rows = np.linalg.lstsq(np.stack(known), np.stack(found), rcond=None)[0]
    truth = np.stack([train.numbers(name) for name in featured_names(asker)], axis=1)
    return float(np.isclose(rows, truth, atol=1e-6).all(axis=1).mean())


THRESHOLDS = 8
IMPRINT = {**NETWORK, "task": {"name": "classification", "network": {"name": "mlp", "hidden": [THRESHOLDS + 2]}}}
DEEP = 9
OVERFLOWING = {**NETWORK, "task": {"name": "classification", "network": {"name": "mlp", "hidden": [3] * DEEP}}}


def with_start(asker: Asker, tensors: Mapping[str, np.ndarray]) -> Asker:
    """As when the model had come: its digest is in the study, and says nothing of what it does."""
    network = asker.hospital.network
    taken = {name: value.detach().numpy().copy() for name, value in network.named_parameters()}
    for name, value in tensors.items():
        assert taken[name].shape == value.shape
        taken[name] = value.astype(np.float32)
    setattr(network, "_start_model_put", taken)  # noqa: B010
    return asker


def start_of(tmp_path: Path, study: Mapping[str, Any], *questions: Mapping[str, Any]) -> Asker:
    started = {**study, "start": {"model": "somewhere", "sha256": "0" * 64}}
    return Asker(tmp_path, questions, study=started)


def test_an_encoder_that_sorts_persons_into_bins_is_refused(tmp_path: Path) -> None:
    """Before: tents over ages are combinations of features, and their products with chol are one person's chol."""
    question = probe(encoder="start")
    asker = start_of(tmp_path, IMPRINT, question)
    inputs = asker.hospital.train.batch(np.arange(len(asker.hospital.train))).inputs.numpy()
    ages = np.sort(inputs[:, 0])
    middle = (ages[:THRESHOLDS] + ages[1 : THRESHOLDS + 1]) / 2
    weight, bias = np.zeros((THRESHOLDS + 2, inputs.shape[1])), np.zeros(THRESHOLDS + 2)
    weight[:THRESHOLDS, 0], bias[:THRESHOLDS] = -1, middle
    weight[THRESHOLDS, 1] = weight[THRESHOLDS + 1, 0] = 1
    first = next(name for name, _ in asker.hospital.network.named_parameters()).removesuffix("weight")
    with_start(asker, {f"{first}weight": weight, f"{first}bias": bias})
    products = told_or_word(asker, question)
    if products == "encoder":
        return
    gram = gram_of(products)
    youngest = gram[1, 1 + THRESHOLDS] / gram[1, 0]
    pytest.fail(f"the youngest has chol {youngest}, which is {inputs[inputs[:, 0].argmin(), 1]}")


def told_or_word(asker: Asker, question: Mapping[str, Any]) -> Total | str:
    try:
        return second_total(asker, **question)
    except RefusedError as refusal:
        return refusal.reason


def gram_of(products: Total | str) -> np.ndarray:
    assert isinstance(products, Total)
    upper = products["products"]
    size = int((np.sqrt(8 * len(upper) + 1) - 1) / 2)
    gram = np.zeros((size, size))
    gram[np.triu_indices(size)] = upper
    return gram + np.triu(gram, 1).T


def test_a_unit_that_answers_to_one_person_tells_nothing_of_them(tmp_path: Path) -> None:
    """Before: its products with all others were that person's features, of honest encoders too."""
    question = probe(encoder="start")
    asker = start_of(tmp_path, NETWORK, question)
    inputs = asker.hospital.train.batch(np.arange(len(asker.hospital.train))).inputs.numpy()
    ages = np.sort(inputs[:, 0])
    weight, bias = np.zeros((4, inputs.shape[1])), np.zeros(4)
    weight[0, 0], bias[0], weight[1, 1] = -1, (ages[0] + ages[1]) / 2, 1
    first = next(name for name, _ in asker.hospital.network.named_parameters()).removesuffix("weight")
    gram = gram_of(second_total(with_start(asker, {f"{first}weight": weight, f"{first}bias": bias}), **question))
    with np.errstate(all="ignore"):
        assert not np.isclose(gram[1, 2] / np.sqrt(gram[1, 1]), inputs[inputs[:, 0].argmin(), 1])
    assert gram[2, 2] > 0


def test_what_few_persons_have_is_held_at_what_all_others_have() -> None:
    persons = np.array(["a", "a", "b", "c", "d", "e"])
    values = np.array([[1.0, 3, 0], [1, 3, 1], [0, 3, 2], [0, 3, 3], [0, 3, 4], [0, 4, 5]])
    told = told_of_many(values, persons, 2)
    assert told.tolist() == [[0, 3, 0], [0, 3, 1], [0, 3, 2], [0, 3, 3], [0, 3, 4], [0, 3, 5]]


def test_an_encoder_that_overflows_at_one_person_is_refused(tmp_path: Path) -> None:
    """Before: that person was left out unseen, and beside another encoder's sums their features followed."""
    question = probe(encoder="start")
    asker = start_of(tmp_path, OVERFLOWING, question)
    ages = np.sort(asker.hospital.train.batch(np.arange(len(asker.hospital.train))).inputs.numpy()[:, 0])
    names = [name for name, _ in asker.hospital.network.named_parameters()][: 2 * DEEP]
    tensors: dict[str, np.ndarray] = {}
    for weight, bias in zip(names[::2], names[1::2], strict=True):
        tensors[weight], tensors[bias] = np.eye(3) * [1.0, 1.0, 3e38], np.zeros(3)
    tensors[names[0]] = np.array([[1.0, 0, 0], [0, 1.0, 0], [1e30, 0, 0]])
    tensors[names[1]] = np.array([0.0, 0.0, -1e30 * (ages[-1] + ages[-2]) / 2])
    with_start(asker, tensors)
    with np.errstate(all="ignore"):
        told = told_or_word(asker, question)
    assert told == "encoder", f"sums of {gram_of(told)[0, 0]} of {len(ages)} persons were told"
