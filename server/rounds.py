"""The loop: select, exchange, combine, step, record. One leg a round; evaluation rides on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, cast

import numpy as np

from common.data.names import SiteId
from common.errors import DivergedError, TooFewHospitalsError, WireError
from common.learning.abilities import presented
from common.learning.score_names import final_names
from common.study.fine_tuning import FINE_TUNED
from common.study.schedule import evaluated_split, evaluated_splits, final_round, last_vote
from common.study.study import Study
from common.sums.aggregation import Aggregation
from common.sums.ballots import NAMES, VOTES, Votes
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts
from common.sums.exchange import Collected, Expected, Payload
from common.sums.mean import Mean, Statistics, excessive, merge
from common.sums.update import Update, Vector
from common.wire.boundary import guarded
from common.wire.decoding import statistics_from_numbers
from common.wire.train_requests import Order, to_payload
from server.checkpoint import Checkpoint, Fallback
from server.compressed_rounds import collect_compressed, hospitals_keep_state
from server.defence import (
    TakenBack,
    keep_bounded,
    lost,
    norm_table,
    too_long,
    verdict,
    voted_out,
    votes_of,
    votes_table,
)
from server.dropout_wait import Waiting
from server.evaluation_details import details
from server.exchange import Dropped, GridExchange
from server.foreign_strategy import demand_model, told
from server.members import Member
from server.opening_proofs import Owed, hand_over, owed_after
from server.progress import RoundStarted
from server.public_numbers import training_sizes
from server.server_half import own_state
from server.server_privacy import PrivateTerms
from server.small_hospitals import told_alone
from server.strategy import Contributions, State, Strategy, in_round
from server.told_statistics import no_training_told, training_told, under, values
from server.traffic import TO_HOSPITAL, TO_SERVER
from server.value_range import Ranged, collect_in_range, factor_of, kept_factor

LONGEST_S = 1e9
"""Of what a hospital may say it computed."""


@dataclass
class Rounds:
    """One run's rounds, from any checkpoint. Everything random depends on (seed, round) only.

    absent: why hospitals of the study take no part since the start, as far as that is known.
    """

    study: Study
    strategy: Strategy
    aggregation: Aggregation
    members: Mapping[SiteId, Member]
    exchange: GridExchange
    cohorts: Cohorts
    score_names: tuple[str, ...] = ()
    terms: PrivateTerms | None = None
    absent: Mapping[SiteId, str] = field(default_factory=dict)
    last: Collected | None = None
    busy_seconds: dict[str, float] = field(default_factory=lambda: {"training": 0.0, "evaluation": 0.0})

    def advance(self, before: Checkpoint) -> tuple[Checkpoint, dict[str, Any]]:
        """Round `before.round + 1`: the next checkpoint and the round's record.

        Raises TooFewHospitalsError, naming each hospital that failed and why, where fewer than the study's
        minimum replied with something usable. The checkpoint before stays good.
        """
        number, begin = before.round + 1, perf_counter()
        self.exchange.round, self.exchange.timeout_s = number, self.study.federation.round_timeout_s
        self.exchange.taken_back = before.taken_back
        sent, received = self._bytes()
        cohort = self.cohorts.of_round(number)
        self.exchange.progress.publish(RoundStarted(number, cohort.sites))
        owed = hand_over(self.exchange, before.owed, self.members.keys() & set(cohort.sites))
        waiting = Waiting(self.study.federation, cohort, self.exchange)
        ranged = self._ranged(before, cohort, waiting)
        exchanged = perf_counter()
        evaluation = self._evaluation(ranged.collected, before)
        votes, gone = self._judged(before, ranged)
        dropped = [*dict.fromkeys(self.exchange.take_dropped()), *self._lacking(cohort)]
        self._demand_enough(number, cohort, ranged.collected, dropped)
        after, gone = self._after(before, ranged, owed, gone)
        self.last = ranged.collected
        record = self._record(number, cohort, ranged, dropped) | {
            "attempts": waiting.attempts,
            "evaluation": evaluation,
            **votes_table(votes, before),
            **norm_table(self.study, ranged.collected),
            **({} if gone is None else gone.record(before)),
        }
        sent_now, received_now = self._bytes()
        record["bytes"] = {"sent": sent_now - sent, "received": received_now - received}
        now = perf_counter()
        record["seconds"] = {"total": now - begin, "exchange": exchanged - begin, "step": now - exchanged}
        return after, record

    def _ranged(self, before: Checkpoint, cohort: Cohort, waiting: Waiting) -> Ranged:
        """The round's sum, in a range that cuts few of its values, of groups that are whole."""
        return collect_in_range(
            lambda factor: waiting.collect(partial(self._collect, before, before.round + 1, cohort, factor)),
            factor_of(before.state),
            self.terms is None or self.terms.clipping_is_noised,
            lambda: waiting.is_too_narrow,
        )

    def _judged(self, before: Checkpoint, ranged: Ranged) -> tuple[Votes | None, TakenBack | None]:
        """What hospitals voted, where they were asked, and whether a round is taken back for it or for its sum."""
        if ranged.collected.total is None:
            return None, None
        votes, why = (None, "") if before.fallback is None else self._voted(ranged.collected)
        if why:
            return votes, voted_out(before, before.round + 1, why)
        largest = training_sizes(self.study, self.members)
        reach = max((float(size) for size in largest.values()), default=1.0) * ranged.factor
        why = too_long(self.study, ranged.collected, reach)
        return votes, lost(before, before.round + 1, why) if why else None

    def _voted(self, collected: Collected) -> tuple[Votes | None, str]:
        """The votes, and why they take a model back, if they do."""
        try:
            votes = votes_of(collected, self.exchange)
        except WireError as error:
            return None, f"no honest votes add up to what came: {error}".rstrip(".")
        return votes, verdict(self.study, votes)

    def judge_last(self, before: Checkpoint) -> tuple[Checkpoint, dict[str, Any]]:
        """The vote on the last round's model, in a round in which nobody trains, and its record; {} without one."""
        if before.fallback is None:
            return before, {}
        number = last_vote(self.study)
        order = Order(self.study.json, number, before.parameters, None, reference=before.fallback.parameters)
        self.exchange.stage = "last vote"
        collected = self._scored(replace(order, taken_back=before.taken_back), (), ())
        votes, why = self._voted(collected)
        if self.aggregation.reveals == "sum" and collected.total is None:
            why = "no votes on it could be opened"
        table = votes_table(votes, before)
        if not why:
            return replace(before, fallback=None), table
        gone = voted_out(before, number, why)
        return gone.after, table | gone.record(before)

    def _after(
        self, before: Checkpoint, ranged: Ranged, owed: tuple[Owed, ...], gone: TakenBack | None
    ) -> tuple[Checkpoint, TakenBack | None]:
        """The strategy's step, and beside it what the next rounds need to know of this one."""
        try:
            after = self._step(before, ranged.collected) if gone is None else gone.after
        except DivergedError as error:
            if not self.study.defence.votes:
                raise
            gone = lost(before, before.round + 1, str(error).split(":")[0])
            after = gone.after
        after = replace(after, state={**after.state, **kept_factor(ranged.factor)})
        if hospitals_keep_state(self.study, self.strategy.work()):
            after = replace(after, owed=owed_after(owed, after.round, ranged.collected))
        return after, gone

    def _record(self, number: int, cohort: Cohort, ranged: Ranged, dropped: list[Dropped]) -> dict[str, Any]:
        collected = ranged.collected
        return {
            "round": number,
            "selected": list(cohort.sites),
            "contributed": list(collected.sites),
            "dropped": [{"site": d.site, "leg": d.leg, "reason": d.reason} for d in dropped],
            **(training_told(collected) if self.terms is None else no_training_told(collected)),
            "range": {"factor": ranged.factor, "clipped": ranged.clipped, "repeats": ranged.repeats},
            "site_seconds": self._seconds(collected),
        }

    def _lacking(self, cohort: Cohort) -> list[Dropped]:
        """Those of a round that could not be asked, since they take no part in this run."""
        lacking = [site for site in cohort.sites if site not in self.members]
        return [Dropped(site, "hello", self.absent.get(site, "it did not come up at the start")) for site in lacking]

    def _bytes(self) -> tuple[int, int]:
        """Sent to hospitals and received from them so far."""
        traffic = self.exchange.traffic
        return traffic.total(TO_HOSPITAL), traffic.total(TO_SERVER)

    def evaluate(self, parameters: Vector, splits: tuple[str, ...]) -> dict[str, Any]:
        """Scores of a model at every hospital and pooled, by split."""
        order = Order(self.study.json, final_round(self.study), parameters, None, evaluate=splits)
        order = replace(order, taken_back=self.exchange.taken_back)
        collected = self._scored(order, splits, self.final_names)
        self._seconds(collected)
        return {split: self._final_scores(collected, split) for split in splits}

    def _scored(self, order: Order, splits: tuple[str, ...], names: tuple[str, ...]) -> Collected:
        """What hospitals make of a model after the rounds."""
        cohort = self.cohorts.of_round(order.round)
        asked = set(cohort.sites)
        requests = {site: to_payload(order, self.exchange.run) for site in self.members if site in asked}
        if self.aggregation.reveals == "sum":
            self.exchange.round = order.round
            expected = self._expected(0, 0, splits, cohort, names, order.reference is not None)
            collected = Waiting(self.study.federation, cohort, self.exchange).collect(
                lambda: self.aggregation.collect(self.exchange, requests, frozenset(requests), expected)
            )
            self.exchange.forgive(collected.sites)
        else:
            replies = self.exchange.ask("evaluate", requests)
            collected = Collected(None, (), None, replies)
        return collected

    @property
    def final_names(self) -> tuple[str, ...]:
        """Of the last model's statistics."""
        return final_names(self.study, self.score_names)

    def _final_scores(self, collected: Collected, split: str) -> dict[str, Any]:
        """Scores, and of all patients together the intervals and curves that come of the same sums."""
        if self.aggregation.reveals == "sum":
            parts = [] if collected.total is None else [_in_their_unit(under(split, collected.total.statistics))]
            sites = {}
        else:
            sites = self._usable(collected.replies, split)
            parts = [*sites.values()]
        told = self._told_alone(sites, split)
        beside = details(self.study, merge(parts), self._is_single("test" if split == FINE_TUNED else split))
        return {"sites": told, "pooled": self._shown(merge(parts)), **beside}

    def _is_single(self, split: str) -> bool:
        """Whether every patient of a split is known to have one case: numbers may not be told."""
        known = self.members.values()
        return all(one.cases[split] == one.patients[split] for one in known) and any(
            one.cases[split] for one in known
        )

    def train_alone(self, parameters: Vector) -> dict[str, Any]:
        """Every hospital's own model, trained on its own cases alone: its scores on its own test cases."""
        order = Order(self.study.json, self.study.rounds, parameters, None, evaluate=("test",))
        self.exchange.timeout_s = self.study.federation.round_timeout_s * self.study.rounds
        return self.scores(
            self.exchange.ask("local", {site: to_payload(order, self.exchange.run) for site in self.members}), "test"
        )

    def _split_scores(self, collected: Collected, split: str) -> dict[str, Any]:
        """As `scores`; where only sums are revealed, of all hospitals together and of no single one."""
        if self.aggregation.reveals == "each":
            return self.scores(collected.replies, split)
        total = {} if collected.total is None else _in_their_unit(under(split, collected.total.statistics))
        return {"sites": {}, "pooled": self._shown(total)}

    def _shown(self, statistics: Statistics) -> dict[str, float | None]:
        return presented(self.study.build_task(), values(statistics))

    def scores(self, replies: Mapping[SiteId, Payload], split: str) -> dict[str, Any]:
        """Every hospital's scores in `replies`, and those of all their cases together."""
        sites = self._usable(replies, split)
        return {
            "sites": self._told_alone(sites, split),
            "pooled": self._shown(merge(sites.values())),
        }

    def _told_alone(self, sites: Mapping[SiteId, Statistics], split: str) -> dict[SiteId, dict[str, float | None]]:
        """Of each hospital that is large enough for a score of its own."""
        alone = told_alone(self.study, self.members, split)
        return {site: self._shown(scores) for site, scores in sites.items() if site in alone}

    def _usable(self, replies: Mapping[SiteId, Payload], split: str) -> dict[SiteId, dict[str, Mean]]:
        """What hospitals sent, each checked; whoever sent something else is dropped."""
        sites: dict[SiteId, dict[str, Mean]] = {}
        for site, reply in replies.items():
            try:
                sites[site] = guarded(partial(statistics_from_numbers, split, reply.numbers))
            except WireError as error:
                self.exchange.drop(site, "evaluate", str(error))
        for site in sorted(excessive(sites)):
            self.exchange.drop(site, "evaluate", "its scores are so large that no sum can hold them.")
            del sites[site]
        return sites

    def _collect(self, before: Checkpoint, number: int, cohort: Cohort, factor: int) -> Collected:
        work, control = self.strategy.work(), self.strategy.broadcast(own_state(before.state))
        splits = evaluated_splits(self.study, number)
        reference = None if before.fallback is None else before.fallback.parameters
        requests: dict[SiteId, Payload] = {}
        training = set(cohort.sites)
        asked = training | self._asked_for_scores(number, bool(splits), reference is not None)
        for site in self.members:
            contributes = site in training
            if site in asked:
                order = Order(
                    self.study.json,
                    number,
                    before.parameters,
                    work if contributes else None,
                    control[0] if contributes and control else None,
                    splits,
                    self._clip_norm(before),
                    reference,
                    before.taken_back,
                )
                requests[site] = to_payload(order, self.exchange.run)
        asks_votes = reference is not None
        expected = self._expected(len(before.parameters), work.vectors, splits, cohort, None, asks_votes)
        expected = replace(expected, range_factor=factor)
        if self.study.federation.compression is None:
            collected = self.aggregation.collect(self.exchange, requests, frozenset(cohort.sites), expected)
        else:
            collected = collect_compressed(self.study, self.aggregation, self.exchange, requests, expected)
        return keep_bounded(self.study, collected, self.exchange)

    def _asked_for_scores(self, number: int, scores: bool, votes: bool) -> set[SiteId]:
        """Beside those that train; where sums alone are revealed, nobody."""
        if self.aggregation.reveals == "sum" or not (scores or votes):
            return set()
        return set(self.members if votes else self.cohorts.scoring(number))

    def _expected(
        self,
        length: int,
        vectors: int,
        splits: tuple[str, ...],
        cohort: Cohort,
        scores: tuple[str, ...] | None = None,
        votes: bool = False,
    ) -> Expected:
        largest = {site: float(size) for site, size in training_sizes(self.study, self.members).items()}
        names = [f"{split}/{name}" for split in splits for name in (self.score_names if scores is None else scores)]
        names += [f"{VOTES}/{name}" for name in NAMES] if votes else []
        names += [f"seconds/{kind}" for kind in self.busy_seconds if kind != "training" or self.terms is None]
        step = None
        if not vectors:
            largest = {site: max(size, 1.0) for site, size in largest.items()}  # nobody may be left to train on
        if vectors and self.terms is not None:
            largest, step = dict(self.terms.weights), self.terms.step
        if vectors:
            names += ["training/loss"] if self.terms is None else self.terms.statistics
            names += [f"training/{name}" for name in self.strategy.work().beside]
        if cohort.groups and self.study.federation.on_dropout != "other-groups":
            cohort = cohort.demanding(len(cohort.sites))
        return Expected(length, vectors, largest, tuple(sorted(names)), cohort, step)

    def _clip_norm(self, before: Checkpoint) -> float:
        central = self.terms.central if self.terms is not None else None
        return central.clip_norm(before.state) if central is not None else 0.0

    def _evaluation(self, collected: Collected, before: Checkpoint) -> dict[str, Any] | None:
        """Of the model that the round starts from, which is that of the last round that counts."""
        split = evaluated_split(self.study, before.round + 1)
        if split is None:
            return None
        return {"of_round": before.model_round, "split": split, **self._split_scores(collected, split)}

    def _demand_enough(self, number: int, cohort: Cohort, collected: Collected, dropped: list[Dropped]) -> None:
        if len(collected.sites) >= cohort.least and collected.total is not None:
            return
        sites_by_reason: dict[str, list[SiteId]] = {}
        for site, reason in {d.site: d.reason for d in dropped}.items():
            sites_by_reason.setdefault(reason, []).append(site)
        told = [f"{', '.join(sites)}: {reason}" for reason, sites in sites_by_reason.items()]
        reasons = "; ".join(told) or "no hospital was dropped"
        groups = " in whole groups, after waiting for those lost (federation.dropout_wait_s)" * bool(cohort.groups)
        raise TooFewHospitalsError(
            f"round {number} stopped: {len(collected.sites)} hospitals contributed and the study demands "
            f"{cohort.least} (federation.least_in_sum){groups}.",
            f"{reasons}.",
        )

    def _step(self, before: Checkpoint, collected: Collected) -> Checkpoint:
        assert collected.total is not None
        each = collected.each if self.strategy.needs == "each" else None
        population = float(sum(training_sizes(self.study, self.members).values()))
        total, kept = collected.total, cast(State, {})
        if self.terms is not None and self.terms.central is not None:
            total, kept = self.terms.central.release(before.round + 1, before.state, total)
        contributions = Contributions(_told_of_training(total), each, population)
        strategy = in_round(self.strategy, self.study.server_schedule, before.round + 1)
        with told(self.study.strategy.name, "step"):
            state, parameters = strategy.step(own_state(before.state), before.parameters, contributions)
        demand_model(self.study.strategy.name, state, parameters, before.parameters)
        if not np.isfinite(parameters).all():
            raise DivergedError(
                f"the model is no longer finite after round {before.round + 1}: training diverged. "
                "Lower the learning rate; the checkpoint holds the last good model."
            )
        fallback = Fallback(before.parameters, before.state) if self.study.defence.votes else None
        after = Checkpoint(before.round + 1, parameters, {**state, **kept}, (), fallback)
        return replace(after, taken_back=before.taken_back, times_taken_back=before.times_taken_back)

    def _seconds(self, collected: Collected) -> dict[SiteId, float]:
        """Seconds each hospital says it computed; they are shown, and nothing depends on them."""
        seconds: dict[SiteId, float] = {}
        if self.aggregation.reveals == "sum" and collected.total is not None:
            for kind, mean in under("seconds", collected.total.statistics).items():
                self.busy_seconds[kind] += max(mean.value, 0.0) * mean.weight if mean.weight_units else 0.0
        for site, reply in collected.replies.items():
            for kind in self.busy_seconds:
                value = reply.numbers.get(f"seconds/{kind}", 0.0)
                spent = float(value) if isinstance(value, (int, float)) and 0 <= value <= LONGEST_S else 0.0
                self.busy_seconds[kind] += spent
                seconds[site] = seconds.get(site, 0.0) + spent
        return seconds


def _told_of_training(total: Update) -> Update:
    """With the statistics of training alone, by the names that hospitals gave them."""
    of_training = under("training", total.statistics)
    return replace(total, statistics=of_training) if of_training else total


def _in_their_unit(means: Mapping[str, Mean]) -> dict[str, Mean]:
    """Without the name in the unit that no hospital has its distances in: mm, or voxels where spacing is unknown."""
    empty = {name for name, mean in means.items() if not mean.weight}
    left_out = {name for name in empty if name.endswith("_voxels") and name.removesuffix("_voxels") in means}
    left_out |= {name for name in empty if f"{name}_voxels" in means.keys() - empty}
    return {name: mean for name, mean in means.items() if name not in left_out}
