"""What an audit found, as values: for the page, and for `audit.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from common.data.cases import SiteId
from experiments.audit.dossier.sheet import Sheet
from server.reporting.records import Beside, Uncovered

Light = Literal["green", "amber", "red"]
Reason = tuple[Light, str, str]
"""A light, the rule that gave it with its figures, and what to change."""
WORST: tuple[Light, ...] = ("green", "amber", "red")
"""Lights, the worst last."""
SCHEMA_VERSION = 5
FAILED = "failed"
"""Setting of a trial that an error ended, or that the seconds did not suffice for: nothing is known."""
NOT_POWERFUL = "not powerful enough to tell"
"""Words of an amber light that is one for this alone."""
CHANCE = 0.05
"""A rank of 1 that chance gives as often as this says nothing."""
STANDS_OUT = 0.75


@dataclass(frozen=True)
class Interval:
    """A measured value with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rebuilt:
    """One input an attack came up with, beside the patient's own. Images as data URIs; "" where it is no image.

    ssim, psnr_db: after the best brightness and contrast per channel; for a table ssim is the
    correlation. rank: of the true patient among `among` by similarity, 1 the most alike: whether it is this patient
    rather than another. chance: that something uninformative is so much nearer to one patient than to all others,
    and company: that it is more like so many of the hospital's patients behind the update than like any other of its
    patients; both over all that was tried in the audit.
    decoy: the best similarity that other patients' cases have, compared in the same way: what no attack at all gives.
    rival: how like it is to the most alike case of a patient who is not behind the update.
    """

    site: SiteId
    original: str
    rebuilt: str
    ssim: float
    psnr_db: float
    rank: int
    among: int
    chance: float = 0.0
    decoy: float = 0.0
    rival: float = 0.0
    company: float = 1.0

    @property
    def tells(self) -> bool:
        """Whether it is more like the patient than other patients' cases are, and not by chance."""
        return self.ssim > self.decoy and min(self.chance, self.company) < CHANCE

    @property
    def stands_out(self) -> bool:
        """Whether it differs from the patient's own by at most three quarters of what it differs from all others.

        A blurred mean of a hospital is most like somebody of that hospital, and hardly more so than like others.
        """
        return 1 - self.ssim <= STANDS_OUT * (1 - self.rival)

    @property
    def identifies(self) -> bool:
        """Whether it is this patient and nobody else, and not by chance."""
        return self.tells and self.rank == 1 and self.chance < CHANCE and self.stands_out


@dataclass(frozen=True)
class Curve:
    """Points (false positive rate, true positive rate) of a membership attack."""

    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Trial:
    """One attack on one hospital, or, with site "", on all of them together.

    kind: name of the question that scored it. observer: name of the adversary that made it. question: what was tried,
    in plain words. knowledge: what the attacker was given. possible: False where the attacker does not see what it
    needs, which `reason` says. figures: measured, by name. condition: under which alone it could be made, in words
    that go on after "if"; "" where the attacker keeps to the protocol and only looks.
    """

    attack: str
    kind: str
    observer: str
    site: SiteId
    question: str
    knowledge: str
    source: str
    possible: bool = True
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    rebuilt: Sequence[Rebuilt] = ()
    curve: Curve | None = None
    condition: str = ""

    @property
    def honest(self) -> bool:
        """Whether everybody keeps to the protocol, and the attacker only looks."""
        return not self.condition

    @property
    def refused(self) -> str:
        """Why a hospital that keeps a list of approved studies does not answer; "" where it does, or is not asked."""
        found = self.settings.get("refused")
        return str(found.get("listed", "")) if isinstance(found, Mapping) else ""


@dataclass(frozen=True)
class Claim:
    """What was promised. epsilon by hospital, empty where no differential privacy was; delta with it; unit: of whom.

    reveals, readers: how sums were made and who can read what. noise_source: "system" or "seed" (simulation).
    opening_hospitals: how many that collude with the coordinator open a single update, 0 where none is needed;
    opening_if_cheating: the same for a coordinator that cheats in the protocol; opened_by: by what, in
    words. paid_for: how many that collude a distributed noise is promised against;
    epsilon_of_one_share: what is left of it where all others collude, None without such noise. binds_coordinator:
    whether the promise holds towards the coordinator too, which it does not where that adds the noise itself.
    relation: which two data sets epsilon is about, in words. beside: epsilons of an exchange, of related units and of
    one person in several hospitals. not_covered: what leaves in clear beside the promise. trusts: whom the study
    trusts with what, and what its promise rests on, in sentences.
    """

    aggregation: str
    reveals: str
    readers: str
    mechanism: str = ""
    unit: str = ""
    epsilon: Mapping[SiteId, float] = field(default_factory=dict)
    delta: float = 0.0
    noise_source: str = ""
    opening_hospitals: int = 0
    opening_if_cheating: int = 0
    opened_by: str = ""
    paid_for: int = 0
    epsilon_of_one_share: float | None = None
    binds_coordinator: bool = True
    relation: str = ""
    beside: Beside | None = None
    trusts: Sequence[str] = ()
    not_covered: Sequence[Uncovered] = ()


@dataclass(frozen=True)
class Opening:
    """What colluding hospitals opened of a round's sum: the sum over `left`, one hospital or more.

    largest_error: in any number of it, a sum of n_k u_k, against what `left` truly computed. stated_error: the bound
    that the protocol's rounding gives where nothing was clipped. largest_value: absolute, of what `left` computed.
    reason: why nothing was played, else "".
    """

    round: int
    colluders: Sequence[SiteId]
    left: Sequence[SiteId]
    largest_error: float
    stated_error: float
    largest_value: float
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """A hospital's light, each rule that gave one, and what to change.

    lights: the worst light of each column of the table, by the name of its question, or of its adversary.
    conditional: questions and adversaries, by name, of what got at the hospital under a condition only.
    could_not_tell: columns that are amber since no test was powerful enough or came to an end, and for nothing else.
    """

    site: SiteId
    light: Light
    reasons: Sequence[tuple[Light, str]]
    advice: Sequence[str]
    lights: Mapping[str, Light] = field(default_factory=dict)
    conditional: Sequence[tuple[str, str]] = ()
    could_not_tell: Sequence[str] = ()


@dataclass(frozen=True)
class Power:
    """A fault that was planted to see whether an attack sees it: `seen` of `of` times.

    reason: why it could not be shown to the attack, where `of` is 0.
    """

    question: str
    attack: str
    fault: str
    seen: int
    of: int
    reason: str = ""


@dataclass(frozen=True)
class Plugin:
    """An entry that is not ours, as it was named for an audit. kind: "attack", "question" or "adversary"."""

    kind: str
    name: str
    reference: str
    sha256: str


@dataclass(frozen=True)
class Report:
    """A whole audit. not_tried: attacks that were left out, and why. parties: what each could read. command:
    makes every figure again. openings: what colluding hospitals read; none where the coordinator reads all alone.
    power: whether planted faults would have been seen. plugins: entries that are not ours, named for this audit.
    dossier: what its first page says."""

    study: str
    title: str
    run: str
    model_sha256: str
    seed: int
    seconds: float
    thresholds: Mapping[str, float]
    claim: Claim
    trials: Sequence[Trial]
    verdicts: Sequence[Verdict]
    not_tried: Sequence[tuple[str, str]]
    traffic: Sequence[Mapping[str, Any]]
    parties: Sequence[Mapping[str, str]]
    command: str
    openings: Sequence[Opening] = ()
    power: Sequence[Power] = ()
    plugins: Sequence[Plugin] = ()
    dossier: Sheet | None = None
    schema: int = SCHEMA_VERSION
