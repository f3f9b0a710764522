"""Which program is killed when, from a seed: the same seed gives the same kills, however often a drill is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common.files.access import if_there
from common.files.json_files import read_json, write_json
from common.seeding import generator
from experiments.benchmarks._node_drills import VICTIMS, Victim

LONGEST_DELAY_S = 4.0
CLOSE = 0.2
"""Of all kills: so many come before the study has gone on after the one before."""
DONE = "kills.json"


@dataclass(frozen=True)
class Kill:
    """One kill -9. close: soon after the one before, and not only once another round is finished. site: of a node."""

    number: int
    victim: Victim
    site: str
    delay_s: float
    close: bool


@dataclass(frozen=True)
class Done:
    """A kill that was done. rounds: finished before it. at: seconds since the epoch.

    stall_s: until the next round was finished; None where a later kill came before.
    """

    number: int
    victim: str
    site: str
    rounds: int
    at: float
    stall_s: float | None = None


def schedule(seed: int, kills: int, sites: Sequence[str]) -> tuple[Kill, ...]:
    """Every program as likely as every other; a longer schedule begins with the shorter one."""
    rng = generator(seed, "kills of a drill")
    made = []
    for number in range(kills):
        victim, site = VICTIMS[int(rng.integers(len(VICTIMS)))], sites[int(rng.integers(len(sites)))]
        delay_s, close = float(rng.uniform(0, LONGEST_DELAY_S)), bool(rng.random() < CLOSE)
        made.append(Kill(number, victim, site if victim == "node" else "", round(delay_s, 3), close and number > 0))
    return tuple(made)


def done(folder: Path) -> tuple[Done, ...]:
    """The kills of earlier calls, in order."""
    return tuple(Done(**line) for line in if_there(read_json, folder, DONE) or ())


def keep(folder: Path, kills: Sequence[Done]) -> None:
    """In one piece: whoever is interrupted finds the kills before."""
    write_json(folder, DONE, [asdict(one) for one in kills])
