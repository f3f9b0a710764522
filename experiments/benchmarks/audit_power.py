"""What an audit of a promise would have seen: planted faults by mechanism and claim, and bounds beside a peer's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import torch
from rich.console import Console

from experiments.audit.questions._canaries import PLANTED
from experiments.audit.questions._canary_results import bounds_of
from experiments.audit.questions._epsilon_bounds import measured_epsilon
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._audit_power_cases import (
    DEFAULT_STUDIES,
    MECHANISMS,
    Recording,
    Scores,
    of_default_study,
    recording,
)
from experiments.benchmarks._data import find
from experiments.evidence.planted import DOUBLE_CLIP, HALF_NOISE, NO_NOISE, OF_NOISE, Fault, faults_of

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
REPEATS = "WARDROUND_AUDIT_POWER_REPEATS"
CLAIMS = "WARDROUND_AUDIT_POWER_CLAIMS"
ALL_CLAIMS = "1,4,8,10"
ROWS = "WARDROUND_AUDIT_POWER_ROWS"
CONFIDENCE = 0.95
NONE = Fault("none")
OF_DEFAULT_STUDIES = (NONE, NO_NOISE, HALF_NOISE, DOUBLE_CLIP)
LONGEST_PEER_S = 1800
Row = dict[str, Cell]


@dataclass(frozen=True)
class Case:
    """One row: what of `repeats` both tests saw, and the scores that bounds are worked out from.

    sent_noise, canary: None where the test is not tried.
    """

    mechanism: str
    claim: float
    fault: str
    repeats: int
    sent_noise: int | None
    canary: int | None
    scores: Scores | None
    seconds: float

    @property
    def name(self) -> str:
        """Of its scores."""
        return f"{self.mechanism}, {self.claim:g}, {self.fault}"


def measure(console: Console) -> Measured:
    """Every mechanism, claim and fault, with bounds; and default studies, by the canary test alone."""
    torch.set_num_threads(1)
    repeats, folder = int(os.environ.get(REPEATS, "20")), find("heart", "heart-disease-4centre")
    claims = tuple(map(float, os.environ.get(CLAIMS, ALL_CLAIMS).split(",")))
    cases: list[Case] = []
    with TemporaryDirectory() as place:
        for mechanism in filter(_is_asked, MECHANISMS):
            for claim, made in recording(folder, Path(place), mechanism, claims).items():
                with console.status(f"{mechanism}, epsilon {claim:g}"):
                    cases += [
                        _case(mechanism, claim, made, fault, repeats) for fault in (NONE, *faults_of(made.hospital))
                    ]
    for name in filter(_is_asked, DEFAULT_STUDIES):
        for claim, made in of_default_study(name, folder, claims).items():
            with console.status(f"{name}, epsilon {claim:g}"):
                cases += [_case(f"study {name}", claim, made, fault, repeats) for fault in OF_DEFAULT_STUDIES]
    peers = _peers(cases)
    rows = [_row(case, peers.get(case.name, {})) for case in cases]
    return Measured(f"Power of an audit, heart, {repeats} repeats", rows, targets(cases), _NOTES)


def _is_asked(name: str) -> bool:
    return os.environ.get(ROWS, "") in name


_NOTES = (
    "Seen: of so many runs of the hospitals' own code with that fault, how many a test called red; of 'none', false "
    "alarms. A canary test is not tried on faults that give no single case away.",
    "Rows of a study: as it comes with the program, under dpsgd, by the canary test alone.",
    f"{REPEATS}, {CLAIMS} and {ROWS} (a part of a row's name) in the environment make it shorter.",
    "Epsilon: certified lower bounds at 95 % and the promise's delta. Sums: plain sums of steps, scored by Steinke, "
    "Nasr and Jagielski, as was shipped. JAX-Privacy: its one-run bounds, by Steinke and by f-DP, on our scores, run "
    f"in the Python that {PEERS_PYTHON} names. Ours: by f-DP, and of canaries whose noise is their own.",
)


def _case(mechanism: str, claim: float, made: Recording, fault: Fault, repeats: int) -> Case:
    begun = process_time()
    sent = None
    if made.observed is not None:
        sent = sum(made.sent_noise_sees(fault, repeat) for repeat in range(repeats))
    canary = None
    if fault is NONE or fault in PLANTED:
        canary = sum(made.canary_test_sees(made.scores(fault, repeat)) for repeat in range(repeats))
    seconds = (process_time() - begun) / repeats
    is_bounded = made.observed is not None and fault in (NONE, NO_NOISE)
    scores = made.scores(fault, 0, whole=True) if is_bounded else None
    return Case(mechanism, claim, fault.name, repeats, sent, canary, scores, seconds)


def _row(case: Case, peer: Mapping[str, float]) -> Row:
    row: Row = {
        "mechanism": case.mechanism,
        "claim": case.claim,
        "fault": case.fault,
        "sent-noise test": _seen(case.sent_noise, case),
        "canary test": _seen(case.canary, case),
        "epsilon, sums": None,
        "JAX-Privacy": _rounded(peer.get("one_run")),
        "JAX-Privacy f-DP": _rounded(peer.get("one_run_fdp")),
        "ours f-DP": None,
        "ours, own noise": None,
        "CPU s": round(case.seconds, 2),
    }
    if case.scores is not None:
        found, promised = case.scores, case.scores.promised
        bounds = bounds_of(promised, found.ratios, found.included, found.delta, CONFIDENCE, True)
        row |= {
            "epsilon, sums": _rounded(
                measured_epsilon(found.plain, found.included, found.delta, CONFIDENCE).lower_bound
            ),
            "ours f-DP": _rounded(bounds.same_trade_off),
            "ours, own noise": _rounded(bounds.own_noise),
        }
    return row


def _seen(count: int | None, case: Case) -> str:
    return "" if count is None else f"{count} of {case.repeats}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _peers(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """JAX-Privacy's bounds on the same scores; nothing where there is no Python that has it."""
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    with TemporaryDirectory() as place:
        task, results = Path(place) / "scores.npz", Path(place) / "bounds.json"
        arrays = {name: values for case in cases for name, values in _arrays(case)}
        np.savez(task, allow_pickle=False, **arrays)
        script = Path(__file__).with_name("_audit_power_peers.py")
        command = [python, str(script), str(task), str(results), str(CONFIDENCE)]
        try:
            subprocess.run(command, capture_output=True, timeout=LONGEST_PEER_S, check=True)
        except (OSError, subprocess.SubprocessError):
            return {}
        found: dict[str, dict[str, float]] = json.loads(results.read_text(encoding="utf-8"))
        return found


def _arrays(case: Case) -> Iterator[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    if case.scores is not None:
        yield f"{case.name}/scores", case.scores.ratios
        yield f"{case.name}/included", case.scores.included
        yield f"{case.name}/delta", np.array(case.scores.delta)


def targets(cases: Sequence[Case]) -> list[Target]:
    """Every fault of the noise by the one test, no and half noise by the other, no false alarm."""
    of_noise = {fault.name for fault in OF_NOISE}
    found = [
        _target(
            "sent-noise test, faults of the noise",
            [_share(c.sent_noise, c) for c in cases if c.fault in of_noise and c.sent_noise is not None],
            1.0,
        ),
        _target("canary test, no noise", [_share(c.canary, c) for c in cases if c.fault == NO_NOISE.name], 1.0),
        _target(
            "canary test, half the noise", [_share(c.canary, c) for c in cases if c.fault == HALF_NOISE.name], 0.9
        ),
    ]
    alarms = sum((case.sent_noise or 0) + (case.canary or 0) for case in cases if case.fault == NONE.name)
    return [*found, Target("false alarms of both", float(alarms), None, None, "none", alarms == 0)]


def _share(seen: int | None, case: Case) -> float:
    return (seen or 0) / case.repeats


def _target(name: str, shares: Sequence[float], least: float) -> Target:
    lowest = min(shares, default=0.0)
    ours = round(fmean(shares), 3) if shares else None
    return Target(name, ours, None, None, f"at least {least:.0%} in every row; lowest {lowest:.0%}", lowest >= least)


benchmark: Benchmark = measure
