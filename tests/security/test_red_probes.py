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
    hospital, question = asker.hospital, Question.of(Entry("probe_ridge", {k: v for k, v in options.items() if k != "name"}))
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
    return np.asarray(total.exact("targets"))[1:].sum(axis=1).astype(np.float64)


def is_a_row(found: np.ndarray, asker: Asker) -> bool:
    return bool(np.isclose(rows_of(asker), found, atol=1e-9).all(axis=1).any())


def refusal_of(asker: Asker, *questions: Mapping[str, Any]) -> str | list[np.ndarray]:
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
    questions = [probe(share=0.5, draw=draw) for draw in range(PERSONS)]
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
