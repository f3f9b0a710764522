"""A run as the report knows it: typed values of the run folder's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from common.data.names import SiteId
from server.problems import Problem
from server.reporting.details import Details
from server.reporting.embedding import Embedding
from server.reporting.kept_here import KeptHere
from server.reporting.patients import Cell, PatientRecord

Scores = Mapping[str, float]
"""Finite scores by name; one that is undefined is missing."""

SiteScores = Mapping[SiteId, Scores]


PLAYED = ("inline", "processes", "simulation")
"""Engines in which one machine plays all hospitals; the others start real nodes, here or elsewhere."""


@dataclass(frozen=True)
class About:
    """`about.json`, and the planned number of rounds of `study.toml` (None where unknown).

    trusts: whom the study's hospitals trust with what, and what its promise rests on, in sentences. absent: of older
    runs, hospitals that came up and take no part, in words. hospitals_expected, sites_expected: how many, and, where
    the study names them, which. changes: what was found changed when the run was resumed, in sentences. device: of
    the hospitals, where they are on the coordinator's own machine; a real one's is its own matter. model_of_round:
    after which round the model was that is kept; None: after the last. ended_early: why not all rounds were run, and
    which model is kept, in sentences. began_from: the model that the run began from or scored, and its digest, in
    words. plugins: the SHA-256 of code that is not ours, by its module or file. programs: digest and versions of what
    each hospital says it ran; program: digest of the coordinator's. watched: scores of which 0 means that the network
    answers all cases alike.
    """

    study: str = ""
    title: str = ""
    description: str = ""
    engine: str = ""
    device: str = ""
    seed: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    seconds: float | None = None
    state: str = ""
    reason: str = ""
    rounds_done: int = 0
    rounds_planned: int | None = None
    model_sha256: str = ""
    parameters: int = 0
    headline: str = ""
    task: str = ""
    strategy: str = ""
    aggregation: str = ""
    reveals: str = ""
    readers: str = ""
    source: str = ""
    time: Mapping[str, float] = field(default_factory=dict)
    trusts: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    hospitals_expected: int = 0
    sites_expected: tuple[SiteId, ...] = ()
    changes: tuple[str, ...] = ()
    model_of_round: int | None = None
    ended_early: str = ""
    last_taken_back: str = ""
    began_from: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    programs: Mapping[SiteId, tuple[str, str]] = field(default_factory=dict)
    watched: tuple[str, ...] = ()

    @property
    def is_played(self) -> bool:
        """Whether one machine played all hospitals: single cases may be shown then, and never those of nodes."""
        return self.engine in PLAYED


@dataclass(frozen=True)
class Holding:
    """What one hospital holds. cases and patients: by split. labels: share of each class, in [0, 1]."""

    site: SiteId
    cases: Mapping[str, int]
    patients: Mapping[str, int]
    quarantined: int
    labels: Mapping[str, float]


@dataclass(frozen=True)
class Roster:
    """All hospitals' holdings, and how much they differ."""

    holdings: tuple[Holding, ...] = ()
    label_divergence: float | None = None
    size_gini: float | None = None
    partition: str = ""
    shape: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drop:
    """A hospital whose reply was not used. leg: of the exchange it failed in."""

    site: SiteId
    leg: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Scores of the model after round `of_round` (0: the initial model)."""

    of_round: int
    split: str
    sites: SiteScores
    pooled: Scores


@dataclass(frozen=True)
class Round:
    """One line of `rounds.jsonl`. sent: bytes to hospitals; received: bytes from them.

    training_of_all: of all hospitals together, where single ones are not revealed. attempts: how often it was
    asked for in all. widenings: of these, repeats over a wider range of values, `range_factor` times the study's.
    taken_back: which round was found out in this one to count for nothing, and why, as a sentence. collapse: whether
    the model it started from answers all cases alike, in a sentence. values_in_full: how many values the round's
    updates have together, where the study compresses them; else 0.
    """

    number: int
    selected: tuple[SiteId, ...]
    contributed: tuple[SiteId, ...]
    dropped: tuple[Drop, ...]
    weights: Mapping[SiteId, float]
    training: SiteScores
    evaluation: Evaluation | None
    seconds: Mapping[str, float]
    site_seconds: Mapping[SiteId, float]
    sent: int
    received: int
    training_of_all: Scores = field(default_factory=dict)
    attempts: int = 1
    widenings: int = 0
    range_factor: int = 1
    taken_back: str = ""
    collapse: str = ""
    values_in_full: int = 0


@dataclass(frozen=True)
class SplitScores:
    """Scores of one model on one split: hospital by hospital, and over all their patients together."""

    sites: SiteScores = field(default_factory=dict)
    pooled: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class Baselines:
    """Test scores of the models the federation is compared with, and the seconds they took to train."""

    local: SplitScores = field(default_factory=SplitScores)
    pooled: SplitScores = field(default_factory=SplitScores)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MessageKind:
    """How much of one kind of message travelled."""

    leg: str
    direction: str
    content: str
    messages: int
    bytes: int

    @property
    def leaves_hospital(self) -> bool:
        """Whether it goes out of a hospital; a direction that is not known counts as out."""
        return self.direction != "to hospital"


@dataclass(frozen=True)
class Traffic:
    """All messages by kind, and each hospital's bytes: `sent` to it, `received` from it."""

    kinds: tuple[MessageKind, ...] = ()
    sites: Mapping[SiteId, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """What one hospital's units may have lost. curve: epsilon after so many rounds."""

    patients: int
    rounds: int
    steps_a_round: int
    noise_multiplier: float | None
    sampling_rate: float | None
    clip_norm: float | None
    epsilon: float | None
    epsilon_rdp: float | None
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Uncovered:
    """Something that leaves in clear beside a promise, who is told or sees it, and why it is not covered."""

    what: str
    to_whom: str
    why: str


@dataclass(frozen=True)
class Beside:
    """Epsilons of the hospital that spent most, `site`; None: without bound.

    exchanged: of one unit's data for another's. together: of k related units. in_hospitals: of one person in k of
    them.
    """

    site: str
    exchanged: float | None
    together: tuple[tuple[int, float | None], ...] = ()
    in_hospitals: tuple[tuple[int, float | None], ...] = ()


@dataclass(frozen=True)
class Privacy:
    """`privacy.json`: a run's promise of differential privacy, and what it spent of it, hospital by hospital.

    relation: which two data sets epsilon is about, in words; "" and no `beside` in runs of before it was said.
    """

    mechanism: str
    unit: str
    place: str
    delta: float | None
    noise_source: str
    not_covered: tuple[Uncovered, ...]
    sites: Mapping[SiteId, Spent]
    relation: str = ""
    beside: Beside | None = None


@dataclass(frozen=True)
class Picture:
    """One case of a simulated hospital. panels: name, PNG picture as a data URI, and a line below the name.

    rank: "" for a hospital's median patient, "worst" or "best" for one of the most extreme of all.
    """

    site: SiteId
    patient: str
    score: float | None
    panels: tuple[tuple[str, str, str], ...]
    rank: str = ""


@dataclass(frozen=True)
class Run:
    """A whole run folder. problems: files that could not be read, and what changed, in words. lost: what the run says
    it lost. kept: what hospitals on this machine wrote down for themselves. details: of the final scores, by split.
    planned: what a network that configures itself was given and why, in sentences.
    patients: of single test patients, in simulation alone. subgroups: from sums, by split.
    """

    name: str
    about: About
    roster: Roster = field(default_factory=Roster)
    rounds: tuple[Round, ...] = ()
    final: Mapping[str, SplitScores] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    baselines: Baselines | None = None
    pictures: tuple[Picture, ...] = ()
    embedding: Embedding | None = None
    privacy: Privacy | None = None
    study_text: str = ""
    planned: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lost: tuple[Problem, ...] = ()
    kept: KeptHere = field(default_factory=KeptHere)
    details: Mapping[str, Details] = field(default_factory=dict)
    patients: PatientRecord | None = None
    subgroups: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)

    @cached_property
    def sites(self) -> tuple[SiteId, ...]:
        """Every hospital that any file names: the roster's in its order, others expected, then any by name."""
        known = [holding.site for holding in self.roster.holdings]
        known += sorted(set(self.about.sites_expected) - set(known))
        named = {site for one in self.rounds for site in (*one.selected, *one.contributed)}
        named |= {drop.site for one in self.rounds for drop in one.dropped} | set(self.traffic.sites)
        named |= {site for scores in self.final.values() for site in scores.sites}
        return tuple(dict.fromkeys([*known, *sorted(named)]))

    def interval(self, split: str, name: str) -> tuple[float, float] | None:
        """95 % interval of a score of all patients together: from sums, else from single patients of a simulation."""
        found = self.details[split].intervals.get(name) if split in self.details else None
        if found is None and self.patients is not None and self.patients.split == split:
            return self.patients.intervals.get(name)
        return found

    @property
    def model_round(self) -> int:
        """After which round the run's model was."""
        return self.rounds_done if self.about.model_of_round is None else self.about.model_of_round

    @cached_property
    def rounds_done(self) -> int:
        """The last finished round: what the run says of itself, or what its records show."""
        return max([self.about.rounds_done, *(one.number for one in self.rounds)])
