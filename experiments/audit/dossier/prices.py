"""What a promise costs in the model's score, as `wardround audit STUDY --matrix` measured it beside the run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import FileError
from common.files.access import is_there, names
from common.files.json_files import read_json
from experiments.audit.dossier.sheet import Price
from server.reporting.values import number
from server.reporting.wording import score, score_name

MATRIX = "matrix.json"
UNMEASURED = "What advice would cost in the model's score was not measured here. This measures it: `{command}`"
FEW = "Each is of one short run of a few rounds with one seed: a first idea, no more."


def matrix_beside(run: Path, study: str) -> Path | None:
    """The newest comparison of this study: around the run, or where `--matrix` puts it beside other runs."""
    run = run.resolve()
    for folder in (run, run.parent):
        if is_there(folder, MATRIX):
            return folder
    place = run.parent.parent / f"{study}-matrix"
    found = [place / name for name in names(place) if is_there(place / name, MATRIX)] if place.is_dir() else []
    return max(found, key=lambda folder: folder.name, default=None)


def prices(run: Path, study: str) -> tuple[tuple[Price, ...], str]:
    """Of each promise of epsilon that was measured, and a note: how sure they are, or how to measure them."""
    folder = matrix_beside(run, study)
    rows = [] if folder is None else _rows(folder)
    found = [] if folder is None else [_price(row, rows, folder) for row in rows if row.get("priced_against")]
    known = tuple(one for one in found if one is not None)
    if known:
        return known, FEW
    command = shlex.join(["wardround", "audit", study, "--matrix", "--seconds", "20"])
    return (), UNMEASURED.format(command=command)


def in_words(one: Price) -> str:
    """Such as: "Epsilon 2 costs 0.012 of accuracy here"."""
    what = one.protection if one.epsilon is None else f"Epsilon {one.epsilon:.2g}"
    became = f"({one.protection}: {score(one.without - one.cost)}, without it {score(one.without)})"
    if one.cost <= 0:
        return f"{what} costs no {score_name(one.score)} here {became}."
    return f"{what} costs {score(one.cost)} of {score_name(one.score)} here {became}."


def _rows(folder: Path) -> list[Mapping[str, Any]]:
    try:
        found = read_json(folder, MATRIX)
    except FileError:
        return []
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _price(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path) -> Price | None:
    """Against the row that it names: the same study and training without the promise."""
    base = next((one for one in rows if one.get("protection") == row["priced_against"]), {})
    mine, without = number(row.get("score")), number(base.get("score"))
    name = row.get("score_name")
    if mine is None or without is None or not isinstance(name, str) or name != base.get("score_name"):
        return None
    protection, epsilon = str(row.get("protection", "")), number(row.get("promised_epsilon"))
    return Price(protection, epsilon, name, without, without - mine, f"{folder.name}/{MATRIX}")
