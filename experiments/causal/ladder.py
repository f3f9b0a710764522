"""The ladder on one example that can be checked by hand: what is seen, what is done, what would have been."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from common.causality.discrete_model import DiscreteModel
from common.causality.linear_model import LinearModel
from common.causality.mechanisms import Mechanism

CHANCES = 5
LINEAR = LinearModel({"x1": 1.0, "x2": 0.0}, {("x1", "x2"): 3.0}, {}, {})
"""The course's: x1 = 1 + u1, x2 = 3 x1 + u2."""
SEEN, HAD_BEEN = {"x1": 2.0, "x2": 4.0}, {"x1": 5.0}


def _dies(severe: int, drug: int, luck: int) -> int:
    """Of 5 equally likely fates 2 are deadly, 2 more of the severely ill, and the drug saves from one."""
    return int(luck < 2 + 2 * severe - drug)


MODEL = DiscreteModel(
    {
        "severe": Mechanism((), ("u severe",), lambda u: u),
        "drug": Mechanism(("severe",), ("u drug",), lambda severe, u: severe ^ u),
        "dies": Mechanism(("severe", "drug"), ("u dies",), _dies),
    },
    {
        "u severe": {0: Fraction(1, 2), 1: Fraction(1, 2)},
        "u drug": {0: Fraction(4, 5), 1: Fraction(1, 5)},
        "u dies": {fate: Fraction(1, CHANCES) for fate in range(CHANCES)},
    },
)
"""Doctors give the drug to 4 of 5 severely ill patients, and to 1 of 5 others."""
PATIENT = {"severe": 1, "drug": 0, "dies": 1}


@dataclass(frozen=True)
class Rung:
    """risks: of dying, without and with the drug."""

    name: str
    question: str
    formula: str
    risks: tuple[Fraction, Fraction]
    answer: str


def rungs() -> tuple[Rung, Rung, Rung]:
    """The three."""
    seen = tuple(MODEL.observational().given({"drug": drug}).probability({"dies": 1}) for drug in (0, 1))
    done = tuple(MODEL.interventional({"drug": drug}).probability({"dies": 1}) for drug in (0, 1))
    would = tuple(MODEL.counterfactual(PATIENT, {"drug": drug}).probability({"dies": 1}) for drug in (0, 1))
    return (
        Rung(
            "Association",
            "Do patients who have the drug die more often?",
            "P(dies | drug)",
            (seen[0], seen[1]),
            f"Yes: {percent(seen[1])} of them, and {percent(seen[0])} of the others. Doctors give it to the "
            "severely ill, who die more often anyway.",
        ),
        Rung(
            "Intervention",
            "If everybody were given the drug, would fewer die?",
            "P(dies | do(drug))",
            (done[0], done[1]),
            f"Yes: {percent(done[1])} would die instead of {percent(done[0])}. The arrow from severity to the drug "
            "is cut, so that both groups are equally ill.",
        ),
        Rung(
            "Counterfactual",
            "This severely ill patient had no drug, and died. Would she have lived with it?",
            "P(dies had drug been 1 | severe, no drug, died)",
            (would[0], would[1]),
            f"With a chance of {percent(1 - would[1])}. That she died tells which fates were hers (abduction), the "
            "drug is given (action), and the same fates are run through the mechanisms again (prediction).",
        ),
    )


def linear_counterfactual() -> float:
    """x2 had x1 been 5: 13."""
    return LINEAR.counterfactual(SEEN, HAD_BEEN).of("x2")[0]


def percent(chance: Fraction) -> str:
    """Whole or with a decimal."""
    return f"{float(100 * chance):.3g} %"
