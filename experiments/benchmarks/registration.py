"""Rigid, affine and deformable registration beside SimpleITK, elastix, ANTsPy, DIPY and greedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.console import Console

from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _registration_problems as problems
from experiments.benchmarks._data import find
from experiments.benchmarks._registration_problems import Problem
from experiments.benchmarks._registration_programs import PEERS_PYTHON, Outcome, Program, our_program, peer, run

Row = dict[str, Cell]
LINEAR_PEERS = ("SimpleITK", "elastix", "ANTsPy", "DIPY", "greedy")
DENSE_PEERS = ("SimpleITK", "elastix", "ANTsPy", "ANTsPy CC", "DIPY", "greedy")
SHARE_OF_ANTS = 0.5
NOTES = (
    "Known transforms: mean distance in mm, over the head, to where the true one takes it. Hippocampi: mean Dice "
    "over labels, and the share of voxels where space folds; the labels were seen by no program.",
    "rigid 2D: 6 slices of 1 mm. affine 3D: 3 transforms, 2 mm. deformed 3D: one field of 4.4 mm on average, 2 mm. "
    "Other contrast: fluid bright, white matter dark, by a curve that is no line. Hippocampi: 6 pairs of patients.",
    "CPU s: of the search, one thread, a process for each program, after one on small blobs that does not count. "
    "accuracy, CPU to best: divided by that of the most exact peer.",
    f"Other programs run in the Python that {PEERS_PYTHON} names; what it lacks, or what failed there, has dashes.",
)


@dataclass(frozen=True)
class Work:
    """A kind of problem. ours: transform and similarity of each row of ours, the one to judge by first."""

    name: str
    kind: str
    contrast: str
    problems: Sequence[Problem]
    ours: Sequence[tuple[str, str]]

    @property
    def programs(self) -> list[Program]:
        """Ours, then the others."""
        mine = [our_program(f"ours, {one}, {other}", self.kind, one, other) for one, other in self.ours]
        names = LINEAR_PEERS if self.kind in {"rigid", "affine"} else DENSE_PEERS
        return [*mine, *(peer(name, self.kind, self.contrast) for name in names)]

    @property
    def figure(self) -> str:
        """What is compared: an error is better low, Dice high."""
        return "Dice" if self.kind == "both" else "error mm"


def works() -> Iterator[Work]:
    """All of them, quick ones first."""
    brain = problems.brain(find("brain-3d-labelled"))
    for same, word, first in ((True, "same", "cc"), (False, "other", "mi")):
        also = ["mi"] if same else ["nmi"]
        chosen = [first, *also]
        flat = list(problems.flat_problems(brain, same=same))
        yield Work(f"rigid 2D, {word} contrast", "rigid", word, flat, [("rigid", name) for name in chosen])
        solid = list(problems.affine_problems(brain, same=same))
        yield Work(f"affine 3D, {word} contrast", "affine", word, solid, [("affine", name) for name in chosen])
    dense = [("displacement", "local_cc"), ("displacement", "ssd"), ("velocity", "local_cc")]
    yield Work("deformed 3D", "displacement", "same", [problems.deformed_problem(brain)], dense)
    pairs = list(problems.hippocampus_problems(find("hippocampus")))
    yield Work(
        "hippocampi 3D", "both", "same", pairs, [("displacement", "cc"), ("velocity", "cc"), ("bspline", "cc")]
    )


def measure(console: Console) -> Measured:
    """Every program on every problem, one at a time."""
    rows: list[Row] = []
    targets: list[Target] = []
    for work in works():
        with console.status(work.name):
            here = [row_of(work, program, run(program, work.problems)) for program in work.programs]
        best = _best_peer(here, work)
        rows += [_beside(row, best, work.figure) for row in here]
        targets += _targets(here, best, work)
    return Measured("Registration", rows, targets, NOTES)


def row_of(work: Work, program: Program, outcomes: Sequence[Outcome | None]) -> Row:
    """Means over the problems; dashes unless all could be solved, so that nobody is judged by the easy ones."""
    row: Row = {"work": work.name, "program": program.name, "error mm": None, "Dice": None, "folded %": None,
                "CPU s": None, "settings": "not measured"}  # fmt: skip
    solved = [outcome for outcome in outcomes if outcome is not None]
    if solved and len(solved) == len(outcomes):
        row |= {name: fmean(one.scores[name] for one in solved) for name in solved[0].scores}
        row["settings"] = solved[0].settings
    elif solved:
        row["settings"] = f"failed on {len(outcomes) - len(solved)} of {len(outcomes)}"
    return row


def _best_peer(rows: Sequence[Row], work: Work) -> Row | None:
    peers = [row for row in rows if not str(row["program"]).startswith("ours") and row["CPU s"] is not None]
    sign = -1 if work.figure == "Dice" else 1
    return min(peers, key=lambda row: sign * _number(row, work.figure), default=None)


def _beside(row: Row, best: Row | None, figure: str) -> Row:
    """With two more columns before the settings."""
    known = best is not None and row["CPU s"] is not None
    ratios: Row = {
        f"{word} to best": _number(row, name) / _number(best, name) if known and best is not None else None
        for word, name in (("accuracy", figure), ("CPU", "CPU s"))
    }
    return {name: cell for name, cell in row.items() if name != "settings"} | ratios | {"settings": row["settings"]}


def _targets(rows: Sequence[Row], best: Row | None, work: Work) -> Iterator[Target]:
    mine = rows[0]
    ants = [row for row in rows if row["program"] == "ANTsPy" and row["CPU s"] is not None]
    for figure, word in ((work.figure, "as exact as the best peer"), ("CPU s", "at most that of the best peer")):
        yield _target(f"{work.name}: {figure}", mine, best, figure, 1.0, word)
    yield _target(f"{work.name}: CPU s", mine, ants[0] if ants else None, "CPU s", SHARE_OF_ANTS, "half of ANTsPy's")


def _target(name: str, mine: Row, other: Row | None, figure: str, share: float, word: str) -> Target:
    if mine["CPU s"] is None:
        return Target(name, None, None, None, word, None)
    own = _number(mine, figure)
    bound = None if other is None else share * _number(other, figure)
    met = None if bound is None else own >= bound if figure == "Dice" else own <= bound
    return Target(name, own, None if other is None else _number(other, figure), bound, word, met)


def _number(row: Mapping[str, Cell], name: str) -> float:
    value = row[name]
    assert isinstance(value, float)
    return value


benchmark: Benchmark = measure
