"""A whole run on the server's side: hello, rounds, final evaluation, and the folder it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch
from flwr.serverapp import Grid

from common.allocator import give_back_freed_memory
from common.data.cases import SiteId
from common.errors import WardroundError
from common.learning.abilities import presented, watched
from common.learning.freezing import only
from common.learning.parameters import Layout, digest, read
from common.learning.score_names import statistic_names
from common.metrics.roc import with_auc
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.held_out import LEAST_SCORED, WITHOUT_TEST
from common.study.schedule import final_splits
from common.study.study import Study
from common.sums.abilities import readers_of
from common.sums.aggregation import Aggregation
from common.sums.cohorts import Cohorts
from common.sums.exchange import Collected
from common.sums.mean import Mean
from common.wire.objects import LARGEST_SMALL_BYTES
from common.wire.pieces import LARGEST_PIECE_BYTES
from common.wire.refusals import FREE_OF_CHARGE
from server.charges import Charges, charged_rounds
from server.checkpoint import Checkpoint, check_fits, load, save
from server.collapse_watch import CollapseWatch
from server.early_stopping import Watch
from server.exchange import GridExchange
from server.foreign_strategy import demand_state, told
from server.giving import give
from server.handshake import Gathered, gather
from server.initial_model import Beginning
from server.members import demand_room
from server.model_delivery import HandingOut
from server.pins import Pins
from server.problems import Problem, Stage, forget_from, keep
from server.progress import (
    HospitalJoined,
    HospitalsRefuse,
    ProblemFound,
    Progress,
    RoundFinished,
    RunFinished,
    RunStarted,
)
from server.public_numbers import counts_are_told, demand_countable
from server.rounds import Rounds
from server.run_folder import RunFolder
from server.run_record import first_words, roster_table
from server.server_privacy import private_terms
from server.strategy import Strategy
from server.traffic import Traffic
from server.transport import Conversation
from server.value_range import cut_words

BYTES_A_PARAMETER, BYTES_BESIDE = 128, 1 << 24
"""Limits of a protocol's bytes: the most wasteful encryption takes 20 bytes a parameter and vector."""


@dataclass
class Conductor:
    """One run. `hospitals` is how many are expected; 0: nobody said.

    simulated: noise of the server's own may come from the seed. sites: names of the study's hospitals, where its data
    name them and its roster does not. accepts_changed_data: where it is resumed, go on with hospitals whose data
    changed. signing: the folder with the coordinator's key, where hospitals are to be handed the model.
    """

    study: Study
    name: str
    grid: Grid
    folder: RunFolder
    progress: Progress
    hospitals: int = 0
    resume: bool = False
    simulated: bool = False
    sites: tuple[SiteId, ...] = ()
    accepts_changed_data: bool = False
    signing: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> None:
        """The whole run. Whatever ends it, the folder says how, and the error rises to the caller."""
        self.about = first_words(self.study, self.name, self.grid, self.hospitals, self.sites)
        begin = perf_counter()
        try:
            start = Beginning.of(self.study, self.folder, self.simulated, self.resume)
            self.study, self.about["start"] = start.study, start.told
            last = load(self.folder.path).round if self.resume else 0
            self.about["rounds_done"] = last
            if self._handing_out is not None:
                self._handing_out.check()
            pins = self._pins(last)
            self._write_study()
            self._conduct(begin, pins, last, start)
            self._finish("completed", "", begin)
        except WardroundError as error:
            self._finish("stopped", str(error), begin)
            raise
        except KeyboardInterrupt as error:
            self._finish("stopped", str(error) or "it was interrupted from the keyboard", begin)
            raise
        except BaseException as error:
            self._finish("failed", type(error).__name__, begin)
            raise

    def _pins(self, last: int) -> Pins:
        """What the run is held to: written down where it is new, compared where it goes on."""
        versions = self.about["versions"]
        new = not self.resume
        pins = (
            Pins.begun(self.folder, self.study, versions)
            if new
            else Pins.resumed(self.folder, self.study, versions, last)
        )
        self.about["changes"] = pins.changes
        return pins

    def _conduct(self, begin: float, pins: Pins, last: int, start: Beginning) -> None:
        torch.set_num_threads(1)
        rounds, layout, checkpoint = self._prepare(pins, last, start)
        give_back_freed_memory()  # of networks that only told how long a model is and what its scores are called
        self.about["time"]["start"] = perf_counter() - begin
        self._started(rounds, checkpoint)
        self._write_privacy(rounds)
        shown = self._shown(rounds)
        watch = Watch.of(self.study.stopping, str(self.about["headline"]), shown, self.folder)
        collapse = CollapseWatch.of(self.study, rounds.members, self.folder, shown)
        ended = watch.is_over or collapse.is_over or self._bore_enough(checkpoint)
        try:
            while checkpoint.round < self.study.rounds and not ended:
                before = checkpoint
                checkpoint, record = rounds.advance(before)
                watch.look(before, record)
                collapse.look(record)
                self._note_withdrawn(pins, rounds.exchange.withdrawn, checkpoint.round - 1)
                self._keep(rounds, checkpoint, record)
                self._note_cut(record)
                watch.tidy()
                ended = self._reached(record) or watch.is_over or collapse.is_over or self._bore_enough(checkpoint)
        finally:
            self._write_privacy(rounds)
        checkpoint = self._judge_last(rounds, checkpoint)
        self._choose(watch, collapse, checkpoint)
        number, parameters = watch.chosen(checkpoint)
        self._conclude(rounds, layout, replace(checkpoint, round=number, parameters=parameters), start, collapse)

    def _shown(self, rounds: Rounds) -> tuple[str, ...]:
        """The scores as they are shown."""
        return tuple(presented(self.study.build_task(), with_auc({name: Mean() for name in rounds.score_names})))

    def _choose(self, watch: Watch, collapse: CollapseWatch, last: Checkpoint) -> None:
        """Say how the run ended, which model it is that is kept, and what the last one is."""
        self.about["model_of_round"], _ = watch.chosen(last)
        self.about["last_model_sha256"] = digest(last.parameters)
        early = watch.words(last.round, self.study.rounds) or self._stopped_at_score(last)
        early = collapse.words(last.round, self.study.rounds) or early
        self.about["ended_early"] = self._gave_up(last) or early

    def _judge_last(self, rounds: Rounds, checkpoint: Checkpoint) -> Checkpoint:
        """What is left after the hospitals' vote on the last model, noted where there was one."""
        after, vote = rounds.judge_last(checkpoint)
        if vote:
            self.about["last_vote"] = vote
            self._note_dropped(rounds, "last vote")
            rounds.exchange.taken_back = after.taken_back
        return after

    def _bore_enough(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.times_taken_back >= self.study.defence.most_taken_back

    def _gave_up(self, last: Checkpoint) -> str:
        """Why a run ends in which too much was taken back; "" where it did not."""
        if not self._bore_enough(last):
            return ""
        return (
            f"It ended after round {min(last.round, self.study.rounds)} of {self.study.rounds}: rounds were taken "
            f"back {last.times_taken_back} times, as often as the study bears (defence.most_taken_back). The model "
            f"kept is that after round {last.model_round}, the last that was not taken back."
        )

    def _stopped_at_score(self, last: Checkpoint) -> str:
        wanted, rounds = self.study.federation.stop_at_score, self.study.rounds
        if wanted is None or last.round >= rounds:
            return ""
        return f"It ended early, after round {last.round} of {rounds}: {self.about['headline']} reached {wanted:g}."

    def _join(self, conversation: Conversation, pins: Pins, last: int) -> Gathered:
        """Whoever takes part, once they are those that the run began with; their roster is on the disk."""
        accepts = self.resume and self.accepts_changed_data
        expected = self.study.federation.names or self.sites
        gathered = gather(
            conversation,
            self.study,
            self.hospitals,
            self.traffic,
            self._note,
            expected,
            pins.run,
            accepts,
            lambda refused: self.progress.publish(HospitalsRefuse(refused)),
        )
        members = gathered.members
        pins.compare(members, last, accepts)
        self._note_withdrawn(pins, {site: one.withdrawn for site, one in members.items()}, last)
        self.about["programs"] = {
            site: {"digest": one.program, "versions": list(one.program_versions)} for site, one in members.items()
        }
        for site, known in members.items():
            self.progress.publish(HospitalJoined(site, known.quarantined))
        self.folder.write_json("roster.json", roster_table(self.study, members))
        return gathered

    def _prepare(self, pins: Pins, last: int, start: Beginning) -> tuple[Rounds, Layout, Checkpoint]:
        forget_from(self.folder.path, last)
        conversation = Conversation(self.grid)
        gathered = self._join(conversation, pins, last)
        members, nodes = gathered.members, gathered.nodes
        task = self.study.build_task()
        shape = next(iter(members.values())).shape
        names = statistic_names(task, shape)  # before there is a network: a large one would lie beside those it makes
        network = start.network(task, shape)
        if self.study.fine_tuning is not None:
            only(deepcopy(network), self.study.fine_tuning.parameters, "fine_tuning.parameters")
        layout = Layout.of(network)
        conversation.largest_array = 4 * layout.length
        conversation.largest_data = BYTES_A_PARAMETER * layout.length + BYTES_BESIDE
        strategy = cast(Strategy, STRATEGIES.build(self.study.strategy))
        vectors = strategy.work().vectors + bool(self.study.defence.votes)
        demand_room(members, vectors * 4 * layout.length + LARGEST_SMALL_BYTES)
        if (bound := getattr(self.grid, "take_at_most", None)) is not None:
            bound(max(LARGEST_PIECE_BYTES, 4 * conversation.largest_array + conversation.largest_data))
        model = start.to_send(network)
        aggregation = cast(Aggregation, AGGREGATIONS.build(self.study.aggregation))
        timeout_s = self.study.federation.round_timeout_s
        cohorts = Cohorts.of(self.study, self.study.federation.names or self.sites or members)
        in_a_round = len(cohorts.of_round(1).sites)
        aggregation.check(in_a_round)
        scoring = cohorts.of_round(cohorts.final_round).sites if cohorts.scored else ()
        demand_countable(self.study, members, in_a_round, scoring)
        exchange = GridExchange(
            conversation, nodes, self.traffic, self.progress, timeout_s, self.study.json, pins.run
        )
        if model is not None:
            give(model, self.study, members, exchange, self._note)
        exchange.charges = Charges(self.folder.path) if self.study.privacy is not None else None
        terms = private_terms(self.study, aggregation, members, layout.length, self.simulated)
        absent = {problem.site: problem.reason for problem in self.problems if problem.site}
        rounds = Rounds(self.study, strategy, aggregation, members, exchange, cohorts, names, terms, absent)
        self.about["watched"] = list(watched(task))
        self.about |= {"headline": task.headline, "parameters": layout.length, "reveals": aggregation.reveals}
        self.about["readers"] = readers_of(aggregation, in_a_round)
        initial = read(network)
        self.about["model"] = getattr(network, "about", None)
        return rounds, layout, self._first_checkpoint(strategy, initial)

    def _first_checkpoint(self, strategy: Strategy, initial: Any) -> Checkpoint:
        with told(self.study.strategy.name, "init"):
            state = strategy.init(initial)
        demand_state(self.study.strategy.name, state)
        first = Checkpoint(0, initial, state)
        if not self.resume:
            save(self.folder.path, first)  # so that a run can be resumed whenever it ends
            if not self.study.rounds:
                self.folder.keep_rounds(0)  # a file without a line says that there were none
            return first
        checkpoint = load(self.folder.path)
        check_fits(checkpoint, first, self.study.rounds, self.folder.path)
        self.folder.keep_rounds(checkpoint.round)
        return checkpoint

    def _note_withdrawn(self, pins: Pins, withdrawn: Mapping[SiteId, int], last: int) -> None:
        """Where privacy is promised no hospital says so, and none is believed that does."""
        if self.study.privacy is None:
            pins.note_withdrawn(withdrawn, last)

    def _note(self, problem: Problem) -> None:
        """Keep and tell what was lost beside a round's replies."""
        problem = replace(problem, after_round=int(self.about["rounds_done"]))
        self.problems.append(problem)
        keep(self.folder.path, problem)
        self.progress.publish(ProblemFound(problem))

    def _note_cut(self, record: Mapping[str, Any]) -> None:
        """Say once that values were cut: few of them still move their parameters otherwise than they should."""
        share = record["range"]["clipped"]
        if share and not any(problem.stage == "range" for problem in self.problems):
            self._note(Problem("range", cut_words(record["round"], share, self.study.aggregation.name)))

    def _note_dropped(self, rounds: Rounds, stage: Stage) -> None:
        """Everybody whose reply at a stage after the rounds was not used, once."""
        last = {drop.site: drop.reason for drop in rounds.exchange.take_dropped()}
        for site, reason in last.items():
            self._note(Problem(stage, reason, site, rounds.exchange.nodes.get(site)))

    def _started(self, rounds: Rounds, checkpoint: Checkpoint) -> None:
        self.folder.write_json("about.json", self.about)
        sites = tuple(rounds.members)
        headline = str(self.about["headline"])
        self.progress.publish(RunStarted(self.study.title, self.study.rounds, sites, headline, checkpoint.round))

    def _reached(self, record: Mapping[str, Any]) -> bool:
        """Whether the model this round started from was good enough for the study to stop."""
        wanted = self.study.federation.stop_at_score
        if wanted is None or record["evaluation"] is None or "taken_back" in record:
            return False
        score = record["evaluation"]["pooled"].get(self.about["headline"])
        return score is not None and score >= wanted

    def _keep(self, rounds: Rounds, checkpoint: Checkpoint, record: Mapping[str, Any]) -> None:
        """All of a finished round on the disk, so that a crash loses at most the round in progress."""
        self.folder.append_round(record)
        if self.study.federation.record_traffic and self.about["reveals"] == "sum":
            self._keep_sum(checkpoint.round, rounds.last)
        save(self.folder.path, checkpoint)
        self.about["rounds_done"] = checkpoint.round
        self._count_time(rounds, record)
        self.folder.write_json("traffic.json", self.traffic.table())
        self.progress.publish(RoundFinished(record))

    def _keep_sum(self, number: int, collected: Collected | None) -> None:
        """What the server learned of a round that it could not read singly, beside the recorded messages."""
        if collected is not None and collected.total is not None:
            total = collected.total
            self.folder.write_sum(number, total.vectors, {"sites": list(collected.sites), "weight": total.weight})

    def _write_privacy(self, rounds: Rounds) -> None:
        """`privacy.json`: what was promised, and what every order to train has spent of it so far.

        Written before the first round too: a run that a crash ends without a word has promised all the same.
        """
        if rounds.terms is not None:
            charged = charged_rounds(
                Charges(self.folder.path).lines(), self.folder.read_rounds(), FREE_OF_CHARGE.values()
            )
            self.folder.write_json("privacy.json", rounds.terms.claims.table(charged))

    def _conclude(
        self, rounds: Rounds, layout: Layout, checkpoint: Checkpoint, start: Beginning, collapse: CollapseWatch
    ) -> None:
        if layout.shapes:
            self.folder.write_model(checkpoint.parameters, layout)
            self.about["model_sha256"] = digest(checkpoint.parameters)
        elif self.about["model"]:
            self.about["model_sha256"] = self.about["model"]["sha256"]
        rounds.exchange.timeout_s = self.study.federation.round_timeout_s * (1 + _rounds_of_fine_tuning(self.study))
        begin = perf_counter()
        rounds.exchange.stage = "final evaluation"
        scores = rounds.evaluate(checkpoint.parameters, final_splits(self.study))
        self.folder.write_json("final.json", scores)
        collapse.look_at_last(checkpoint.round, scores)
        if collapse.is_needed:
            self.about["collapse"] = collapse.table()
        self._note_dropped(rounds, "final evaluation")
        if not any(score is not None for one in scores.values() for score in one["pooled"].values()):
            self._note(Problem("final evaluation", _why_nothing_was_opened(rounds)))
        self.about["time"]["evaluation"] += perf_counter() - begin
        self._hand_out(rounds, checkpoint)
        if self.study.baselines.local:
            self._compare_with_local(rounds, start)
        self.folder.write_json("traffic.json", self.traffic.table())

    @property
    def _handing_out(self) -> HandingOut | None:
        return None if self.signing is None else HandingOut(self.signing, self.folder)

    def _hand_out(self, rounds: Rounds, checkpoint: Checkpoint) -> None:
        """The model to every hospital that is there, where there is one that learned."""
        if self._handing_out is not None and self.study.rounds and checkpoint.parameters.size:
            for lost in self._handing_out.hand_out(self.study, self.about, checkpoint.parameters, rounds.exchange):
                self._note(lost)

    def _compare_with_local(self, rounds: Rounds, start: Beginning) -> None:
        begin = perf_counter()
        task, shape = self.study.build_task(), next(iter(rounds.members.values())).shape
        rounds.exchange.stage = "local models"
        scores = rounds.train_alone(read(start.network(task, shape)))
        self._note_dropped(rounds, "local models")
        spent = perf_counter() - begin
        table = {"local": scores["sites"], "local_all": scores["pooled"], "seconds": {"local": spent}}
        self.folder.write_json("baselines.json", table)

    def _count_time(self, rounds: Rounds, record: Mapping[str, Any]) -> None:
        """Split the exchange's time by what hospitals say they did, as if those that worked shared it evenly."""
        time, seconds = self.about["time"], record["seconds"]
        trained = len(record["contributed"])
        at_once = {"training": trained, "evaluation": max(trained, len(record["site_seconds"]))}
        busy = {kind: spent / self._at_once(at_once[kind]) for kind, spent in rounds.busy_seconds.items()}
        rounds.busy_seconds = dict.fromkeys(rounds.busy_seconds, 0.0)
        for kind, spent in busy.items():
            time[kind] += min(spent, seconds["exchange"])
        time["waiting"] += max(seconds["exchange"] - sum(busy.values()), 0.0)
        time["server"] += seconds["step"]

    def _at_once(self, worked: int) -> int:
        """Of so many hospitals that worked, how many did at a time: as many as the engine has room for."""
        return max(1, min(worked, int(getattr(self.grid, "hospitals_at_once", worked))))

    def _write_study(self) -> None:
        self.folder.write_text("study.toml", self.study.text)
        self.folder.write_json("about.json", self.about)

    def _finish(self, state: Any, reason: str, begin: float) -> None:
        self.about |= {"state": state, "reason": reason, "seconds": perf_counter() - begin}
        if hasattr(self.grid, "repeats"):
            self.about["asked_again"] = int(self.grid.repeats)
        self.folder.write_json("about.json", self.about)
        collapse = str(self.about.get("collapse", {}).get("in_short", ""))
        early = str(self.about["ended_early"])
        self.progress.publish(RunFinished(state, reason, self.folder.path, early, collapse))


def _rounds_of_fine_tuning(study: Study) -> int:
    """How many rounds' time it may take at most."""
    wanted, training = study.fine_tuning, study.training
    if wanted is None:
        return 0
    if wanted.steps is not None:
        return wanted.steps if training.steps is None else -(-wanted.steps // training.steps)
    return wanted.epochs if training.steps is not None else -(-wanted.epochs // training.epochs)


def _why_nothing_was_opened(rounds: Rounds) -> str:
    lost = [site for site in rounds.cohorts.roster if site not in rounds.members]
    if lost:
        return f"no scores were opened without {', '.join(lost)}"
    held = sum(one.cases["validation"] + one.cases["test"] for one in rounds.members.values())
    if counts_are_told(rounds.study) and not held:
        return f"no hospital has a patient for a test: {WITHOUT_TEST}".rstrip(".")
    if rounds.study.split.is_by_hospital:
        return f"no score is told of fewer than {LEAST_SCORED} hospitals, and no more of one part answered"
    return "no score came back that could be used"
