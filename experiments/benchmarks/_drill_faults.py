"""Every fault that is drilled, each over a run of its own: what is done, and what stock Flower makes of the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import sleep

import tomli_w

from client.node_settings import FILE, read_settings
from common.files.access import private_folder, write
from experiments.benchmarks import _drill_disks as disks
from experiments.benchmarks import _dying_node
from experiments.benchmarks._drill_studies import SITES
from experiments.benchmarks._drill_way import Way, open_way
from experiments.benchmarks._node_drills import Deed, Fault, Victim
from experiments.coordinator.supervision import SupervisedProgram
from experiments.engines._local_grid import hospital_folder
from experiments.engines.nodes import COORDINATOR, Rehearsal
from server.redelivery import ASK_AGAIN_S

SITE = SITES[0]
WHEN = 2
"""Rounds that are finished before the fault."""
MARGIN_S = 10.0
BOUND_S = ASK_AGAIN_S + MARGIN_S
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SKEW_S = 600
NOT_MEASURED = "-"

Arrange = Callable[[Mapping[str, SupervisedProgram]], None]


@dataclass(frozen=True)
class Staged:
    """What is done to one run. arrange: to its nodes before they start."""

    faults: Sequence[Fault | Deed]
    arrange: Arrange = lambda _: None


Stage = Callable[[Path], AbstractContextManager[Staged]]


@dataclass(frozen=True)
class Drill:
    """stage: for the run's folder. lasts_s: how long the fault itself holds the study up, whatever we do.

    peer: what stock Flower 1.41 made of the same where it was measured. loses: hospitals that are to be dropped.
    """

    name: str
    stage: Stage
    lasts_s: float = 0.0
    peer: str = NOT_MEASURED
    algorithm: str = "plain"
    settings: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()
    reason_against: Callable[[], str] = lambda: ""


def _faults(*faults: Fault | Deed) -> Stage:
    return lambda _: nullcontext(Staged(faults))


def _killed(victim: Victim, frozen_s: float = 0.0, away_s: float = 0.0) -> Stage:
    return _faults(Fault(victim, WHEN, site=SITE, frozen_s=frozen_s, away_s=away_s))


@contextmanager
def _cut(cut_s: float, folder: Path) -> Iterator[Staged]:
    with open_way() as way:

        def cut(_: Rehearsal) -> None:
            way.cut()
            sleep(cut_s)
            way.mend()

        yield Staged((Deed("cut", WHEN, cut),), partial(_by_way, way))


@contextmanager
def _slow(delay_s: float, folder: Path) -> Iterator[Staged]:
    with open_way() as way:
        way.delay_s = delay_s
        yield Staged((), partial(_by_way, way))


def _by_way(way: Way, nodes: Mapping[str, SupervisedProgram]) -> None:
    """The first hospital reaches the coordinator through it."""
    own = nodes[SITE].program.place
    settings = {**vars(read_settings(own)), "proxy": way.address}
    write(own, FILE, tomli_w.dumps(settings))


@contextmanager
def _full(party: str, full_s: float, folder: Path) -> Iterator[Staged]:
    """party: "node", "coordinator" (its programs, link and queue) or "run" (what the study writes)."""
    places = {"node": hospital_folder(folder, SITE), "coordinator": folder / COORDINATOR, "run": folder}
    private_folder(folder)

    def fill(_: Rehearsal) -> None:
        for _second in range(int(full_s)):
            disks.fill(places[party])
            sleep(1.0)
        disks.free(places[party])

    whole = disks.small_disk(folder) if party == "run" else nullcontext()
    with whole:
        others = [places["coordinator"], *(hospital_folder(folder, site) for site in SITES)] if party == "run" else []
        with _mounted([places[party], *others] if party != "run" else others):
            yield Staged((Deed("full", WHEN, fill),))


@contextmanager
def _mounted(places: Sequence[Path]) -> Iterator[None]:
    if not places:
        yield
        return
    with disks.small_disk(places[0]), _mounted(places[1:]):
        yield


def _skewed(ahead_s: int) -> Stage:
    def arrange(nodes: Mapping[str, SupervisedProgram]) -> None:
        program = nodes[SITE].program
        faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{ahead_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        nodes[SITE].program = replace(program, environment={**program.environment, **faked})

    return lambda _: nullcontext(Staged((), arrange))


def _no_faketime() -> str:
    return "" if FAKETIME.exists() else "Debian's faketime is not installed"


def _dies_at(step: str, nth: int) -> Stage:
    """The node ends at once as it takes a step for the nth time, as by a loss of power; its disk stays as it is."""

    def arrange(nodes: Mapping[str, SupervisedProgram]) -> None:
        program = nodes[SITE].program
        command = (sys.executable, "-m", _dying_node.__name__, str(program.place), step, str(nth))
        nodes[SITE].program = replace(program, command=command)

    return lambda _: nullcontext(Staged((), arrange))


GOES_ON = ("federation.dropout_wait_s=0", "federation.least_in_sum=2", "federation.round_timeout_s=30")
DRILLS: tuple[Drill, ...] = (
    Drill("kill -9 of a node", _killed("node"), peer="53 s until it is let in again; its hospital was dropped"),
    Drill(
        "kill -9 of a node, in training",
        _faults(Fault("node", WHEN, 0.4, SITE)),
        peer="round of 65 s, its hospital dropped",
    ),
    Drill("kill -9 of the server app", _killed("server app"), peer="run failed"),
    Drill(
        "kill -9 of the SuperLink",
        _killed("superlink"),
        peer="run failed; with our flags 10 s longer",
    ),
    Drill("SuperLink away for 90 s", _killed("superlink", away_s=90.0), 90.0),
    Drill("kill -9 of the front", _killed("front")),
    Drill("kill -9 of the executor", _killed("superexec"), peer="run failed within 10 s"),
    Drill("kill -9 of the supervisor", _killed("supervisor")),
    Drill("network of a node cut for 20 s", partial(_cut, 20.0), 30.0, "a reply lost cost 182 s and a hospital"),
    Drill("network of a node cut for 100 s", partial(_cut, 100.0), 110.0, "its hospital was dropped after 41 s"),
    Drill("disk of a node full for 20 s", partial(_full, "node", 20.0), 20.0, reason_against=disks.reason_against),
    Drill(
        "disk of the coordinator full for 20 s",
        partial(_full, "coordinator", 20.0),
        20.0,
        reason_against=disks.reason_against,
    ),
    Drill("disk of the run full for 20 s", partial(_full, "run", 20.0), 20.0, reason_against=disks.reason_against),
    Drill("clock of a node 10 min ahead", _skewed(SKEW_S), reason_against=_no_faketime),
    Drill("clock of a node 10 min behind", _skewed(-SKEW_S), reason_against=_no_faketime),
    Drill("late: a node stands still for 40 s", _killed("node", frozen_s=40.0), 40.0),
    Drill("slow: 4 KiB in 50 ms", partial(_slow, 0.05)),
    Drill(
        "missing: a node away for good",
        _killed("node", away_s=3600.0),
        120.0,
        "waited for ever where all are demanded",
        settings=GOES_ON,
        loses=(SITE,),
    ),
    Drill(
        "power lost between ledger and reply",
        _dies_at("keep", 4),
        algorithm="dpsgd",
        peer="no ledger",
    ),
    Drill("power lost between reply and push", _dies_at("push", 4), algorithm="dpsgd", peer="no ledger"),
)
