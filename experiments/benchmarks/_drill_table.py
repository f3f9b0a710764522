"""One fault after the other, each over a study of its own, and what became of it in a row of words."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from time import monotonic

from common.errors import EngineError, WardroundError
from common.files.access import private_folder
from common.study.study import Study
from experiments.benchmark import Cell
from experiments.benchmarks._drill_campaign import RUN, campaign
from experiments.benchmarks._drill_checks import lost
from experiments.benchmarks._drill_faults import BOUND_S, NOT_MEASURED, SITE, Drill
from experiments.benchmarks._drill_schedule import Kill
from experiments.benchmarks._drill_studies import SECRET_DRAWS, SITES, drill_study
from experiments.benchmarks._node_drills import LONGEST_S, Drilled, Fault, Killed, drill, same_model
from experiments.engines._quiet import Outcome, read_outcome, run_quietly
from experiments.engines.nodes import COORDINATOR, LOGS

ROUNDS = 6
LONGEST_WORDS = 90
SUPERVISOR_LOG = "supervisor.log"
WARNED = re.compile(r"(?:WARNING|ERROR) (.*)")


@dataclass(frozen=True)
class Row:
    """What became of a fault. stall_s: beyond what the fault itself lasts and a round takes. said: to people."""

    drill: Drill
    rounds: int = 0
    same: bool | None = None
    lost: tuple[str, ...] = ()
    stall_s: float | None = None
    dropped: tuple[str, ...] = ()
    attempts: int = 0
    exits: str = ""
    said: str = ""

    @property
    def holds(self) -> bool:
        """Nothing lost, the same model, and no longer stall than is allowed."""
        stalled = self.stall_s is not None and self.stall_s > BOUND_S
        return self.rounds == ROUNDS and self.same is not False and not self.lost and not stalled

    def cells(self) -> Mapping[str, Cell]:
        """For the table."""
        ratio = None if self.stall_s is None else round(self.stall_s / BOUND_S, 2)
        return {
            "fault": self.drill.name,
            "rounds": f"{self.rounds}/{ROUNDS}",
            "model": {True: "same", False: "ANOTHER", None: NOT_MEASURED}[self.same],
            "lost": "; ".join(self.lost) or "nothing",
            "dropped": ", ".join(self.dropped) or "nobody",
            "begun": self.attempts,
            "stall s": self.stall_s,
            "bound s": BOUND_S,
            "ratio": ratio,
            "exits": self.exits,
            "people are told": self.said,
            "stock Flower": self.drill.peer,
        }


def row_of(one: Drill, place: Path) -> Row:
    """Drill it in a folder of its own. What cannot be drilled here says why."""
    reason = one.reason_against()
    if reason:
        return Row(one, said=f"not drilled: {reason}")
    folder = private_folder(place) / RUN
    try:
        study = drill_study(one.algorithm, place.parent, "nodes", ROUNDS, *one.settings)
        with one.stage(folder) as staged:
            if any(isinstance(fault, Fault) and fault.victim == "supervisor" for fault in staged.faults):
                drilled = _of_campaign(study, place)
            else:
                with _heard(place):
                    drilled = drill(study, folder, staged.faults, "drill", staged.arrange)
            return _judged(one, drilled, folder, place)
    except WardroundError as error:
        return Row(one, said=f"FAILED: {error}"[: 3 * LONGEST_WORDS])


def _of_campaign(study: Study, place: Path) -> Drilled:
    """A schedule of one kill of the supervisor."""
    begin = monotonic()
    with campaign(study, place, SITES) as begun:
        standing = begun.carry_out([Kill(0, "supervisor", "", 0.0, False)], begin + LONGEST_S)
        if standing is None or standing.state != "completed":
            raise EngineError(f"the run ended as {standing}")
        kill, fault = begun.kills[0], Fault("supervisor", 1)
    killed = (Killed(fault, 0.0, kill.stall_s),)
    ends = {"supervisor": -9}
    outcome = read_outcome(place / RUN)
    return Drilled(outcome, killed, len(standing.attempts), monotonic() - begin, (), (), ends, standing.code)


def _judged(one: Drill, drilled: Drilled, folder: Path, place: Path) -> Row:
    charged = one.algorithm == "dpsgd"
    sites = [site for site in SITES if site not in one.loses]
    same = None
    if one.algorithm not in SECRET_DRAWS and not one.loses:
        same = same_model(drilled.outcome, undisturbed(one.algorithm, place.parent))
    found = lost(drilled.outcome, folder, sites, ROUNDS, charged)
    found += tuple(f"{fault} was not done" for fault in drilled.missed)
    ends = ", ".join(f"{name} {code}" for name, code in drilled.ends.items())
    dropped = tuple(dict.fromkeys(one.split(": ")[1] for one in drilled.dropped))
    return Row(
        one,
        len(drilled.outcome.rounds),
        same,
        found,
        _stall_s(one, drilled),
        dropped,
        drilled.attempts,
        f"job {drilled.code}" + (f"; {ends}" if ends else ""),
        _said(folder),
    )


@cache
def undisturbed(algorithm: str, place: Path) -> Outcome:
    """The same study inline."""
    return run_quietly(drill_study(algorithm, place, "inline", ROUNDS), place / f"undisturbed-{algorithm}")


def _stall_s(one: Drill, drilled: Drilled) -> float | None:
    """Of the worst fault, or else the longest round; less the fault itself and a round as others take."""
    usual_s = float(median(record["seconds"]["total"] for record in drilled.outcome.rounds))
    after = [killed.next_round_after_s for killed in drilled.killed if killed.next_round_after_s is not None]
    longest_s: float = max(after, default=max(record["seconds"]["total"] for record in drilled.outcome.rounds[1:]))
    return round(max(0.0, longest_s - one.lasts_s - usual_s), 1)


@contextmanager
def _heard(place: Path) -> Iterator[None]:
    """What the supervisor says in this process goes into a file of its own, on a disk that nobody fills."""
    handler = logging.FileHandler(place / SUPERVISOR_LOG, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("wardround.supervisor")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _said(folder: Path) -> str:
    """The first warning of the hospital's node, or else of the supervisor."""
    logs = folder / COORDINATOR / LOGS
    for file in (logs / f"{SITE}.log", folder.parent / SUPERVISOR_LOG, logs / "server-up.log"):
        if file.exists():
            words = next(_warnings(file.read_text(encoding="utf-8", errors="replace").splitlines()), "")
            if words:
                return words[:LONGEST_WORDS]
    return ""


def _warnings(lines: Iterable[str]) -> Iterator[str]:
    return (found[1] for line in lines if (found := WARNED.search(line)))
