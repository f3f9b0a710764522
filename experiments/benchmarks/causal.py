"""Causality across hospitals: identification, Simpson's paradox, effects on real data and on made hospitals."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console

from common.analyses._point_effect import PointEffect
from common.analyses.aipw import Aipw
from common.analyses.ipw import Ipw
from common.analyses.standardisation import Standardisation
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, EngineError
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _causal_data as data
from experiments.benchmarks._causal_core import identification_targets, simpson_targets
from experiments.benchmarks._causal_designs import FRESH, MADE
from experiments.benchmarks._causal_simulation import META, Simulated, bootstrapped, ratios_to_meta, simulated
from experiments.benchmarks._data import find

PEERS_PYTHON, Y0_PYTHON = "WARDROUND_PEERS_PYTHON", "WARDROUND_Y0_PYTHON"
REPETITIONS = "WARDROUND_CAUSAL_REPETITIONS"
LONGEST_PEERS_S = 540
FEWEST_COVER, MOST_COVER, MOST_ERROR = 0.93, 0.97, 0.8
BOOTSTRAPPED, REPLICATES = FRESH[1:4], 200
BINARY = {study.name for study in MADE if study.binary}
CONTINUOUS = {study.name for study in MADE if not study.binary}
COLUMNS = (
    "question", "way", "estimate", "from", "to", "equal", "rounds", "numbers", "s", "RMSE", "to meta", "cover", "+-",
    "plain",
)  # fmt: skip


def measure(console: Console) -> Measured:
    """Real data first, then WARDROUND_CAUSAL_REPETITIONS (2,000) made federations of every design.

    Of the bootstrap, which asks every federation 200 times, a tenth of them, of few designs.
    """
    with console.status("heart"):
        asked = _heart()
    with console.status("peers"):
        peers = _peers()
    if peers:
        with console.status("NHEFS and LaLonde"):
            asked += _smoking(peers["nhefs"]) + _training(peers["lalonde"])
    repetitions = int(os.environ.get(REPETITIONS, "2000"))
    found: list[Simulated] = []
    for study in MADE:
        with console.status(study.name):
            found += simulated(study, repetitions)
    repeated = []
    for study in BOOTSTRAPPED:
        with console.status(f"bootstrap: {study.name}"):
            few = max(repetitions // 5, 1)
            repeated += [bootstrapped(study, way, few, REPLICATES) for way in ("standardisation", "ipw", "aipw")]
    rows = [one.row() for one in asked] + _peer_rows(peers) + simulation_rows(found, repeated)
    with console.status("identification"):
        core = identification_targets(os.environ.get(Y0_PYTHON)) + simpson_targets()
    return Measured("Causality across hospitals", rows, core + _targets(asked, found, repeated), _NOTES)


_NOTES = (
    "equal: hospitals' sums give what all rows in one table give, bit for bit. numbers: sent by a hospital in all "
    "rounds, 32 or 8 bytes each.",
    "RMSE, cover and its Monte Carlo error +-: of made federations of known effect; plain: cover of a sandwich with "
    "normal quantiles; to meta: RMSE by that of hospitals' own AIPW weighted by inverse variances, those left out "
    "in which a model has no fit. Designs from the eighth on were made after the rule for intervals was settled.",
    "heart: exercise angina on disease, adjusted for age, sex, chest pain and hospital. NHEFS: giving up "
    "smoking on weight. LaLonde: training on earnings in the trial, and of its treated beside a survey's people.",
    f"NHEFS, LaLonde and DoWhy come from the Python that {PEERS_PYTHON} names, y0 from that which {Y0_PYTHON} names; "
    "without them they are not measured.",
)


@dataclass(frozen=True)
class Outcome:
    """One question to hospitals, and whether all rows in one table give the same."""

    question: str
    way: str
    difference: Mapping[str, float]
    equal: bool
    rounds: int
    numbers: int
    seconds: float

    def row(self) -> dict[str, Cell]:
        """Of the benchmark's table."""
        interval = (self.difference["estimate"], self.difference["low"], self.difference["high"])
        return _row(
            self.question, self.way, *interval, "yes" if self.equal else "no", self.rounds, self.numbers, self.seconds
        )


def _row(*cells: Cell) -> dict[str, Cell]:
    return dict(zip(COLUMNS, (*cells, *([None] * (len(COLUMNS) - len(cells)))), strict=True))


def _ask(question: str, way: str, analysis: PointEffect, tables: Sequence[Records], public: Public) -> Outcome:
    begin = perf_counter()
    asked = ask_tables(analysis, tables, public)
    seconds = perf_counter() - begin
    columns = {name: np.concatenate([one.columns[name] for one in tables]) for name in tables[0].columns}
    columns["site"] = np.concatenate([np.full(len(one), one.site) for one in tables])
    whole = Records(columns, np.concatenate([one.persons for one in tables]), "all")
    equal = ask_tables(analysis, [whole], public).answer == asked.answer
    numbers = sum(part.size for query, _ in asked.rounds for part in query.parts.values())
    return Outcome(question, way, asked.answer.numbers["difference"], equal, len(asked.rounds), numbers, seconds)


def _heart() -> list[Outcome]:
    tables, public = data.heart(find("heart-disease-4centre"))
    common = {"outcome": "disease", "treatment": "angina", "covariates": data.HEART_COVARIATES}
    common |= {"levels": data.HEART_LEVELS}
    ways: dict[str, PointEffect] = {
        "standardisation": Standardisation(**common),  # type: ignore[arg-type]
        "ipw": Ipw(**common),  # type: ignore[arg-type]
        "aipw": Aipw(**common),  # type: ignore[arg-type]
        "aipw, arms apart": Aipw(**common, apart=True),  # type: ignore[arg-type]
        "aipw, 5 folds": Aipw(**common, folds=5, ridge=1.0),  # type: ignore[arg-type]
    }
    found = [_ask("heart", way, analysis, tables, public) for way, analysis in ways.items()]
    return [*found, *_meta_of_heart(ways["aipw"], tables)]


def _meta_of_heart(analysis: PointEffect, tables: Sequence[Records]) -> list[Outcome]:
    """Hospitals' own estimates by inverse variances; a model without a best fit is pulled together."""
    own = []
    for table in tables:
        for ridge in (0.0, 1.0):
            try:
                answer = ask_tables(replace(analysis, ridge=ridge), [table]).answer.numbers["difference"]
            except AnalysisError:
                continue
            own.append((answer["estimate"], answer["standard_error"]))
            break
    weights = [1 / error**2 for _, error in own]
    estimate = sum(w * e for w, (e, _) in zip(weights, own, strict=True)) / sum(weights)
    half = 1.96 / sqrt(sum(weights))
    interval = {"estimate": estimate, "low": estimate - half, "high": estimate + half}
    return [Outcome("heart", f"{META} of {len(own)}", interval, False, 1, 2, 0.0)]


def _smoking(columns: Mapping[str, Sequence[float]]) -> list[Outcome]:
    tables, public = data.in_hospitals(columns, 6)
    common = {"outcome": "wt82_71", "treatment": "qsmk", "covariates": data.NHEFS_COVARIATES}
    common |= {"levels": data.NHEFS_LEVELS, "sites": "ignored"}
    ways: dict[str, PointEffect] = {
        "standardisation, arms apart": Standardisation(**common, apart=True),  # type: ignore[arg-type]
        "ipw": Ipw(**common),  # type: ignore[arg-type]
        "aipw, arms apart": Aipw(**common, apart=True),  # type: ignore[arg-type]
    }
    return [_ask("NHEFS", way, analysis, tables, public) for way, analysis in ways.items()]


def _training(columns: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Outcome]:
    made = data.lalonde(columns)
    common = {"outcome": "re78", "treatment": "treat", "sites": "ignored"}
    naive = Standardisation(**common, covariates=())  # type: ignore[arg-type]
    adjusted = {**common, "covariates": data.LALONDE_COVARIATES, "population": "treated"}
    ways: dict[str, PointEffect] = {
        "standardisation": Standardisation(**adjusted),  # type: ignore[arg-type]
        "ipw": Ipw(**adjusted),  # type: ignore[arg-type]
        "aipw": Aipw(**adjusted),  # type: ignore[arg-type]
    }
    found = [_ask(f"LaLonde, {place}", "difference of means", naive, *made[place]) for place in made]
    return found + [_ask("LaLonde, survey", way, analysis, *made["survey"]) for way, analysis in ways.items()]


def _peers() -> dict[str, Any]:
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    with TemporaryDirectory() as place:
        results = Path(place) / "results.json"
        script = Path(__file__).with_name("_causal_peers.py")
        try:
            subprocess.run([python, str(script), str(results)], timeout=LONGEST_PEERS_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {error}") from error
        return dict(json.loads(results.read_text(encoding="utf-8")))


def _peer_rows(peers: Mapping[str, Any]) -> list[dict[str, Cell]]:
    rows = []
    for name, way in (("dowhy ipw", "DoWhy, ipw, pooled"), ("dowhy regression", "DoWhy, regression, pooled")):
        if "estimate" in peers.get(name, {}):
            one = peers[name]
            rows.append(_row("NHEFS", way, one["estimate"], None, None, None, None, None, one["seconds"]))
    return rows


def simulation_rows(found: Sequence[Simulated], repeated: Sequence[Simulated]) -> list[dict[str, Cell]]:
    """One a design and way; of a bootstrap only its cover."""
    meta = {one.study: one.error for one in found if one.way == META}
    empty = (None,) * 7
    rows: list[tuple[Cell, ...]] = [
        (
            one.study,
            one.way,
            *empty,
            one.error,
            one.error / meta[one.study],
            one.cover,
            one.cover_error,
            one.cover_plain,
        )
        for one in found
    ]
    rows += [(one.study, one.way, *empty, None, None, one.cover, one.cover_error, None) for one in repeated]
    return [_row(*cells) for cells in rows]


def _targets(asked: Sequence[Outcome], found: Sequence[Simulated], repeated: Sequence[Simulated]) -> list[Target]:
    compared = [one for one in asked if not one.way.startswith(META)]
    equal = sum(one.equal for one in compared)
    targets = [
        Target("equal to all rows", equal, None, len(compared), "all, bit for bit", equal == len(compared)),
        *_of_cover("sandwich", [one for one in found if one.way != META]),
        *_of_cover("bootstrap", repeated),
    ]
    for way in ("standardisation", "aipw", "aipw, ridge 4"):
        for name, studies in (("0/1 outcomes", BINARY), ("continuous outcomes", CONTINUOUS)):
            ratios = [ratio for study, ratio in ratios_to_meta(found, way).items() if study in studies]
            for which, ratio in (("median", float(np.median(ratios))), ("worst", max(ratios))):
                title = f"RMSE of {way} to meta-analysis, {name}, {which} design"
                targets.append(Target(title, ratio, 1.0, MOST_ERROR, f"<= {MOST_ERROR}", ratio <= MOST_ERROR))
    return targets


def _of_cover(kind: str, found: Sequence[Simulated]) -> list[Target]:
    """Least and most of all designs and ways, each within two Monte Carlo errors of what is wanted."""
    least, most = min(found, key=lambda one: one.cover), max(found, key=lambda one: one.cover)
    enough = least.cover + 2 * least.cover_error >= FEWEST_COVER
    not_too_much = most.cover - 2 * most.cover_error <= MOST_COVER
    seldom, often = (f"{kind} ({one.way}; {one.study})" for one in (least, most))
    aims = f">= {FEWEST_COVER} within two errors", f"<= {MOST_COVER} within two errors"
    return [
        Target(f"least cover, {seldom}", least.cover, None, FEWEST_COVER, aims[0], enough),
        Target(f"most cover, {often}", most.cover, None, MOST_COVER, aims[1], not_too_much),
    ]


benchmark: Benchmark = measure
