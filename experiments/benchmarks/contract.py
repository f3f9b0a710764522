"""What a coordinator learns of a single hospital, with the hospitals' contract on and with each of its rules off.

Real hospitals are asked, with the program that nodes run, on made-up images of four classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress
from scipy.stats import t as student

from common.study.study import Study
from common.study.trust import trusts_the_coordinator
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._contract_attacks import LEGS, Learnt, cheated, watched, watched_while_failing
from experiments.benchmarks._contract_nodes import RULES, Hospitals, study_of, write_images

AGGREGATIONS: Mapping[str, str] = {
    "secagg": "secagg",
    "additive": "additive",
    "bfv": "bfv",
    "bfv shared": '{name="bfv",keys="shared"}',
    "ckks": '{name="ckks",mode="economical"}',
}
STRATEGIES: Mapping[str, tuple[str, ...]] = {
    "fedavg": ("strategy=fedavg",),
    "fedsgd": ('strategy={name="fedsgd",learning_rate=1e-3}', 'training={batch_size="full"}'),
    "scaffold": ("strategy=scaffold",),
}
FIRST = "fedavg"
CHEATS, LOOKS, KILLED, COLLUDES = "cheats", "looks", "killed", "colluder"
ROUNDS, SEEDS, CONFIDENCE = 30, (1, 2), 0.95
ROUNDING = 1e-6
"""Of cosine: what fixed point and float32 leave between a sum and itself."""
NARROW = 0.05
"""An interval that reaches farther above 0 shows nothing."""
ON, ALL = "on", "all"
OFF: Mapping[str, frozenset[str]] = {
    ON: frozenset(),
    **{rule: frozenset({rule}) for rule in RULES},
    ALL: frozenset(RULES),
}
IN_SHORT = (ON, "groups", ALL)
"""Rules that are switched off for strategies other than the first: no protocol depends on the strategy."""


@dataclass(frozen=True)
class Way:
    """Who attacks what: a row of the table. columns: rules that are switched off in it, by heading."""

    aggregation: str
    strategy: str
    who: str
    hospitals: int = 4
    fraction: float = 1.0
    columns: tuple[str, ...] = tuple(OFF)

    def study(self, place: Path, seed: int) -> Study:
        """The default study of that aggregation and strategy."""
        settings = (*STRATEGIES[self.strategy], f"aggregation={AGGREGATIONS[self.aggregation]}")
        return study_of(place, seed, self.hospitals, *settings, f"federation.client_fraction={self.fraction}")

    def learnt(self, hospitals: Hospitals) -> list[Learnt]:
        """Of every hospital that is not itself a colluder."""
        if self.who == LOOKS:
            return watched(hospitals, ROUNDS)
        if self.who == KILLED:
            return watched_while_failing(hospitals, LEGS[self.aggregation])
        return cheated(hospitals)


@dataclass(frozen=True)
class Found:
    """One cell: what was learnt of each victim."""

    learnt: Sequence[Learnt]

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean excess of cosine, and its interval by Student's t; rounding is nothing."""
        values = [one.excess if abs(one.excess) > ROUNDING else 0.0 for one in self.learnt]
        spread = stdev(values) / len(values) ** 0.5 * float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
        return fmean(values), fmean(values) - spread, fmean(values) + spread

    @property
    def holds(self) -> bool:
        """Whether nothing beyond the sum was learnt, as closely as counts."""
        _, low, high = self.interval
        return low <= 0 and high < NARROW

    def __str__(self) -> str:
        mean, low, _ = self.interval
        return f"{mean:+.2f}±{mean - low:.2f}" if mean or mean - low else "0"


def ways() -> Iterator[Way]:
    """All rows."""
    for strategy in STRATEGIES:
        columns = tuple(OFF) if strategy == FIRST else IN_SHORT
        for name in AGGREGATIONS:
            yield Way(name, strategy, CHEATS, columns=columns)
            yield Way(name, strategy, LOOKS, fraction=0.75, columns=(ON, "groups"))
            yield Way(name, strategy, KILLED, columns=(ON, "groups"))
            yield Way(name, strategy, COLLUDES, columns=columns)
    for who in (CHEATS, LOOKS, COLLUDES):
        yield Way("secagg", FIRST, who, hospitals=8, fraction=0.5, columns=(ON,))


def measure(console: Console) -> Measured:
    """Every row and column, one after the other."""
    found: dict[Way, dict[str, Found]] = {}
    trusting: dict[Way, bool] = {}
    todo = list(ways())
    with TemporaryDirectory() as folder, Progress(console=console, transient=True) as progress:
        write_images(Path(folder))
        bar = progress.add_task("", total=sum(len(way.columns) for way in todo))
        for way in todo:
            progress.update(bar, description=f"{way.aggregation}, {way.strategy}: {way.who}")
            trusting[way] = trusts_the_coordinator(way.study(Path(folder), 1))
            found[way] = {
                column: _cell(way, column, Path(folder), partial(progress.advance, bar)) for column in way.columns
            }
    rows = [_row(way, cells, trusting[way]) for way, cells in found.items()]
    return Measured("The contract", rows, _targets(found, trusting), (*NOTES, *_remarks(found, trusting)))


def _cell(way: Way, column: str, folder: Path, advance: Callable[[], None]) -> Found:
    learnt = []
    for seed in SEEDS if way.who in (CHEATS, COLLUDES) else SEEDS[:1]:
        with TemporaryDirectory(dir=folder) as own:
            study = way.study(folder, seed)
            first = Hospitals(study, Path(own)).sites[:1] if way.who == COLLUDES else ()
            learnt += way.learnt(Hospitals(study, Path(own), OFF[column], first))
    advance()
    return Found(learnt)


def _row(way: Way, cells: Mapping[str, Found], trusts: bool) -> dict[str, Cell]:
    last = cells[way.columns[-1]]
    return {
        "aggregation": way.aggregation,
        "strategy": way.strategy,
        "K": way.hospitals,
        "who": way.who,
        "sum": fmean(one.of_sum for one in cells[ON].learnt),
        **{column: str(cells[column]) if column in cells else None for column in OFF},
        "loss": f"{_loss(cells[ON]):.2f} {_loss(last):.2f}",
        "trusts": "yes" if trusts else "",
    }


def _loss(found: Found) -> float:
    ordered = sorted(min(one.loss, 1.0) for one in found.learnt)
    return ordered[len(ordered) // 2]


NOTES = (
    "Numbers: the cosine of the best estimate with the hospital's true update, less that of the opened sum it is in "
    f"(sum: its mean); mean over hospitals, ± the half of a {CONFIDENCE:.0%} interval; 0: nothing beyond rounding. K "
    "hospitals; two seeds where somebody cheats, else one. For a colluder the sum is without its own part.",
    "who: what the coordinator does. cheats: the best of seven second sums (a hospital called lost at nearly the "
    "same model, at the same one, in an earlier round, another title and run; another cohort; one lost in every "
    f"leg; all others lost). colluder: the same with one. looks: {ROUNDS} rounds, C = .75 (K = 8: .5, two groups), "
    "learning rate .001, the best least squares over all, 8, 4 and 2 rounds. killed: the same while every hospital "
    "is killed at every leg, one a round.",
    "on: all rules. The columns after it lack one of them, or all: groups, whole groups; cohort, its recomputation; "
    "once, the memory of what was opened; forward, rounds go forward only; least, least_in_sum. -: not measured (who "
    "is honest runs into no other rule, and no protocol depends on the strategy). loss: error of a hospital's "
    "training loss over that of the sum's, median, on and in the last column measured; 1: nothing learnt.",
)


def _remarks(found: Mapping[Way, Mapping[str, Found]], trusting: Mapping[Way, bool]) -> Iterator[str]:
    """What is learnt all the same."""
    gains = [
        one.of_sum - one.raw
        for way, cells in found.items()
        if way.who == COLLUDES and way.hospitals == 4
        for one in cells[ON].learnt
    ]
    yield (
        f"What no rule mends: a colluder takes its own part out of the sum, which brings the coordinator nearer to "
        f"each of the others by {fmean(gains):.3f} of cosine with K = 4, on and off."
    )
    told = {way.aggregation for way, cells in found.items() if trusting[way] and not cells[ON].holds}
    if told:
        yield (
            f"{' and '.join(sorted(told))} trust the coordinator: with the contract on a coordinator that cheats "
            "has a single hospital's ciphertext decrypted."
        )


def _targets(found: Mapping[Way, Mapping[str, Found]], trusting: Mapping[Way, bool]) -> list[Target]:
    targets = []
    for who in (CHEATS, LOOKS, KILLED, COLLUDES):
        own = [cells[ON] for way, cells in found.items() if way.who == who and not trusting[way]]
        worst = max(cell.interval[1] for cell in own)
        words = f"the interval includes 0 and ends below {NARROW:g}: {len(own)} rows that do not trust it"
        targets.append(Target(f"{who}, contract on", worst, None, 0.0, words, all(cell.holds for cell in own)))
    controls = [
        (way, cells[way.columns[-1]]) for way, cells in found.items() if len(way.columns) > 1 and not trusting[way]
    ]
    least = min(max(one.cosine for one in cell.learnt) for _, cell in controls)
    words = f"cosine of the best read hospital above .95 in each of {len(controls)}, or attacks are no test"
    return [*targets, Target("control, all or groups off", least, None, None, words, least > 0.95)]


benchmark: Benchmark = measure
