"""Classical reconstruction of a slice beside deepinv, scikit-image, SigPy, ODL and astra, to equal objectives.

Rows are kept in `runs/bench/inverse` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from common import reconstruction
from common.errors import EngineError
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._inverse_problems import CONTESTS, FINEST, REFERENCE, SETTINGS, apart, posed, reference
from experiments.benchmarks._kept_rows import KeptRows

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
SCRIPT = Path(__file__).with_name("_inverse_peers.py")
FOLDER = Path("runs") / "bench" / "inverse"
BUDGET_CPU_S, LONGEST_S = 2400.0, 2 * 3600
AGREED, FASTER_PROJECTOR = 1e-5, 3.0
Row = Mapping[str, Any]


def measure(console: Console) -> Measured:
    """References here, contests in the Python that has the peers; in ours, without them, where none is named."""
    torch.set_num_threads(1)
    kept, code = KeptRows(FOLDER, BUDGET_CPU_S, console), _digest_of_solvers()
    rows, missing, versions = list[dict[str, Any]](), dict[str, str](), dict[str, str]()
    for name in CONTESTS:
        known, found = contest_of(name, kept, code)
        rows += [{**row, "references_apart": apart(known)} for row in found["rows"]]
        missing, versions = missing | found["missing"], versions | found["versions"]
    found = kept.row({"of": "projectors"}, code, _asked)
    everything = {"rows": rows, "projectors": found["rows"], "missing": missing | found["missing"]}
    return measured({**everything, "versions": versions})


def contest_of(name: str, kept: KeptRows, code: str) -> tuple[Mapping[str, float], Row]:
    """The reference's objectives by method, and what the contest found."""
    contest = CONTESTS[name]
    setting = f"{contest.prior}{SETTINGS[contest.problem]}"
    known = kept.row(
        {"of": "reference", "problem": contest.problem, "prior": contest.prior_words},
        f"{setting}{REFERENCE}{FINEST}",
        lambda: {"objectives": reference(posed(contest.problem), contest.prior)},
    )["objectives"]
    least = repr(min(known.values()))
    return known, kept.row(
        {"of": "contest", "name": name}, f"{setting}{contest.gap}{least}{code}", lambda: _asked(name, least)
    )


def _digest_of_solvers() -> str:
    """Of what is timed and of who times it: solvers that changed are measured anew."""
    digest = sha256(os.environ.get(PEERS_PYTHON, "").encode())
    for file in [SCRIPT, *sorted(Path(reconstruction.__file__).parent.rglob("*.py"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _asked(*arguments: str) -> dict[str, Any]:
    """What the script says in the peers' Python."""
    python = os.environ.get(PEERS_PYTHON) or sys.executable
    try:
        ended = subprocess.run(
            [python, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=LONGEST_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {said.strip()[-500:]}") from error
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def measured(found: Mapping[str, Any]) -> Measured:
    """found: `rows` of solvers, `projectors`, and what was `missing` and why."""
    rows = [_shown(row, found["rows"]) for row in found["rows"]]
    rows += [_projector_row(row) for row in found["projectors"]]
    notes = [
        "CPU seconds of one thread, median of three, of the fewest iterations on a ladder of two fifths that reach "
        "the relative gap of the objective that is wanted; ratio: to ours of the same problem (the fastest of ours).",
        "Same data in single precision, same objective, judged in double precision against long runs of "
        f"{', '.join(REFERENCE)}.",
        *(f"Measured with {name} {number}." for name, number in found.get("versions", {}).items()),
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
    largest = max((float(row["references_apart"]) for row in rows), default=None)
    return [
        _ratio(rows, "TV prox beside deepinv", "ours, proximal map", "deepinv TVDenoiser", 1 / 8),
        _ratio(rows, "TV prox beside scikit-image", "ours, proximal map", "scikit-image", 1 / 2),
        _ratio(rows, "FISTA beside SigPy's", "ours, fista", "SigPy FISTA", 1.0),
        _ratio(rows, "ADMM beside SigPy's", "ours, admm", "SigPy ADMM", 1.0),
        _projector("projector beside astra's", [row for row in projectors if row["what"] == "projection"]),
        _projector("the same, there and back", projectors),
        Target(
            "all methods' objectives apart",
            largest,
            None,
            AGREED,
            "at most 1e-5 on every problem",
            None if largest is None else largest <= AGREED,
        ),
    ]


def _projector(name: str, rows: Sequence[Row]) -> Target:
    """How many times as fast as astra's over all that was timed of a kernel, where that is least."""
    kernels = {row["kernel"]: [one for one in rows if one["kernel"] == row["kernel"]] for row in rows}
    times = [
        sum(row["astra_ms"] for row in timed) / sum(row["ours_ms"] for row in timed) for timed in kernels.values()
    ]
    slowest = min(times, default=None)
    met = None if slowest is None else slowest >= FASTER_PROJECTOR
    return Target(name, slowest, 1.0, FASTER_PROJECTOR, "3 times as fast in every kernel", met)


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
