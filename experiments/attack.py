"""The role of an attack: what it must see, what it tries, what it claims. Entries live in `experiments/attacks/`.

An attack claims, and a question of the audit scores the claim (`experiments/question.py`); who could have made it is
an adversary's (`experiments/adversary.py`). So one file is enough for a new attack: the audit runs it wherever an
adversary sees and has what it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.study.study import Study
from experiments.access import Need
from experiments.observation import Observation, Observer

Sees = Literal["each", "sum", "models", "model"]
"""What an attack reads: single updates, a sum of updates (which single ones also make), the models of several rounds,
or the last model alone."""
Per = Literal["site", "run"]
"""Whether it is run on each hospital's own updates where these are seen, or once on all that is seen."""


@dataclass(frozen=True)
class Reconstruction:
    """Inputs an attack believes some hospital trained on.

    inputs: (N, *shape) float32, as the network sees them. labels: (N,) or None. sites: whom the update is from.
    study: that hospitals were sent, where it is another than the run's. of_images: inputs are the images from which
    inputs and truth of cases follow, (N, C, *S) as a person sees them (`common.learning.imagined`).
    """

    round: int
    sites: tuple[SiteId, ...]
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    study: Study | None = None
    of_images: bool = False


@dataclass(frozen=True)
class Membership:
    """Scores of cases: the higher, the surer the attack is that the case was trained on, in the order given.

    site: whose candidates they are.
    """

    scores: NDArray[np.float64]
    site: SiteId = ""


@dataclass(frozen=True)
class Shares:
    """What a hospital's patients in training have in common: which share of them is of each cell of a column.

    column: of `report.subgroups`. shares: by cell; they add up to 1. guessed: what one would say who saw no update.
    """

    site: SiteId
    column: str
    shares: Mapping[str, float]
    guessed: Mapping[str, float]


@dataclass(frozen=True)
class Links:
    """Of each of N people who are looked for in a release, in the order given.

    rows: (N,) the row that must be theirs, -1 where none must. values: what their sensitive value must be, "" where
    that is not sure. alike: (N,) rows that their quasi-identifiers fit: from so many anybody would have to draw.
    """

    rows: NDArray[np.int64]
    values: tuple[str, ...]
    alike: NDArray[np.int64]


@dataclass(frozen=True)
class Evasion:
    """Test cases moved so that the final model errs.

    inputs: of the hospital's first N tests, in their order, each (*shape,) float32. size: the largest change of any
    value, as a share of the range between `low` and `high`, which broadcast to an input and which no value leaves.
    """

    site: SiteId
    size: float
    inputs: tuple[NDArray[np.float32], ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


GUESSED = "guessed"
"""Setting that says in words what was guessed, where it is not what a network is shown, and what had to be drawn."""

DRAWN = "drawn by the operator's rule"
"""In these words, of a mask and the like."""

UNTRIED = "untried"
"""Setting of a finding that was not possible because this attack does not know the study's way of training, although
its observer sees what an attack would need: another may succeed."""


@dataclass(frozen=True)
class Finding:
    """What came of one attack.

    possible: False where the observer does not see what the attack needs; `reason` then says what it sees instead.
    figures: measured numbers by name, unit in the name. settings: all that one needs to do it again. claims: whatever
    the attack's question knows how to score, such as `Membership`; inputs go into reconstructions.
    """

    attack: str
    observer: Observer | str
    possible: bool
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    reconstructions: tuple[Reconstruction, ...] = ()
    claims: tuple[Any, ...] = ()


class Attack(Protocol):
    """A frozen dataclass of options. Everything random comes from `rng`; it ends soon after `budget_seconds`.

    Beside these members it may declare those of `Declared`.
    """

    sees: ClassVar[Sees]
    """The least it needs."""
    source: ClassVar[str]
    """The paper."""

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Try. Nothing is read but what is handed over.

        Args:
            observed: what the adversary saw of the run, and what is known to everybody.
            rng: of all draws.
            budget_seconds: after which it ends soon.

        Returns:
            What came of it, or why it was not possible.
        """
        ...


class Declared(Protocol):
    """Members that an attack may have, and what is taken where it lacks one."""

    question: ClassVar[str]
    """Name of the question that scores it; "reconstruction"."""
    needs: ClassVar[tuple[Need, ...]]
    """What it must be handed beside what it sees, in `observed.access`; nothing."""
    called: ClassVar[str]
    """What it is called in a sentence for such a person, "planted signals"; its name with spaces for underscores."""
    words: ClassVar[str]
    """What it does, for somebody who never trained a model; the first line of its file."""
    uses: ClassVar[Sees]
    """The most that it makes use of, "model" where it looks at the last one alone: the weakest adversary that sees as
    much as any does makes it; "each"."""
    share: ClassVar[float]
    """Of its question's seconds, beside other attacks; 1."""
    elsewhere: ClassVar[float]
    """The same on hospitals other than that of the fewest cases, 0 where it is not tried there; at most 1."""
    per: ClassVar[Per]
    """As in `Per`; "site"."""


WITHOUT: Mapping[str, Any] = {
    "question": "reconstruction",
    "needs": (),
    "called": "",
    "words": "",
    "uses": "each",
    "share": 1.0,
    "per": "site",
}


def declared(attack: Any, member: str) -> Any:
    """An optional member, or what is taken where the attack has none."""
    found = getattr(attack, member, None)
    if found is not None:
        return found
    return min(float(declared(attack, "share")), 1.0) if member == "elsewhere" else WITHOUT[member]
