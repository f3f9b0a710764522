"""Rigid, affine and deformable registration beside SimpleITK, elastix, ANTsPy, DIPY and greedy.

Rows are kept in `runs/bench/registration` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import fmean, median
from time import process_time
from typing import Any

from rich.console import Console

from common.registration.register import register
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _registration_problems as problems
from experiments.benchmarks import _registration_wide as wide
from experiments.benchmarks._data import find
from experiments.benchmarks._kept_rows import CPU_S, KeptRows
from experiments.benchmarks._registration_hard import hard_case
from experiments.benchmarks._registration_problems import ImagePair
from experiments.benchmarks._registration_programs import PEERS_PYTHON, Outcome, Program, our_program, peer, run

Row = dict[str, Cell]
LINEAR_PEERS = ("SimpleITK", "elastix", "ANTsPy", "DIPY", "greedy")
DENSE_PEERS = ("SimpleITK", "elastix", "ANTsPy", "ANTsPy CC", "DIPY", "greedy")
SHARE_OF_ANTS = 0.5
FOLDER = Path("runs") / "bench" / "registration"
BUDGET_CPU_S = 3600.0
FAILED_VOXELS = 3.0
"""A mean error above so many voxels is a failure."""
HARD_CASES, HARD_SEED = 200, 2
HARD = "hard cases"
NOTES = (
    "Known transforms: mean distance in mm, over the head, to where the true one takes it. Hippocampi: mean Dice "
    "over labels, and the share of voxels where space folds; the labels were seen by no program.",
    "rigid 2D: 6 slices of 1 mm. affine 3D: 3 transforms, 2 mm. deformed 3D: one field of 4.4 mm on average, 2 mm. "
    "Other contrast: fluid bright, white matter dark, by a curve that is no line. Hippocampi: 6 pairs of patients.",
    "CPU s: of the search, one thread, a process for each program, after one on small blobs that does not count. "
    "accuracy, CPU to best: divided by that of the most exact peer.",
    "4 mm brains turned by 120 degrees and more. Ultrasound-like: bright edges, speckle, shadows, of slices of 2 mm. "
    "Many pixels: 1164 x 787. Texture: repeated cells, bent by up to 12 pixels, affine transforms only.",
    f"failed: how many by over {FAILED_VOXELS:.0f} voxels; knew: how many of these it told, which others never do.",
    f"{HARD}: {HARD_CASES} small images of 17 kinds. The error is the median of those that are right; failed counts "
    "those that have no right answer too, and false alarms are in the settings.",
    f"Other programs run in the Python that {PEERS_PYTHON} names; what it lacks, or what failed there, has dashes.",
)


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem. ours: transform and similarity of each row of ours, the one to judge by first."""

    name: str
    kind: str
    contrast: str
    problems: Callable[[], Sequence[ImagePair]]
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


def kinds() -> Iterator[ProblemKind]:
    """All of them, quick ones first."""
    brain = cache(lambda: problems.brain(find("brain-3d-labelled")))
    for same, word, first in ((True, "same", "cc"), (False, "other", "mi")):
        also = ["mi", "auto"] if same else ["nmi", "auto"]
        chosen = [first, *also]
        flat = partial(_all, problems.flat_problems, brain, same=same)
        yield ProblemKind(f"rigid 2D, {word} contrast", "rigid", word, flat, [("rigid", name) for name in chosen])
        solid = partial(_all, problems.affine_problems, brain, same=same)
        yield ProblemKind(f"affine 3D, {word} contrast", "affine", word, solid, [("affine", name) for name in chosen])
    auto = [("rigid", "auto")]
    yield ProblemKind("large turns 3D", "rigid", "same", partial(_all, wide.turned_problems, brain), auto)
    yield ProblemKind("ultrasound-like 2D", "rigid", "other", partial(_all, wide.sounded_problems, brain), auto)
    yield ProblemKind("many pixels 2D", "rigid", "same", lambda: [wide.large_problem(find("ants-2d-slices"))], auto)
    yield ProblemKind("texture 2D", "affine", "same", lambda: [wide.textured_problem()], [("affine", "auto")])
    dense = [("displacement", "local_cc"), ("displacement", "ssd"), ("velocity", "local_cc")]
    yield ProblemKind("deformed 3D", "displacement", "same", lambda: [problems.deformed_problem(brain())], dense)
    pairs = partial(_all, problems.hippocampus_problems, lambda: find("hippocampus"))
    yield ProblemKind(
        "hippocampi 3D", "both", "same", pairs, [("displacement", "cc"), ("velocity", "cc"), ("bspline", "cc")]
    )


def _all(
    problems_of: Callable[..., Iterator[ImagePair]], data: Callable[[], Any], **options: bool
) -> list[ImagePair]:
    return list(problems_of(data(), **options))


def measure(console: Console) -> Measured:
    """Every program on every problem, one at a time."""
    rows: list[Row] = []
    targets: list[Target] = []
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    for work in kinds():
        asked = cache(work.problems)
        here = [_kept(kept, work, program, asked) for program in work.programs]
        best = _best_peer(here, work)
        rows += [_beside(row, best, work.figure) for row in here]
        targets += _targets(here, best, work)
    hard = _hard_row(kept)
    rows.append(_beside(hard, None, "error mm"))
    silent = float(_number(hard, "failed") - _number(hard, "knew"))
    targets.append(Target(f"{HARD}: failures that were not known", silent, None, 0.0, "none", silent == 0))
    return Measured("Registration", rows, targets, NOTES)


def _kept(kept: KeptRows, work: ProblemKind, program: Program, asked: Callable[[], Sequence[ImagePair]]) -> Row:
    if program.start is None:
        return row_of(work, program, [None])
    names = {"work": work.name, "program": program.name}
    row = kept.row(names, " ".join(program.start), lambda: row_of(work, program, run(program, asked())))
    return {name: cell for name, cell in row.items() if name not in ("setting", CPU_S)}


def row_of(work: ProblemKind, program: Program, outcomes: Sequence[Outcome | None]) -> Row:
    """Means over the problems; dashes unless all could be solved, so that nobody is judged by the easy ones."""
    row = _empty(work.name, program.name)
    solved = [outcome for outcome in outcomes if outcome is not None]
    if solved and len(solved) == len(outcomes):
        row |= {name: fmean(one.scores[name] for one in solved) for name in solved[0].scores if name in row}
        failed = [one for one in solved if one.scores.get("voxels", 0.0) > FAILED_VOXELS]
        row |= {"failed": len(failed), "knew": sum(one.doubted for one in failed)}
        row["settings"] = ", ".join(sorted({one.settings for one in solved}))
    elif solved:
        row["settings"] = f"failed on {len(outcomes) - len(solved)} of {len(outcomes)}"
    return row


def _empty(work: str, program: str) -> Row:
    return {"work": work, "program": program, "error mm": None, "Dice": None, "folded %": None, "CPU s": None,
            "failed": None, "knew": None, "settings": "not measured"}  # fmt: skip


def _hard_row(kept: KeptRows) -> Row:
    """Of all hard cases, each of which is kept."""
    cases = [kept.row({HARD: number}, f"{HARD_SEED}", partial(_hard, number)) for number in range(HARD_CASES)]
    counts = Counter((bool(case["right"]), bool(case["doubted"])) for case in cases)
    errors = [float(case["error_mm"]) for case in cases if case["right"]]
    row = _empty(HARD, "ours, auto")
    failed = counts[False, False] + counts[False, True]
    row |= {"error mm": median(errors), "CPU s": fmean(float(case["search_s"]) for case in cases)}
    row |= {"failed": failed, "knew": counts[False, True], "settings": f"{counts[True, True]} false alarms"}
    return row


def _hard(number: int) -> dict[str, Any]:
    case, began = hard_case(number, HARD_SEED), process_time()
    found = register(case.moving, case.fixed, case.transform)
    error = case.error_mm(found.transform)
    return {"kind": case.kind, "right": error <= case.bound_mm, "error_mm": min(error, 1e6),
            "doubted": bool(found.doubts), "search_s": process_time() - began}  # fmt: skip


def _best_peer(rows: Sequence[Row], work: ProblemKind) -> Row | None:
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


def _targets(rows: Sequence[Row], best: Row | None, work: ProblemKind) -> Iterator[Target]:
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
    assert isinstance(value, float | int)
    return value


benchmark: Benchmark = measure
