"""A hospital of forty persons that answers questions, with its guard or without, and somebody who asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from client.asking.asked import Place, asked_of
from client.asking.part import part_of
from client.hospital import Hospital, close_all, open_hospital
from client.policy import Policy, read_policy
from common.asking.exact_sums import Total
from common.asking.public import public_of
from common.asking.question import Question
from common.privacy.noise import SystemNoise
from common.study.options import Entry
from common.study.study import parse_json

PERSONS = 40
SOURCE = {
    "name": "table",
    "person": "person",
    "label": "sick",
    "classes": ["no", "yes"],
    "features": ["age", "chol", "sex"],
    "categorical": {"sex": ["f", "m"]},
}
VICTIM = "p07"
VICTIM_AGE, VICTIM_CHOL = 47.0, 307.0


def write_table(folder: Path) -> Path:
    """Ages 40 to 79, each once."""
    folder.mkdir(exist_ok=True)
    rows = [
        f"p{index:02d};{40 + index};{300 + index};{'fm'[index % 2]};{'yes' if index % 3 else 'no'}"
        for index in range(PERSONS)
    ]
    (folder / "A.csv").write_text("\n".join(["person;age;chol;sex;sick", *rows]) + "\n")
    return folder


@dataclass
class Asker:
    """Whoever coordinates. guarded: whether the hospital's own side decides, or answers whatever it is asked.

    listed: what the study that its people approved lists. withdrawn: persons who take part no longer.
    """

    root: Path
    listed: Sequence[Mapping[str, Any]] = ()
    guarded: bool = True
    policy: str = ""
    withdrawn: frozenset[str] = frozenset()
    study: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = write_table(self.root / "data")
        (self.root / "folder").mkdir(exist_ok=True)
        (self.root / "folder" / "policy.toml").write_text(self.policy)

    @cached_property
    def hospital(self) -> Hospital:
        close_all()
        table = {
            "title": "t",
            "rounds": 1,
            "seed": 1,
            "strategy": "fedavg",
            "aggregation": "plain",
            "source": {**SOURCE, "folder": str(self.data)},
            "task": {"name": "classification", "network": "logistic"},
            "analyses": list(self.listed),
            **self.study,
        }
        return open_hospital(parse_json(json.dumps(table)).json, 0, withdrawn=self.withdrawn)

    def total(self, name: str = "mean", **options: Any) -> Total:
        """The first query's sums of one question, as the coordinator reads them. Raises RefusedError."""
        hospital, question = self.hospital, Question.of(Entry(name, options))
        analysis = question.build()
        query = next(analysis.ask(public_of(hospital.study, hospital.roster)))
        asked = asked_of(hospital.study, 1, question, query, 1, hospital.roster)
        folder = self.root / "folder"
        place = Place(folder, "data", "0" * 32) if self.guarded else None
        policy = read_policy(folder) if self.guarded else Policy()
        return Total(query.parts, part_of(hospital, analysis, asked, policy, place, SystemNoise()))

    def sum_of(self, column: str, *where: str, **options: Any) -> float:
        """Over the rows that meet the conditions."""
        total = self.total(column=column, where=list(where), **options)
        return first_power(total)


def first_power(total: Total) -> float:
    """The sum of the values in a mean's sums."""
    return float(total.exact("powers").ravel()[0])


def mean(*where: str, **options: Any) -> dict[str, Any]:
    """One of a study's [[analyses]]."""
    return {"name": "mean", "column": "chol", "where": list(where), **options}


def known(values: Sequence[float]) -> bool:
    """Whether an attack found what only the victim has."""
    return bool(np.isclose(values, VICTIM_CHOL, atol=0.5).any())
