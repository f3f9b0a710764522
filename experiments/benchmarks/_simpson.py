"""Made federations with and without Simpson's paradox, and the two of books: what the detector says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.analyses.simpson import Simpson
from common.asking.answer import Answer
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.seeding import generator

Kind = Literal["alike", "effect", "confounded", "explained away", "paradox"]
HOSPITALS, PATIENTS = 6, 240
EFFECT = {"alike": 0.0, "effect": 0.08, "confounded": 0.08, "explained away": 0.0, "paradox": -0.12}
CONFOUNDING = {"alike": 0.0, "effect": 0.0, "confounded": 0.5, "explained away": 0.5, "paradox": 0.9}
"""By how much the risk rises from the hospital with the fewest exposed to that with the most."""
QUESTION = Simpson("died", "treated", levels=("died=0|1", "treated=0|1"))

Counts = Mapping[str, tuple[int, int, int, int]]
"""Of a hospital: events and rows of the second group, then of the first."""
BERKELEY: Counts = {
    "A": (512, 825, 89, 108),
    "B": (353, 560, 17, 25),
    "C": (120, 325, 202, 593),
    "D": (138, 417, 131, 375),
    "E": (53, 191, 94, 393),
    "F": (22, 373, 24, 341),
}
"""Admissions of men and women by department, 1973 (Bickel, Hammel and O'Connell 1975)."""
KIDNEY_STONES: Counts = {"small": (81, 87, 234, 270), "large": (192, 263, 55, 80)}
"""Success of open surgery and of percutaneous nephrolithotomy by size (Charig and others 1986)."""


@dataclass(frozen=True)
class Detected:
    """Of some federations of a kind: how many are said to have the paradox, probably so among them, or surely."""

    federations: int
    found: int
    beyond_chance: int


def of_counts(counts: Counts, event: str = "died", second: str = "treated") -> tuple[Records, ...]:
    """A hospital for every line; columns named after the event and the second group hold 0 or 1."""
    return tuple(
        hospital(site, [(1, 1, k1), (1, 0, n1 - k1), (0, 1, k0), (0, 0, n0 - k0)], event, second)
        for site, (k1, n1, k0, n0) in counts.items()
    )


def hospital(site: str, cells: list[tuple[int, int, int]], event: str = "died", second: str = "treated") -> Records:
    """cells: of the second group or not, with the event or not, and how many."""
    rows = np.repeat(np.array([cell[:2] for cell in cells]).astype(np.str_), [cell[2] for cell in cells], axis=0)
    persons = np.array([f"{site}-{k}" for k in range(len(rows))], dtype=np.str_)
    return Records({second: rows[:, 0], event: rows[:, 1]}, persons, site)


def federation(kind: Kind, rng: np.random.Generator, hospitals: int = HOSPITALS, patients: int = PATIENTS) -> Counts:
    """Hospitals in which from .15 to .85 are treated; the more, the higher the risk of all, where confounded."""
    shares = np.linspace(0.15, 0.85, hospitals)
    risks = 0.5 + CONFOUNDING[kind] * (shares - 0.5)
    found = {}
    for place, (share, risk) in enumerate(zip(shares.tolist(), risks.tolist(), strict=True)):
        treated = int(np.clip(rng.binomial(patients, share), 1, patients - 1))
        arms = ((treated, risk + EFFECT[kind] / 2), (patients - treated, risk - EFFECT[kind] / 2))
        died = [int(rng.binomial(n, chance)) for n, chance in arms]
        found[f"hospital-{place}"] = (died[0], treated, died[1], patients - treated)
    return found


def detect(kind: Kind, federations: int = 100, seed: int = 0, patients: int = PATIENTS) -> Detected:
    """What is said of federations of a kind, drawn anew each."""
    rng = generator(seed, f"federations {kind}")
    answers = [answer(federation(kind, rng, patients=patients)) for _ in range(federations)]
    verdicts = [one.numbers["verdict"] for one in answers]
    return Detected(
        federations, sum(bool(one.numbers["found"]) for one in answers), sum(one == "paradox" for one in verdicts)
    )


def answer(counts: Counts, event: str = "died", second: str = "treated") -> Answer:
    """The detector's."""
    question = Simpson(event, second, levels=(f"{event}=0|1", f"{second}=0|1"))
    return ask_tables(question, of_counts(counts, event, second)).answer
