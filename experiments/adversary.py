"""The role of an adversary: who looks, what it sees and can do. Entries live in `experiments/audit/adversaries/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from common.data.cases import SiteId
from experiments.audit.run import Run
from experiments.observation import Observation


@dataclass(frozen=True)
class View:
    """What an adversary has before it in one attempt, and what was needed to get there.

    site: whose data are at stake; "" for those of all in a sum. knowledge: what it was given, in words. reason: why
    this could not be played; "" where it could. figures, settings: of how the view came about; kept with every trial
    on it.
    """

    observed: Observation
    site: SiteId = ""
    knowledge: str = ""
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Adversary(Protocol):
    """A frozen dataclass of options.

    An attack is tried on each view that has what it `sees` and `needs`, unless `only` names others.
    """

    who: ClassVar[str]
    """In words, as the subject of a sentence: "the coordinator"."""
    condition: ClassVar[str]
    """What nobody promised and it takes all the same: "other hospitals collude with the coordinator"; "" of one that
    keeps to the protocol. What it finds weighs one light less, and is said with the condition."""
    heading: ClassVar[str]
    """Head of its own column in the table of lights; "" where what it finds stands under its question."""
    share: ClassVar[float]
    """Of the audit's seconds, beside other adversaries."""
    only: ClassVar[tuple[str, ...]]
    """Attacks that it makes; () for every one that fits."""

    def views(self, run: Run) -> Iterable[View]:
        """In the order in which they are tried; at least one, with a reason, where nothing can be played."""
        ...
