"""Long runs under the schedule, one of each algorithm, and how they compare with a run that nothing happened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from common.files.access import is_there
from experiments.benchmark import Cell
from experiments.benchmarks._drill_campaign import RUN, campaign
from experiments.benchmarks._drill_checks import lost
from experiments.benchmarks._drill_faults import BOUND_S, NOT_MEASURED
from experiments.benchmarks._drill_schedule import Done, schedule
from experiments.benchmarks._drill_studies import SECRET_DRAWS, SITES, drill_study
from experiments.benchmarks._node_drills import VICTIMS, same_model
from experiments.engines._quiet import Outcome, read_outcome, run_quietly

KILLS, SEED = 50, 7
ROUNDS_A_KILL = 2
UNDISTURBED = "undisturbed"


@dataclass(frozen=True)
class Scheduled:
    """A long run. state: of its job, "unfinished" where a later call goes on. usual_s: a round's median."""

    algorithm: str
    kills: tuple[Done, ...]
    asked: int
    state: str
    attempts: int = 0
    rounds: int = 0
    same: bool | None = None
    lost: tuple[str, ...] = ()
    usual_s: float = 0.0

    @property
    def stalls(self) -> Mapping[str, Sequence[float]]:
        """Of each program that was killed, in seconds beyond a usual round."""
        found = {victim: [one for one in self.kills if one.victim == victim] for victim in VICTIMS}
        return {
            victim: [max(0.0, one.stall_s - self.usual_s) for one in kills if one.stall_s is not None]
            for victim, kills in found.items()
        }

    @property
    def too_long(self) -> Mapping[str, int]:
        """How many stalls were longer than is allowed, by program; none of those that had none."""
        counted = {victim: sum(one > BOUND_S for one in stalls) for victim, stalls in self.stalls.items()}
        return {victim: count for victim, count in counted.items() if count}

    @property
    def holds(self) -> bool:
        """Over, with nothing lost."""
        return self.state == "completed" and self.same is not False and not self.lost

    def cells(self) -> Mapping[str, Cell]:
        """For the table."""
        every = [stall for stalls in self.stalls.values() for stall in stalls]
        worst = {victim: max(stalls) for victim, stalls in self.stalls.items() if stalls}
        return {
            "study": self.algorithm,
            "state": self.state,
            "kills": f"{len(self.kills)}/{self.asked}",
            "rounds": self.rounds,
            "begun": self.attempts,
            "model": {True: "same", False: "ANOTHER", None: NOT_MEASURED}[self.same],
            "lost": "; ".join(self.lost) or "nothing",
            "median stall s": round(median(every), 1) if every else None,
            "worst stall s": ", ".join(f"{victim} {stall:.0f}" for victim, stall in worst.items()),
            f"beyond {BOUND_S:g} s": ", ".join(f"{name} {count}" for name, count in self.too_long.items()) or "none",
        }


def scheduled(algorithm: str, place: Path, kills: int, until: float) -> Scheduled:
    """Begin it in `place`, or go on with it, at most until `until`, of monotonic()."""
    study = drill_study(algorithm, place, "nodes", ROUNDS_A_KILL * kills)
    with campaign(study, place, SITES) as begun:
        standing = begun.carry_out(schedule(SEED, kills, SITES), until)
        attempts = len(begun.queue.standing(begun.job).attempts)
        done, rounds = tuple(begun.kills), begun.rounds
    if standing is None or standing.state != "completed":
        state = "unfinished" if standing is None else f"{standing.state}: {standing.reason}"
        return Scheduled(algorithm, done, kills, state, attempts, rounds)
    outcome = read_outcome(place / RUN)
    same = None
    if algorithm not in SECRET_DRAWS:
        same = same_model(outcome, _undisturbed(algorithm, place, ROUNDS_A_KILL * kills))
    found = lost(outcome, place / RUN, SITES, ROUNDS_A_KILL * kills, algorithm == "dpsgd")
    usual_s = median(record["seconds"]["total"] for record in outcome.rounds)
    return Scheduled(algorithm, done, kills, standing.state, attempts, rounds, same, found, usual_s)


def _undisturbed(algorithm: str, place: Path, rounds: int) -> Outcome:
    folder = place / UNDISTURBED
    if is_there(folder, "final.json"):
        return read_outcome(folder)
    return run_quietly(drill_study(algorithm, place, "inline", rounds), folder)
