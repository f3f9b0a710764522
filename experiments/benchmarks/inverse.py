"""Classical reconstruction of a slice beside deepinv, scikit-image, SigPy, ODL and astra, to equal objectives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from common.errors import EngineError
from experiments.benchmark import Benchmark, Cell, Measured, Target

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
SCRIPT = Path(__file__).with_name("_inverse_peers.py")
LONGEST_S = 2 * 3600
AGREED, FASTER_PROJECTOR = 1e-5, 3.0
Row = Mapping[str, Any]


def measure(console: Console) -> Measured:
    """In the Python that has the peers; in ours, without them, where none is named."""
    python = os.environ.get(PEERS_PYTHON)
    console.print("Budget: 20 CPU minutes, most of them for reference objectives in double precision.", style="dim")
    try:
        ended = subprocess.run(
            [python or sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=LONGEST_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {said.strip()[-500:]}") from error
    return measured(json.loads(ended.stdout.splitlines()[-1]))


def measured(found: Mapping[str, Any]) -> Measured:
    """found: `rows` of solvers, `projectors`, and what was `missing` and why."""
    rows = [_shown(row, found["rows"]) for row in found["rows"]]
    rows += [_projector_row(row) for row in found["projectors"]]
    notes = [
        "CPU seconds of one thread, median of three, of the fewest iterations on a ladder of two fifths that reach "
        "the relative gap of the objective that is wanted; ratio: to ours of the same problem (the fastest of ours).",
        "Same data in single precision, same objective, judged in double precision against long runs of two methods.",
        *(f"{who} was not measured: {why}." for who, why in found["missing"].items()),
    ]
    return Measured("Inverse problems, 224 x 224", rows, _targets(found), notes)


def _shown(row: Row, rows: Sequence[Row]) -> dict[str, Cell]:
    ours = [one["cpu_s"] for one in rows if _same(one, row) and one["solver"].startswith("ours")]
    return {
        "problem": row["problem"],
        "prior": row["prior"],
        "solver": row["solver"],
        "gap": float(row["gap"]),
        "PSNR, dB": float(row["psnr"]),
        "iterations": int(row["iterations"]),
        "CPU s": float(row["cpu_s"]),
        "ratio": row["cpu_s"] / min(ours) if ours else None,
    }


def _same(one: Row, other: Row) -> bool:
    return all(one[key] == other[key] for key in ("problem", "prior", "wanted"))


def _projector_row(row: Row) -> dict[str, Cell]:
    return {
        "problem": f"CT {row['what']}, {row['kernel']}",
        "prior": "",
        "solver": "ours beside astra",
        "gap": row["apart"],
        "PSNR, dB": None,
        "iterations": None,
        "CPU s": row["ours_ms"] / 1000,
        "ratio": row["astra_ms"] / row["ours_ms"],
    }


def _targets(found: Mapping[str, Any]) -> list[Target]:
    rows, projectors = found["rows"], found["projectors"]
    apart = max((float(row["references_apart"]) for row in rows), default=None)
    ratios = [row["astra_ms"] / row["ours_ms"] for row in projectors if row["what"] == "projection"]
    slowest = min(ratios, default=None)
    return [
        _ratio(rows, "TV prox beside deepinv", "ours, proximal map", "deepinv TVDenoiser", 1 / 8),
        _ratio(rows, "TV prox beside scikit-image", "ours, proximal map", "scikit-image", 1 / 2),
        _ratio(rows, "FISTA beside SigPy's", "ours, fista", "SigPy FISTA", 1.0),
        _ratio(rows, "ADMM beside SigPy's", "ours, admm", "SigPy ADMM", 1.0),
        Target(
            "projector beside astra's",
            slowest,
            1.0,
            FASTER_PROJECTOR,
            "3 times as fast in every kernel",
            None if slowest is None else slowest >= FASTER_PROJECTOR,
        ),
        Target(
            "two methods' objectives apart",
            apart,
            None,
            AGREED,
            "at most 1e-5 on every problem",
            None if apart is None else apart <= AGREED,
        ),
    ]


def _ratio(rows: Sequence[Row], name: str, ours: str, theirs: str, bound: float) -> Target:
    """CPU of ours over that of a peer on the same problem, where both were measured; met only at the wanted gap."""
    words = f"at most {bound:g} of its CPU at an equal gap"
    peer = next((row for row in rows if row["solver"] == theirs), None)
    own = next((row for row in rows if peer and row["solver"] == ours and _same(row, peer)), None)
    if peer is None or own is None:
        return Target(name, None, None, bound, words, None)
    ratio = own["cpu_s"] / peer["cpu_s"]
    return Target(name, ratio, 1.0, bound, words, ratio <= bound and own["gap"] <= own["wanted"])


benchmark: Benchmark = measure
