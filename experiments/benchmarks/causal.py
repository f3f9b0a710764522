"""Effects across hospitals: equality with all rows, cover and error in simulation, real data, beside DoWhy."""

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
from experiments.benchmarks._causal_designs import MADE
from experiments.benchmarks._causal_simulation import META, Simulated, simulated
from experiments.benchmarks._data import find

PEERS_PYTHON, REPETITIONS = "WARDROUND_PEERS_PYTHON", "WARDROUND_CAUSAL_REPETITIONS"
LONGEST_PEERS_S = 540
FEWEST_COVER, MOST_COVER, MOST_ERROR = 0.93, 0.97, 0.8
COLUMNS = (
    "question", "way", "estimate", "from", "to", "equal", "rounds", "numbers", "s", "RMSE", "to meta", "cover", "+-",
)  # fmt: skip


def measure(console: Console) -> Measured:
    """Real data first, then WARDROUND_CAUSAL_REPETITIONS (300) made federations of every design."""
    with console.status("heart"):
        asked = _heart()
    with console.status("peers"):
        peers = _peers()
    if peers:
        with console.status("NHEFS and LaLonde"):
            asked += _smoking(peers["nhefs"]) + _training(peers["lalonde"])
    repetitions = int(os.environ.get(REPETITIONS, "300"))
    found: list[Simulated] = []
    for study in MADE:
        with console.status(study.name):
            found += simulated(study, repetitions)
    rows = [one.row() for one in asked] + _peer_rows(peers) + simulation_rows(found)
    return Measured("Effects across hospitals", rows, _targets(asked, found), _NOTES)


_NOTES = (
    "equal: hospitals' sums give what all rows in one table give, bit for bit. numbers: sent by a hospital in all "
    "rounds, 32 or 8 bytes each.",
    "RMSE, cover and its Monte Carlo error +-: of made federations of known effect; to meta: RMSE by that of "
    "hospitals' own AIPW weighted by inverse variances.",
    "heart: exercise angina on disease, adjusted for age, sex, chest pain and hospital. NHEFS: giving up "
    "smoking on weight. LaLonde: training on earnings in the trial, and of its treated beside a survey's people.",
    f"NHEFS, LaLonde and DoWhy come from the Python that {PEERS_PYTHON} names; without it they are not measured.",
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


def simulation_rows(found: Sequence[Simulated]) -> list[dict[str, Cell]]:
    """One a design and way."""
    meta = {one.study: one.error for one in found if one.way == META}
    empty = (None,) * 7
    return [
        _row(one.study, one.way, *empty, one.error, one.error / meta[one.study], one.cover, one.cover_error)
        for one in found
    ]


def _targets(asked: Sequence[Outcome], found: Sequence[Simulated]) -> list[Target]:
    ours, meta = [one for one in found if one.way != META], {one.study: one for one in found if one.way == META}
    covers, spread = [one.cover for one in ours], [2 * one.cover_error for one in ours]
    least, most = min(covers), max(covers)
    ratios = [one.error / meta[one.study].error for one in ours if one.way == "aipw"]
    compared = [one for one in asked if not one.way.startswith(META)]
    worst_meta = min((one.cover for one in meta.values()), default=None)
    return [
        Target(
            "equal to all rows",
            float(sum(one.equal for one in compared)),
            None,
            float(len(compared)),
            "all, bit for bit",
            all(one.equal for one in compared),
        ),
        Target(
            "least cover",
            least,
            worst_meta,
            FEWEST_COVER,
            f">= {FEWEST_COVER}, by two Monte Carlo errors",
            all(c + s >= FEWEST_COVER for c, s in zip(covers, spread, strict=True)),
        ),
        Target(
            "most cover",
            most,
            None,
            MOST_COVER,
            f"<= {MOST_COVER}, by two Monte Carlo errors",
            all(c - s <= MOST_COVER for c, s in zip(covers, spread, strict=True)),
        ),
        Target(
            "RMSE of AIPW to meta-analysis, median design",
            float(np.median(ratios)),
            1.0,
            MOST_ERROR,
            f"<= {MOST_ERROR}",
            float(np.median(ratios)) <= MOST_ERROR,
        ),
        Target(
            "RMSE of AIPW to meta-analysis, worst design",
            max(ratios),
            1.0,
            MOST_ERROR,
            f"<= {MOST_ERROR}",
            max(ratios) <= MOST_ERROR,
        ),
    ]


benchmark: Benchmark = measure
