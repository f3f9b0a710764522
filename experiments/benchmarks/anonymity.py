"""k-anonymity on heart and on 10,000 rows beside anjana; what pycanon says of our releases; who is found in them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console

from common.analyses.mondrian import Mondrian
from common.anonymity.criteria import Criteria
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import EngineError
from common.seeding import generator
from experiments.anonymising.conduct import Release, Wanted, release_of, rows_of
from experiments.anonymising.table import Table
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
LONGEST_PEER_S = 900
COLUMNS = ("age", "sex", "pain", "pressure", "chol", "fbs", "ecg", "rate")
HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
QUASI, SIDE = ("age", "sex", "pressure"), {"chol": 10.0, "rate": 5.0}
K, MANY, REPEATS = 5, 10_000, 3
MOST_LOSS, LEAST_FASTER = 0.06, 20.0
LINKED = ((QUASI, 5, 1.0, 1.0), (QUASI, 10, 1.0, 1.0), (("age", "sex", "pain", "pressure"), 10, 2.0, 0.2))
"""Quasi-identifiers, k, l and t."""
Row = dict[str, Cell]


def measure(console: Console) -> Measured:
    """Loss: mean width of a released value as a share of its column's range, 1 for what is left out."""
    hospitals, many = _hearts(), _many()
    heart = _joined(hospitals)
    console.print(f"  heart: {len(heart.records)} rows; quasi-identifiers {', '.join(QUASI)}; {MANY} rows made up")
    wanted = Wanted(QUASI, Criteria(K), "disease", side=SIDE)
    release, begin = release_of(heart, wanted), perf_counter()
    for _ in range(REPEATS):
        big = release_of(many, replace(wanted, side={}))
    seconds = (perf_counter() - begin) / REPEATS
    linked = {_name(*one): release_of(heart, _wanted(*one)) for one in LINKED}
    peer = _peers(
        heart, many, {name: (heart, _wanted(*one)) for name, one in zip(linked, LINKED, strict=True)}, linked
    )
    rows: list[Row] = []
    targets: list[Target] = []
    _beside_anjana(release, big, seconds, peer, rows, targets)
    _federated(hospitals, rows, targets)
    _linkage(linked, peer, rows, targets)
    notes = (
        f"anjana and pycanon run in the Python that {PEERS_PYTHON} names. anjana has four ranges for numbers, in the "
        "way of its documentation, and may leave out half of all rows or none; what it leaves out is lost whole.",
        "Linkage: whoever knows the quasi-identifiers and "
        + " and ".join(f"{name} to within {by:g}" for name, by in SIDE.items())
        + ".",
    )
    return Measured("Anonymity", rows, targets, notes)


def _beside_anjana(
    release: Release, big: Release, seconds: float, peer: dict[str, Any], rows: list[Row], targets: list[Target]
) -> None:
    theirs = peer.get("anonymised", {})
    for name, said in (("heart", "none left out"), ("heart, half left out", "half may be left out")):
        loss = theirs.get(name, {}).get("loss")
        rows.append(_row(f"loss on heart, k = {K}", release.loss, f"anjana, {said}", loss))
    met = release.loss <= MOST_LOSS
    targets.append(Target("loss on heart", release.loss, None, MOST_LOSS, f"at most {MOST_LOSS} at k = {K}", met))
    took = theirs.get("many", {}).get("seconds")
    rows.append(_row(f"seconds for {MANY} rows", seconds, "anjana", took))
    rows.append(_row(f"loss on {MANY} rows", big.loss, "anjana", theirs.get("many", {}).get("loss")))
    faster = None if took is None else took / seconds >= LEAST_FASTER
    said = f"at least {LEAST_FASTER:g} times as fast as anjana"
    targets.append(Target(f"seconds for {MANY} rows", seconds, took, took and took / LEAST_FASTER, said, faster))


def _federated(hospitals: Sequence[Table], rows: list[Row], targets: list[Target]) -> None:
    question = Mondrian(QUASI, {"age": (20, 90, 1), "pressure": (0, 220, 1)}, {"sex": ("female", "male")}, k=K)
    tables = [one.records for one in hospitals]
    together, pooled = ask_tables(question, tables).answer, ask_tables(question, [_joined(hospitals).records]).answer
    alone = [ask_tables(question, [one]).answer.numbers for one in tables]
    weights = [one["rows"] for one in alone]
    apart = float(np.average([one["information_loss"] for one in alone], weights=weights))
    loss = float(together.numbers["information_loss"])
    rows.append(_row("loss, federated", loss, "each hospital alone", apart))
    same = together == pooled
    targets.append(Target("federated partition is the pooled one", float(same), None, 1.0, "the same answer", same))
    targets.append(Target("federated loss", loss, apart, apart, "below each hospital's alone", loss < apart))


def _linkage(linked: dict[str, Release], peer: dict[str, Any], rows: list[Row], targets: list[Target]) -> None:
    for name, release in linked.items():
        rows.append(_row(f"found, {name}", release.linked.found, "loss", release.loss))
        says = peer.get("checked", {}).get(name)
        for what in ("k", "l", "t"):
            theirs = None if says is None else float(says[what])
            met = None if theirs is None else abs(theirs - release.has[what]) < 1e-6
            targets.append(Target(f"{what}, {name}", release.has[what], theirs, theirs, "as pycanon says", met))


def _row(name: str, ours: float, beside: str, theirs: float | None) -> Row:
    return {"measured": name, "ours": ours, "beside": beside, "its": theirs, "ratio": theirs and theirs / ours}


def _name(quasi: tuple[str, ...], k: int, diverse: float, close: float) -> str:
    return f"{', '.join(quasi)}: k = {k}, l = {diverse:g}, t = {close:g}"


def _wanted(quasi: tuple[str, ...], k: int, diverse: float, close: float) -> Wanted:
    return Wanted(quasi, Criteria(k, diverse, close), "disease", side=SIDE)


def _hearts() -> list[Table]:
    folder = find("heart-disease-4centre", "heart")
    return [_heart(folder / f"processed.{site}.data", site) for site in HOSPITALS]


def _heart(path: Path, site: str) -> Table:
    lines = [line.split(",") for line in path.read_text().splitlines() if line.count(",") == 13]
    columns: dict[str, Any] = {
        name: np.array([np.nan if row[at] == "?" else float(row[at]) for row in lines])
        for at, name in enumerate(COLUMNS)
    }
    columns["sex"] = np.where(columns["sex"] == 1, "male", "female")
    columns["pain"] = np.array([f"kind {value:g}" for value in columns["pain"].tolist()])
    columns["disease"] = np.array(["sick" if float(row[13]) > 0 else "well" for row in lines])
    return _table(columns, site)


def _table(columns: dict[str, Any], name: str) -> Table:
    persons = np.array([f"{name} {row}" for row in range(len(columns["age"]))])
    return Table(name, Records(columns, persons, name), (), 0)


def _joined(tables: Sequence[Table]) -> Table:
    every = [one.records.columns for one in tables]
    return _table({name: np.concatenate([one[name] for one in every]) for name in every[0]}, "heart")


def _many() -> Table:
    rng = generator(0, "bench anonymity")
    columns = {
        "age": rng.integers(18, 90, MANY).astype(np.float64),
        "sex": np.where(rng.integers(0, 2, MANY) == 1, "male", "female"),
        "pressure": rng.integers(90, 200, MANY).astype(np.float64),
        "disease": np.where(rng.integers(0, 2, MANY) == 1, "sick", "well"),
    }
    return _table(columns, "many")


def _peers(
    heart: Table, many: Table, checks: dict[str, tuple[Table, Wanted]], releases: dict[str, Release]
) -> dict[str, Any]:
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    # anjana has no missing values: of heart, the rows that have all quasi-identifiers.
    whole = heart.records.complete(*QUASI)
    work = {
        "anonymise": {
            "heart": _work(whole, 0),
            "heart, half left out": _work(whole, 50),
            "many": _work(many.records, 0),
        },
        "check": {name: _released(table, wanted, releases[name], name) for name, (table, wanted) in checks.items()},
    }
    with TemporaryDirectory() as place:
        asked, found = Path(place) / "work.json", Path(place) / "found.json"
        asked.write_text(json.dumps(work))
        script = Path(__file__).with_name("_anonymity_peers.py")
        try:
            subprocess.run([python, str(script), str(asked), str(found)], timeout=LONGEST_PEER_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {error}") from error
        answered: dict[str, Any] = json.loads(found.read_text())
    return answered


def _work(records: Records, suppress: int) -> dict[str, Any]:
    columns = {name: records.columns[name].tolist() for name in (*QUASI, "disease")}
    return {"columns": columns, "quasi": list(QUASI), "k": K, "suppress": suppress}


def _released(table: Table, wanted: Wanted, release: Release, name: str) -> dict[str, Any]:
    header, rows = rows_of(table, wanted, release)
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    return {"columns": columns, "quasi": list(wanted.quasi), "sensitive": wanted.sensitive}


benchmark: Benchmark = measure
