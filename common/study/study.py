"""Study: one TOML file as frozen dataclasses, checked whole before anything starts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import tomli_w

from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.schedules import Schedule
from common.learning.task import Task
from common.privacy.abilities import check_declared
from common.study.audit_settings import Audit
from common.study.catalogue import AGGREGATIONS, ENGINES, MECHANISMS, PARTITIONS, SOURCES, STRATEGIES, TASKS
from common.study.checks import non_negative
from common.study.compression_checks import check_compression
from common.study.defence_settings import Defence, check_defence
from common.study.dossier_settings import Dossier
from common.study.federation import Federation
from common.study.fine_tuning import FineTuning, check_fine_tuning
from common.study.held_out import check_held_out
from common.study.operator_checks import check_operators
from common.study.options import EXAMPLE, Entry, build
from common.study.own_weights import brings_weights, check_networks
from common.study.plugins import expecting, noted, resolved
from common.study.privacy_checks import Preprocessing, check_preprocessing
from common.study.report_settings import Report, check_subgroups, keeping_columns, resolved_report
from common.study.split_settings import Split
from common.study.start import Start
from common.study.stopping import Stopping, check_stopping
from common.study.strategy_abilities import learning_rate_of
from common.study.task_checks import check_stop_on_collapse, check_task
from common.study.training_checks import check_classes, check_personal, check_private_training, check_training
from common.study.truth_checks import check_truth

NO_PRIVACY = "none"
"""`privacy = "none"`: what a study of real hospitals must write out where it promises no epsilon."""

NOT_SAID = (("privacy", NO_PRIVACY), ("start", "none"))
"""As if it were not written; `--set start=none` so begins from the seed's parameters, to compare with."""

NAMING = ("source", "partition", "task", "strategy", "aggregation", "privacy", "engine", "analyses")
"""What of a study names entries, and so plug-ins, here or in its options."""


@dataclass(frozen=True)
class Baselines:
    """`[baselines]`: models to compare the federation with. They exist only in simulation.

    local: every hospital's own model, trained alone for as many steps. pooled: one model on all data together.
    """

    local: bool = False
    pooled: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that decides a run's result. Two equal studies give bit-identical models on every engine.

    title: what a study is called. source: where its cases come from. task: what is learned. All else has a default.

    aggregation: how sums are made; by default "secagg" where the strategy needs only sums, else "plain". privacy:
    what noise hides; not given, or "none", no noise. server_schedule: of strategy.learning_rate, as training.schedule
    is of training.learning_rate. stopping: when to end early; not given, all rounds are run. fine_tuning: how each
    hospital trains the last model on, for itself. purposes: words by which a person's consent may name the study,
    beside its title; like all of it they are what each hospital's own people approve. plugins: the SHA-256 of every
    plug-in, its file and those of its own that it imports, by its module or path: found when the study is first read,
    not written by anybody, and from then on the same. rounds: how many; 0 trains nothing, and scores the model that
    `start` names, or that the network brings.

    strategy: what the coordinator makes of the hospitals' sum. seed: of all chance: the same seed gives the same
    model. description: a sentence or two for whoever reads the report. partition: how a pool of patients is divided
    into hospitals, in simulation. start: the model to begin from. training: how a hospital trains on its own cases.
    split: shares of its persons for training, validation and test. federation: who takes part in a round, and who is
    waited for. defence: against a hospital that poisons the model. baselines: models trained without a federation,
    to compare. audit: how long attacks take, and when a light is amber or red. report: what the report tells of
    groups of persons. dossier: purpose, parties and legal basis, for whoever signs. analyses: questions that
    hospitals answer with sums, beside any model: `wardround ask`. engine: how it runs, on one machine or on many.
    """

    title: str = field(metadata={EXAMPLE: 'title = "Brain tumours of three hospitals"'})
    rounds: int = 10
    source: Entry = field(metadata={EXAMPLE: 'source = { name = "nifti", folder = "data" }'})
    task: Entry = field(metadata={EXAMPLE: 'task = "segmentation"'})
    strategy: Entry = field(default_factory=lambda: Entry("fedavg"))
    seed: int = 0
    description: str = ""
    purposes: tuple[str, ...] = ()
    engine: str = "processes"
    partition: Entry | None = None
    aggregation: Entry = field(default_factory=lambda: Entry("secagg"))
    privacy: Entry | None = None
    start: Start | None = None
    training: Training = field(default_factory=Training)
    server_schedule: Schedule | None = None
    stopping: Stopping | None = None
    fine_tuning: FineTuning | None = None
    split: Split = field(default_factory=Split)
    federation: Federation = field(default_factory=Federation)
    defence: Defence = field(default_factory=Defence)
    baselines: Baselines = field(default_factory=Baselines)
    audit: Audit = field(default_factory=Audit)
    report: Report = field(default_factory=Report)
    dossier: Dossier = field(default_factory=Dossier)
    analyses: tuple[Entry, ...] = ()
    plugins: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        non_negative("study", rounds=self.rounds, seed=self.seed)
        self.split.demand_room(trains=self.rounds > 0)
        if not self.rounds:
            _check_evaluation_alone(self)
        self._resolve_report()
        if any(not purpose.strip() for purpose in self.purposes):
            raise StudyError("study.purposes names a purpose without a word in it.")
        with noted() as used, expecting(self.plugins, "this study was read with"):
            _check_pairs(self)
        _demand_same(self.plugins, used)
        object.__setattr__(self, "plugins", dict(sorted(used.items())))
        self._resolve_schedules()
        object.__setattr__(self, "split", replace(self.split, assignment=self.preprocessing.resolved))

    def _resolve_report(self) -> None:
        """The source hands on the columns of subgroups, beside those that are learned from."""
        if not self.report.subgroups:
            return
        check_subgroups(self.report, self.privacy is not None)
        object.__setattr__(self, "report", resolved_report(self.report, self.source))
        cls = SOURCES.load(self.source.name)
        object.__setattr__(self, "source", keeping_columns(self.source, cls, self.report))

    def _resolve_schedules(self) -> None:
        if not self.rounds:
            return
        training, server = self.training.schedule, self.server_schedule
        if training is not None:
            scheduled = replace(self.training, schedule=training.resolved(self.rounds))
            object.__setattr__(self, "training", scheduled)
        if server is not None:
            object.__setattr__(self, "server_schedule", server.resolved(self.rounds))

    def build_task(self) -> Task:
        """The task with its options."""
        return cast(Task, TASKS.build(self.task))

    @property
    def preprocessing(self) -> Preprocessing:
        """What happens to the data before training, beside the promise it has to suit."""
        assignment, by_hospital = self.split.assignment, self.split.is_by_hospital
        return Preprocessing(self.source, self.partition, assignment, self.privacy, by_hospital)

    @property
    def text(self) -> str:
        """The study as TOML, every setting written out."""
        return tomli_w.dumps(_plain(self._table))

    @cached_property
    def json(self) -> str:
        """The study as one line, as it travels to hospitals; asked for with every message."""
        return json.dumps(_plain(self._table), sort_keys=True)

    @property
    def _table(self) -> dict[str, Any]:
        """What is at its default is left out of what came later: such a study reads as it did before."""
        unsaid = {
            "plugins": {},
            "analyses": (),
            "report": asdict(Report()),
            "dossier": {},
            "defence": asdict(Defence()),
        }
        table = {**asdict(self), "dossier": {key: said for key, said in asdict(self.dossier).items() if said}}
        return {key: value for key, value in table.items() if key not in unsaid or value != unsaid[key]}


def parse(text: str, overrides: Iterable[str] = (), beside: Path | None = None) -> Study:
    """A study from TOML text and `key=value` overrides. Raises StudyError that names the place and the remedy.

    beside: the folder of the study's file, where relative paths of plug-ins begin; else the working directory.
    Plug-ins are refused outside of `common.study.plugins.trusting`.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"the study is not valid TOML: {str(error)[:200]}") from error
    for one in overrides:
        override(table, one)
    folder = beside or Path.cwd()
    return _built({key: _located(held, folder) if key in NAMING else held for key, held in table.items()})


def keys_of(text: str, overrides: Iterable[str] = ()) -> frozenset[str]:
    """What a study's author wrote, text and overrides together, by its first word: the rest is at its default."""
    return frozenset(
        {*tomllib.loads(text), *(override.partition("=")[0].strip().partition(".")[0] for override in overrides)}
    )


def parse_json(text: str) -> Study:
    """A study that came over the wire. Raises StudyError where it cannot be run here."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError("the study that arrived is not valid JSON.") from error
    if not isinstance(table, dict):
        raise StudyError("the study that arrived is not a table.")
    try:
        json.dumps(table, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise StudyError("the study that arrived holds half a character (a lone surrogate).") from error
    return _built(table)


def _built(table: Mapping[str, Any]) -> Study:
    """The study of a table, safe where it does not say otherwise: sums alone are read where those are enough."""
    said = {key: value for key, value in table.items() if (key, value) not in NOT_SAID}
    _refuse_former(said)
    with expecting(said.get("plugins"), "this study was read with"):
        return build(Study, {"aggregation": _default_aggregation(said), **said}, "study")


def _refuse_former(table: Mapping[str, Any]) -> None:
    """One number said three things; whoever has a study with it is told which to say now."""
    federation = table.get("federation")
    if isinstance(federation, Mapping) and "minimum_hospitals" in federation:
        raise StudyError(
            "federation.minimum_hospitals has become three numbers: hospitals_at_start, to begin a run; "
            "least_in_sum, of a sum that is opened or, with 'plain', of replies to a round; and noise_shares, of "
            "'distributed' noise."
        )


def _default_aggregation(table: Mapping[str, Any]) -> str:
    named = table.get("strategy", "fedavg")
    name = named.get("name") if isinstance(named, Mapping) else named
    known = isinstance(name, str) and STRATEGIES.has(name)
    return "plain" if known and STRATEGIES.load(str(name)).needs == "each" else "secagg"


def override(table: dict[str, Any], given: str) -> None:
    """Change a table by `key.key=value`, a value of TOML or a bare word. Raises StudyError where that is none."""
    path, equals, text = given.partition("=")
    if not equals or not all(keys := path.strip().split(".")):
        raise StudyError(f"--set takes key=value, such as training.epochs=2; it was given {given!r}.")
    place = table
    for key in keys[:-1]:
        held = place.setdefault(key, {})
        if isinstance(held, str):
            held = place[key] = {"name": held}
        if not isinstance(held, dict):
            raise StudyError(f"--set {given}: {key} is not a table of options.")
        place = held
    value = _value(text.strip())
    is_entry = isinstance(value, str) and isinstance(place.get(keys[-1]), dict)
    is_none = (keys[0], value) in NOT_SAID and len(keys) == 1
    place[keys[-1]] = {"name": value} if is_entry and not is_none else value


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


def _located(value: Any, folder: Path) -> Any:
    """With absolute paths of plug-ins, which mean the same in every process of this machine."""
    if isinstance(value, str):
        return resolved(value, folder)
    if isinstance(value, Mapping):
        return {key: _located(item, folder) for key, item in value.items()}
    return [_located(item, folder) for item in value] if isinstance(value, list) else value


def _demand_same(known: Mapping[str, str], used: Mapping[str, str]) -> None:
    for place, digest in used.items():
        if known.get(place, digest) != digest:
            raise StudyError(
                f"plug-in {place} is not the one that this study was read with: its file has changed, or another "
                "version is installed here. Put that back, or begin a new run."
            )


def _check_pairs(study: Study) -> None:
    """Build every entry, so that unknown names and options show now, and refuse what cannot go together."""
    ENGINES.digest(study.engine)  # never imported here: where a study is checked, engines may not be installed
    task = TASKS.build(study.task)
    check_networks(study.task)
    strategy = STRATEGIES.build(study.strategy)
    aggregation = AGGREGATIONS.build(study.aggregation)
    source = SOURCES.build(study.source)
    if strategy.needs == "each" and aggregation.reveals == "sum":
        raise StudyError(
            f"strategy {study.strategy.name!r} needs every hospital's single update, and aggregation "
            f"{study.aggregation.name!r} reveals only their sum. Choose another strategy or aggregation 'plain'."
        )
    work = strategy.work()
    _check_privacy(study, strategy.needs, strategy.sends, work.controlled)
    if study.privacy is not None:
        unit = MECHANISMS.build(study.privacy).unit
        check_private_training(study.training, unit, work, study.strategy.name, study.privacy.name)
    check_task(task, study.task, study.strategy, study.privacy, study.training, study.rounds)
    check_stop_on_collapse(task, study.task, study.federation, study.privacy is not None)
    _check_partition(study, source)
    check_operators(source, task)
    check_truth(source, study.source, task, study.task, study.training, study.partition)
    check_training(study.training, study.strategy.name, work)
    check_classes(study.training, task, study.task.name)
    stopping = None if study.stopping is None else study.stopping.keep
    check_personal(study.training, study.strategy.name, work, task, stopping)
    by_score = study.federation.stop_at_score is not None
    check_stopping(study.stopping, study.federation.evaluate_every, study.privacy is not None, by_score)
    check_defence(study.defence, study.privacy is not None, study.split.validation, study.strategy.name, work)
    check_compression(study.federation, work, study.strategy, study.privacy, study.defence, study.aggregation)
    _check_withheld(study)
    _check_held_out(study)
    _check_analyses(study)
    check_fine_tuning(study.fine_tuning, study.rounds, None if study.privacy is None else study.privacy.name)
    if study.server_schedule is not None and learning_rate_of(strategy) is None:
        raise StudyError(f"server_schedule is of strategy.learning_rate, which {study.strategy.name!r} has not.")


def _check_analyses(study: Study) -> None:
    """Build every question; nothing of questions is imported where there are none."""
    if study.analyses:
        from common.asking.question import check_questions

        check_questions(study.analyses, study.aggregation, study.start is not None)


def _check_withheld(study: Study) -> None:
    """Refuse whatever would score test cases in a run that withholds them."""
    if not study.federation.withhold_test:
        return
    scores = {
        "baselines.local": study.baselines.local,
        "baselines.pooled": study.baselines.pooled,
        "federation.evaluate_split = 'test'": study.federation.evaluate_split == "test",
        "[fine_tuning]": study.fine_tuning is not None,
        "audit.after_run": study.audit.after_run,
    }
    for name, wanted in scores.items():
        if wanted:
            raise StudyError(f"federation.withhold_test keeps test cases unscored, and {name} scores them: drop one.")


def _check_held_out(study: Study) -> None:
    needs_both = {
        "[fine_tuning]": study.fine_tuning is not None,
        "baselines.local": study.baselines.local,
        "training.personal": bool(study.training.personal),
        "training.label_share": study.training.label_share is not None,
        "defence.votes": study.defence.votes,
        "a group of the roster": any(entry.group for entry in study.federation.roster),
    }
    stops_early = study.stopping is not None or study.federation.stop_at_score is not None
    check_held_out(study.split, study.aggregation.name, study.privacy is not None, needs_both, stops_early)


def _check_evaluation_alone(study: Study) -> None:
    """Refuse what only training gives, and no model to score."""
    if study.start is None and not brings_weights(study.task):
        raise StudyError(
            'rounds = 0 trains nothing and scores a model: name it. Add [start] model = "path/to/model.safetensors" '
            "(or a run folder), or run: wardround evaluate MODEL STUDY."
        )
    if study.privacy is not None:
        raise StudyError("rounds = 0 trains nothing, so that no noise is added and nothing promised: remove privacy.")
    for name in ("local", "pooled"):
        if getattr(study.baselines, name):
            raise StudyError(f"rounds = 0 trains nothing, and baselines.{name} is trained: set it to false.")
    if study.audit.after_run:
        raise StudyError("rounds = 0 trains nothing, and an audit is of training: set audit.after_run = false.")


def _check_privacy(study: Study, needs: str, sends: str, controlled: bool) -> None:
    if study.privacy is None:
        return
    mechanism = MECHANISMS.build(study.privacy)
    check_declared(mechanism, study.privacy.name)
    if mechanism.unit == "sample" and study.federation.expected_patients is not None:
        raise StudyError(
            "federation.expected_patients stands for numbers of patients, and privacy.unit = 'sample' hides cases, "
            "whose numbers would still be told: choose privacy.unit 'patient', or remove expected_patients."
        )
    if mechanism.place == "shares" and sends != "gradient":
        raise StudyError(
            f"privacy {study.privacy.name!r} adds its noise to sums of gradients, and strategy "
            f"{study.strategy.name!r} sends the change of local training: "
            "choose strategy 'fedsgd', or privacy 'dpsgd'."
        )
    if mechanism.place == "server" and (needs == "each" or controlled):
        raise StudyError(
            f"privacy {study.privacy.name!r} adds noise to one sum a round, and strategy "
            f"{study.strategy.name!r} computes with more than that: choose another strategy, or privacy 'dpsgd'."
        )
    check_preprocessing(study.preprocessing)


def _sites_by(source: object) -> str:
    """What a source, if it can, would know hospitals by, as it says itself."""
    words = getattr(source, "sites_by", "")
    return f"; or say by what the data tells them: {words}" if words else ""


def _check_partition(study: Study, source: Any) -> None:
    if source.has_sites:
        if study.partition is not None:
            raise StudyError(
                f"source {study.source.name!r} says itself which hospital each case is from: remove [partition]."
            )
        return
    if study.partition is not None:
        PARTITIONS.build(study.partition)
    elif not study.federation.roster:
        raise StudyError(
            f"source {study.source.name!r} does not say which hospital a case is from: add [partition], "
            f"one of {', '.join(PARTITIONS.names())}, to divide the persons{_sites_by(source)}; "
            "or name the hospitals, each with a folder of its own, in [federation] roster."
        )
