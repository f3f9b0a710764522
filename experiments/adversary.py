"""The role of an adversary: who looks, what it sees and can do. Entries live in `experiments/audit/adversaries/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from common.data.cases import SiteId
from experiments.access import Need
from experiments.audit.records import Opening, Report
from experiments.audit.run import Run
from experiments.observation import Observation
from server.reporting.markup import Markup


@dataclass(frozen=True)
class View:
    """What an adversary has before it in one attempt, and what was needed to get there.

    site: whose data are at stake; "" for those of all in a sum. knowledge: what it was given, in words. reason: why
    this could not be played; "" where it could. figures, settings: of how the view came about; kept with every trial
    on it. condition: the adversary's, said more exactly; as it says where "". opening: what of a sum it opened; None
    where it opened none.
    """

    observed: Observation
    site: SiteId = ""
    knowledge: str = ""
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    opening: Opening | None = None


class Adversary(Protocol):
    """A frozen dataclass of options.

    An attack is tried by the weakest adversary that sees as much as it can use and has what it needs, and again by
    one that nobody trusted or promised anything against, where that sees more. Where a member of `Declared` below is
    absent, what is said there is taken.
    """

    who: ClassVar[str]
    """In words, as the subject of a sentence: "the coordinator"."""
    condition: ClassVar[str]
    """What nobody promised and it takes all the same: "other hospitals collude with the coordinator"; "" of one that
    keeps to the protocol. What it finds weighs one light less, and is said with the condition."""
    heading: ClassVar[str]
    """Head of its own column in the table of lights; "" where what it finds stands under its question."""
    share: ClassVar[float]
    """Of a question's seconds, beside other adversaries."""

    def views(self, run: Run) -> Iterable[View]:
        """In the order in which they are tried; at least one, with a reason, where nothing can be played."""
        ...


class Declared(Protocol):
    """Members that an adversary may have."""

    only: ClassVar[tuple[str, ...]]
    """Attacks that it makes, beside those that are named for the audit; every one that fits."""
    gives: ClassVar[tuple[Need, ...]]
    """What its views hold in `observed.access`, so that an attack is told why where they do not; nothing."""
    asked: ClassVar[bool]
    """Whether it plays only where it is asked for, since it takes long; False."""

    def figure(self, report: Report) -> Markup | None:
        """A section of the page on what it did; None where there is nothing to show."""
        ...
