"""Which two data sets a promise tells apart no better than epsilon: the neighbouring relation, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from common.privacy.release import Unit
from common.study.study import Study

Relation = Literal["add-remove", "zero-out"]

WORDS: Mapping[Relation, Mapping[Unit, str]] = {
    "add-remove": {
        "patient": "one patient added or removed; the study's expected numbers of patients stand for the real ones, "
        "which nobody is told",
    },
    "zero-out": {
        "patient": "zero-out: one patient's data replaced by nothing, the numbers of patients being public",
        "sample": "zero-out: one case replaced by nothing, the numbers of cases being public",
        "hospital": "zero-out: one hospital's update replaced by nothing, the number of hospitals being public",
    },
}
OF_LEDGERS = (
    "Epsilon here is of a patient's data replaced by nothing (zero-out), numbers of patients being public; a study "
    "that names federation.expected_patients makes it that of a patient added or removed."
)


def relation_of(study: Study, unit: Unit) -> Relation:
    """Of a study with a mechanism that hides one `unit`."""
    public = unit == "patient" and study.federation.expected_patients is not None
    return "add-remove" if public else "zero-out"


def in_words(relation: Relation, unit: Unit) -> str:
    """To follow "Neighbours: "."""
    return WORDS[relation][unit]
