"""Study: one TOML file as frozen dataclasses, checked whole before anything starts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import tomli_w

from common.audit_settings import Audit
from common.catalogue import AGGREGATIONS, MECHANISMS, PARTITIONS, SOURCES, STRATEGIES, TASKS
from common.checks import between, non_negative, positive
from common.errors import StudyError
from common.options import Entry, build
from common.task import Task
from common.work import Training


@dataclass(frozen=True)
class Split:
    """`[split]`: shares of each hospital's patients that are kept for validation and test."""

    validation: float = 0.1
    test: float = 0.25

    def __post_init__(self) -> None:
        between("split", 0, 0.9, validation=self.validation, test=self.test)
        if self.validation + self.test >= 1:
            raise StudyError("split.validation + split.test leave no patient to train on; their sum must be below 1.")


@dataclass(frozen=True)
class Federation:
    """`[federation]`: who takes part in a round, and how long anybody is waited for.

    client_fraction: share of hospitals drawn each round (McMahan's C). minimum_hospitals: fewer valid replies
    stop the run. round_timeout_s: longest wait for one leg. start_timeout_s: longest wait for hospitals to
    come up. evaluate_every: rounds between evaluations of the model by all hospitals; 0: only at the end.
    evaluate_split: on which of their cases. stop_at_score: stop early once the pooled headline score, as
    evaluated between rounds, reaches this; choose it on validation cases unless a paper's protocol says test.
    record_traffic: keep every message in the run folder, for the audit.
    """

    client_fraction: float = 1.0
    minimum_hospitals: int = 1
    round_timeout_s: float = 600.0
    start_timeout_s: float = 120.0
    evaluate_every: int = 1
    evaluate_split: Literal["validation", "test"] = "validation"
    stop_at_score: float | None = None
    record_traffic: bool = False

    def __post_init__(self) -> None:
        between("federation", 0, 1, client_fraction=self.client_fraction)
        positive(
            "federation",
            minimum_hospitals=self.minimum_hospitals,
            round_timeout_s=self.round_timeout_s,
            start_timeout_s=self.start_timeout_s,
        )
        non_negative("federation", evaluate_every=self.evaluate_every)


@dataclass(frozen=True)
class Baselines:
    """`[baselines]`: models to compare the federation with. They exist only in simulation.

    local: every hospital's own model, trained alone for as many steps. pooled: one model on all data together.
    """

    local: bool = False
    pooled: bool = False


@dataclass(frozen=True)
class Study:
    """Everything that decides a run's result. Two equal studies give bit-identical models on every engine."""

    title: str
    rounds: int
    source: Entry
    task: Entry
    strategy: Entry
    seed: int = 0
    description: str = ""
    engine: Literal["inline", "processes", "simulation", "deployment"] = "processes"
    partition: Entry | None = None
    aggregation: Entry = field(default_factory=lambda: Entry("plain"))
    privacy: Entry | None = None
    training: Training = field(default_factory=Training)
    split: Split = field(default_factory=Split)
    federation: Federation = field(default_factory=Federation)
    baselines: Baselines = field(default_factory=Baselines)
    audit: Audit = field(default_factory=Audit)

    def __post_init__(self) -> None:
        positive("study", rounds=self.rounds)
        non_negative("study", seed=self.seed)
        _check_pairs(self)

    def build_task(self) -> Task:
        """The task with its options."""
        return cast(Task, TASKS.build(self.task))

    @property
    def text(self) -> str:
        """The study as TOML, every setting written out."""
        return tomli_w.dumps(_plain(asdict(self)))

    @property
    def json(self) -> str:
        """The study as one line, as it travels to hospitals."""
        return json.dumps(_plain(asdict(self)), sort_keys=True)


def parse(text: str, overrides: Iterable[str] = ()) -> Study:
    """A study from TOML text and `key=value` overrides. Raises StudyError that names the place and the remedy."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"the study is not valid TOML: {str(error)[:200]}") from error
    for override in overrides:
        _override(table, override)
    return build(Study, table, "study")


def parse_json(text: str) -> Study:
    """A study that came over the wire. Raises StudyError where it cannot be run here."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError("the study that arrived is not valid JSON.") from error
    if not isinstance(table, dict):
        raise StudyError("the study that arrived is not a table.")
    return build(Study, table, "study")


def _override(table: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise StudyError(f"--set takes key=value, such as training.epochs=2; it was given {override!r}.")
    place = table
    for key in keys[:-1]:
        held = place.setdefault(key, {})
        if isinstance(held, str):
            held = place[key] = {"name": held}
        if not isinstance(held, dict):
            raise StudyError(f"--set {override}: {key} is not a table of options.")
        place = held
    value = _value(text.strip())
    if isinstance(value, str) and isinstance(place.get(keys[-1]), dict):
        value = {"name": value}
    place[keys[-1]] = value


def _value(text: str) -> Any:
    """A TOML value; a bare word is a word, so that `--set strategy=fedavg` needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _plain(value: Any) -> Any:
    """Without None (TOML has none), catalogue entries as one table, tuples as lists."""
    if isinstance(value, Mapping):
        if set(value) == {"name", "options"}:
            return {"name": value["name"], **_plain(value["options"])}
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _check_pairs(study: Study) -> None:
    """Build every entry, so that unknown names and options show now, and refuse what cannot go together."""
    TASKS.build(study.task)
    strategy = STRATEGIES.build(study.strategy)
    aggregation = AGGREGATIONS.build(study.aggregation)
    source = SOURCES.build(study.source)
    if strategy.needs == "each" and aggregation.reveals == "sum":
        raise StudyError(
            f"strategy {study.strategy.name!r} needs every hospital's single update, and aggregation "
            f"{study.aggregation.name!r} reveals only their sum. Choose another strategy or aggregation 'plain'."
        )
    _check_privacy(study, strategy.needs, strategy.sends, strategy.work().controlled)
    _check_partition(study, source.has_sites)
    _check_training(study, strategy.sends)
    if strategy.work().controlled and (study.training.optimiser != "sgd" or study.training.momentum):
        raise StudyError(
            f"strategy {study.strategy.name!r} corrects plain gradient steps: training.optimiser must be 'sgd' "
            f"without momentum; it is {study.training.optimiser!r} with momentum {study.training.momentum}."
        )


def _check_privacy(study: Study, needs: str, sends: str, controlled: bool) -> None:
    if study.privacy is None:
        return
    place = MECHANISMS.build(study.privacy).place
    if place == "shares" and sends != "gradient":
        raise StudyError(
            f"privacy {study.privacy.name!r} adds its noise to sums of gradients, and strategy "
            f"{study.strategy.name!r} sends the change of local training: "
            "choose strategy 'fedsgd', or privacy 'dpsgd'."
        )
    if place == "server" and (needs == "each" or controlled):
        raise StudyError(
            f"privacy {study.privacy.name!r} adds noise to one sum a round, and strategy "
            f"{study.strategy.name!r} computes with more than that: choose another strategy, or privacy 'dpsgd'."
        )


def _check_partition(study: Study, has_sites: bool) -> None:
    if has_sites and study.partition is not None:
        raise StudyError(
            f"source {study.source.name!r} says itself which hospital each case is from: remove [partition]."
        )
    if has_sites:
        return
    if study.partition is None:
        raise StudyError(
            f"source {study.source.name!r} does not say which hospital a case is from: add [partition], "
            f"one of {', '.join(PARTITIONS.names())}."
        )
    PARTITIONS.build(study.partition)


def _check_training(study: Study, sends: str) -> None:
    default = Training()
    if sends != "gradient":
        return
    for name in ("epochs", "steps", "optimiser", "momentum", "weight_decay", "learning_rate"):
        if getattr(study.training, name) != getattr(default, name):
            raise StudyError(
                f"training.{name} has no effect with strategy {study.strategy.name!r}: hospitals send one gradient "
                "and take no step of their own. The server's step is strategy.learning_rate; remove the setting."
            )
