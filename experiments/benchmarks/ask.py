"""Every analysis: equal to the pooled answer or not, its queries, numbers and milliseconds, beside its peers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import Progress

from common.asking.abilities import of_hospitals, whole_hospitals
from common.asking.analysis import Analysis, Public, Query
from common.asking.exact_sums import Total, checked
from common.asking.pooled import ask_tables, conduct
from common.asking.records import Records
from common.asking.totals import flat, form_of, total_of
from common.errors import AnalysisError, EngineError, WardroundError
from common.study.catalogue import AGGREGATIONS, ANALYSES
from common.study.options import Entry
from common.sums.update import Update
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._ask_peers import PEERS, furthest
from experiments.benchmarks._ask_table import LEVELS, SITES, options_for, records
from experiments.engines._loopback_exchange import InMemoryExchange, collect_numbers

SUMS = ("secagg", "bfv")
"""Through which every analysis is asked; the inherited test asks through all."""
NEAR = 1e-9
PEERS_PYTHON, LIFELINES = "WARDROUND_PEERS_PYTHON", Path(__file__).with_name("_ask_lifelines.py")
LONGEST_PEER_S = 300.0


@dataclass(frozen=True)
class Asked:
    """One analysis of the four hospitals' tables."""

    numbers: Mapping[str, Any]
    queries: int
    sent: int
    milliseconds: float


def measure(console: Console) -> Measured:
    """All analyses of the catalogue, in order; one of which nothing is known here says so in its row."""
    tables, names = records(), ANALYSES.names()
    pooled, lifelines = _joined(tables), _lifelines(_joined(tables))
    rows: list[dict[str, Cell]] = []
    unequal: list[str] = []
    far: dict[str, float] = {}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("ask", total=len(names))
        for name in names:
            progress.update(bar, description=name)
            rows.append(_row(name, tables, pooled, lifelines, unequal, far))
            progress.advance(bar)
    asked = [row for row in rows if row["queries"] is not None]
    equal, furthest_off = len(asked) - len(unequal), float(max(far.values()))
    targets = [
        Target("bit-equal to pooled", float(equal), None, float(len(asked)), "every analysis", not unequal),
        Target("furthest from a peer", furthest_off, None, NEAR, f"at most {NEAR:g}", furthest_off <= NEAR),
    ]
    notes = (
        f"{len(SITES)} hospitals of {len(tables[0])} patients; equal: every number of the answer is the very same as "
        f"of one table of all rows, through {' and '.join(SUMS)}.",
        "ms pooled: of one table without messages. ms: with all legs of secagg on this machine, without a network.",
        "difference: from the peer's numbers, relative where they are above 1. Noisy answers beside OpenDP: "
        "wardround bench noisy-answers.",
        *([] if lifelines else [f"lifelines was not asked: {PEERS_PYTHON} names no Python that has it."]),
    )
    return Measured("Questions to hospitals", rows, targets, notes)


def _row(
    name: str,
    tables: tuple[Records, ...],
    pooled: Records,
    lifelines: Mapping[str, Any],
    unequal: list[str],
    far: dict[str, float],
) -> dict[str, Cell]:
    columns = ("equal", "queries", "numbers", "ms pooled", "ms", "peer", "difference", "ms peer", "note")
    row: dict[str, Cell] = {"analysis": name, **dict.fromkeys(columns)}
    try:
        analysis = ANALYSES.build(Entry(name, options_for(name)))
        whole = (pooled,) if not (of_hospitals(analysis) or whole_hospitals(analysis)) else tables
        alone, *through = _pooled(analysis, whole), *(_through(analysis, tables, one) for one in SUMS)
    except (KeyError, WardroundError) as error:
        return {**row, "note": f"not asked: {error}"}
    if any(_text(one.numbers) != _text(alone.numbers) for one in through):
        unequal.append(name)
    first = through[0]
    row |= {
        "equal": "no" if name in unequal else "yes",
        "queries": first.queries,
        "numbers": first.sent,
        "ms pooled": alone.milliseconds,
        "ms": first.milliseconds,
    }
    return row | _peer(name, first, pooled, lifelines, far)


def _peer(
    name: str, asked: Asked, pooled: Records, lifelines: Mapping[str, Any], far: dict[str, float]
) -> dict[str, Cell]:
    said = {"lifelines": lifelines[name]} if name in lifelines else {}
    if name in PEERS:
        begin = perf_counter()
        numbers = PEERS[name].found(pooled)
        said[PEERS[name].name] = {"numbers": numbers, "seconds": perf_counter() - begin}
    if not said:
        return {}
    distances = {peer: furthest(asked.numbers, one["numbers"]) for peer, one in said.items()}
    far[name] = max(distances.values())
    first = next(iter(said))
    return {
        "peer": ", ".join(said),
        "difference": float(far[name]),
        "ms peer": 1000 * float(said[first]["seconds"]),
    }


def _pooled(analysis: Analysis, tables: tuple[Records, ...]) -> Asked:
    """Of one table; of the hospitals' own, without messages, where it tells of them."""
    begin = perf_counter()
    found = ask_tables(analysis, tables, Public(SITES, LEVELS))
    return Asked(found.answer.numbers, len(found.rounds), 0, 1000 * (perf_counter() - begin))


def _through(analysis: Analysis, tables: tuple[Records, ...], name: str) -> Asked:
    """By both halves of an aggregation, every query a round of its own."""
    aggregation, begin = AGGREGATIONS.build(Entry(name)), perf_counter()
    found = conduct(analysis, Public(SITES, LEVELS), partial(_summed, analysis, tables, aggregation))
    sent = sum(part.size for query, _ in found.rounds for part in query.parts.values())
    return Asked(found.answer.numbers, len(found.rounds), sent, 1000 * (perf_counter() - begin))


def _summed(analysis: Analysis, tables: tuple[Records, ...], aggregation: Any, query: Query) -> Total:
    numbers = {
        table.site: flat(query.parts, checked(query.parts, analysis.summarise(table, query))) for table in tables
    }
    exchange = InMemoryExchange(aggregation, {site: Update((), 1.0) for site in numbers}, numbers=numbers)
    total = collect_numbers(exchange, form_of(query.parts)).total
    if total is None:
        raise AnalysisError(f"the sum was not opened: {exchange.dropped}")
    return total_of(query.parts, total)


def _joined(tables: tuple[Records, ...]) -> Records:
    """All rows as one hospital's, with a column that says whose they are."""
    import numpy as np

    columns = {name: np.concatenate([one.columns[name] for one in tables]) for name in tables[0].columns}
    columns["site"] = np.concatenate([np.full(len(one), one.site) for one in tables])
    return Records(columns, np.concatenate([one.persons for one in tables]), "all")


def _lifelines(pooled: Records) -> Mapping[str, Any]:
    """What it says of survival; nothing where there is no Python that has it. Raises EngineError where it fails."""
    python = os.environ.get(PEERS_PYTHON)
    if not python or subprocess.run([python, "-c", "import lifelines"], capture_output=True).returncode:
        return {}
    columns = {name: pooled.columns[name].tolist() for name in ("months", "died", "age", "sex")}
    said = subprocess.run(
        [python, str(LIFELINES)], input=json.dumps(columns), capture_output=True, text=True, timeout=LONGEST_PEER_S
    )
    if said.returncode:
        raise EngineError(f"lifelines failed: {said.stderr.strip()[-300:]}")
    found: Mapping[str, Any] = json.loads(said.stdout)
    return found


def _text(numbers: Mapping[str, Any]) -> str:
    return json.dumps(numbers, default=str, sort_keys=True)


benchmark: Benchmark = measure
