"""Which maps may be believed: every method on a model with a planted shortcut and on one without, and beside captum.

Rows are kept in `runs/bench/explain` of the folder it is called in; called again, it goes on. captum and quantus run
in a Python of their own, named by `WARDROUND_PEERS_PYTHON`; without it those rows are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console

from common.attribution.attribution import Attribution
from common.attribution.faithfulness.judging import judged, measured
from common.attribution.faithfulness.pointing import WINDOW_PX
from common.errors import EngineError
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._explain_hospitals import hospital_notes, hospital_rows, hospital_targets
from experiments.benchmarks._explain_leak import leak_notes, leak_rows, leak_targets
from experiments.benchmarks._explain_masks import mask_notes, mask_rows
from experiments.benchmarks._kept_rows import KeptRows, Row, mean_of
from experiments.benchmarks._planted_shortcut import FLAT, POOLED, SETTING, Shortcut, shortcut

FOLDER = Path("runs") / "bench" / "explain"
BUDGET_CPU_S = 1200.0
SEEDS = (2, 3, 4)
"""Settings were chosen on 0 and 1."""
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
SCRIPT = Path(__file__).with_name("_explain_peers.py")
LONGEST_S = 2 * 3600
OPTIONS: Mapping[str, Mapping[str, Any]] = {"occlusion": {"window": (4,), "stride": (1,), "fill": "mean"}}
SHOWN = {
    "hit": "pointing_hit",
    "near": "pointing_near",
    "mass": "mass_inside",
    "deletion": "deletion",
    "by chance": "deletion_random",
    "by truth": "deletion_perfect",
    "insertion": "insertion",
    "chance": "insertion_random",
    "truth": "insertion_perfect",
    "randomisation": "randomisation_rank",
    "sizes": "randomisation_sizes",
    "ssim": "randomisation_ssim",
    "hog": "randomisation_hog",
    "clean hit": "clean_hit",
    "window hit": "pointing_window",
    "clean window hit": "clean_window",
    "complete": "completeness_within",
}
"""Columns and the sums that they are means of."""
OF_POOLED = ("occlusion", "integrated_gradients", "grad_cam")
"""Methods that are tried on the network of means, too."""
TARGETED = ("integrated_gradients", "occlusion")
HIT, CLEAN_HIT, EQUAL = 0.95, 0.10, 1e-6
AT_MOST_CAPTUM, AT_MOST_PASSES = 1.0, 1.1


def measure(console: Console) -> Measured:
    """Row by row: the proof that the shortcut was learned, each method, and the peers."""
    torch.set_num_threads(1)
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    proofs, methods = [], []
    for seed in SEEDS:
        proofs.append(_proof(kept, seed, FLAT))
        methods += [_method(kept, seed, name) for name in ATTRIBUTIONS.names()]
    peers = _peers(kept, console)
    proofs += [_proof(kept, seed, POOLED) for seed in SEEDS]
    pooled = [_method(kept, seed, name, POOLED) for seed in SEEDS for name in OF_POOLED]
    masks, hospitals, leaks = mask_rows(kept), hospital_rows(kept), leak_rows(kept)
    found = measured_of(proofs, methods, peers)
    more = [*hospital_targets(hospitals), *leak_targets(leaks)]
    return replace(
        found,
        targets=[*found.targets, *more],
        notes=[
            *found.notes,
            *map(partial(_pooled_note, pooled), OF_POOLED),
            *mask_notes(masks),
            *hospital_notes(hospitals),
            *leak_notes(leaks),
        ],
    )


def _proof(kept: KeptRows, seed: int, network: str) -> Row:
    return kept.row(
        {"what": "shortcut", "network": network, "seed": seed},
        SETTING,
        lambda: proof(shortcut(seed, network, FOLDER)),
    )


def proof(found: Shortcut) -> dict[str, float]:
    """The counterfactual: shares of healthy test patients who are called ill, with the letter and without it."""
    return {
        "planted_with": found.called_ill(found.planted, found.marked),
        "planted_without": found.called_ill(found.planted, found.healthy),
        "clean_with": found.called_ill(found.clean, found.marked),
        "clean_without": found.called_ill(found.clean, found.healthy),
        "turned": float(found.turned.mean()),
        "accuracy_planted": found.accuracy[0],
        "accuracy_clean": found.accuracy[1],
    }


def _method(kept: KeptRows, seed: int, name: str, network: str = FLAT) -> Row:
    options = OPTIONS.get(name, {})
    return kept.row(
        {"what": "method" if network == FLAT else f"method, {network}", "method": name, "seed": seed},
        f"{SETTING} {options} {WINDOW_PX} quick",
        partial(method_of, seed, Entry(name, dict(options)), network),
    )


def method_of(seed: int, entry: Entry, network: str = FLAT) -> dict[str, Any]:
    """The figures of one method on one seed's models, and its findings in words."""
    trial = shortcut(seed, network, FOLDER).trial(cast(Attribution, ATTRIBUTIONS.build(entry)))
    sums = measured(trial)
    judgement = judged(sums)
    figures = {column: sums[name].value for column, name in SHOWN.items() if name in sums}
    findings = {f"says_{name}": f"{one.word}: {one.sentence}" for name, one in judgement.findings.items()}
    return {**figures, "cases": len(trial.inputs), "words": judgement.words, **findings}


def _peers(kept: KeptRows, console: Console) -> list[Row]:
    python = os.environ.get(PEERS_PYTHON)
    if python is None:
        console.print(f"captum and quantus are left out: {PEERS_PYTHON} names no Python that has them.", style="dim")
        return []
    found = kept.row({"what": "peers"}, f"{SETTING} {OPTIONS}", lambda: asked_peers(python, SEEDS[0]))
    return [*found["rows"]]


def asked_peers(python: str, seed: int) -> dict[str, Any]:
    """What the script says, in that Python. Raises EngineError."""
    command = [python, str(SCRIPT), str(seed), str(FOLDER.resolve())]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {said.strip()[-500:]}") from error
    return cast(dict[str, Any], json.loads(ended.stdout.splitlines()[-1]))


def measured_of(proofs: Sequence[Row], methods: Sequence[Row], peers: Sequence[Mapping[str, Any]]) -> Measured:
    """The table, a line a method, and the targets."""
    names = list(dict.fromkeys(str(row["method"]) for row in methods))
    lines = [_line(name, _of(methods, name), _peer(peers, name)) for name in names]
    targets = [target for name in TARGETED for target in _hit_targets(name, _of(methods, name))]
    return Measured(
        "Which maps may be believed",
        lines,
        [*targets, *_peer_targets(peers)],
        [_proved(proofs, FLAT), _proved(proofs, POOLED), *NOTES],
    )


NOTES = (
    "Maps of the log-odds of pneumonia, of the healthy test patients whose answer the letter alone turned most. hit: "
    "the highest place lies in the letter; near: at most 2 pixels beside it; mass: of what speaks for it, the share.",
    "deletion, insertion: area under the probability of pneumonia while places go (mean of the image) or come (from "
    "a blurred image) in the map's order; beside it by chance, and by the true place first.",
    "randomisation: Spearman's correlation with the map of the network that forgot everything, signs included where "
    "the method has signs; sizes: without signs; ssim and hog: the other two measures of Adebayo et al.",
    "clean hit: of the model that never saw a letter, on the same images. window hit: the middle of the highest "
    "square of 3 x 3 places lies in the letter, of which targets are. complete: share of maps that add up.",
)


def _line(name: str, rows: Sequence[Row], peer: Mapping[str, Any]) -> dict[str, Cell]:
    figures: dict[str, Cell] = {column: mean_of(rows, column) for column in SHOWN}
    return {
        "method": name,
        **figures,
        "apart from captum": peer.get("apart"),
        "CPU by captum's": peer["ours_s"] / peer["captum_s"] if "captum_s" in peer else None,
        "quantus": peer.get("mprt"),
        "verdict": " / ".join(dict.fromkeys(str(row["words"]) for row in rows)),
    }


def _pooled_note(rows: Sequence[Row], name: str) -> str:
    own = _of(rows, name)
    hit, window, clean = (mean_of(own, one) or 0.0 for one in ("hit", "window hit", "clean window hit"))
    return (
        f"{POOLED}, {name}: hit {hit:.2f}, by squares {window:.2f}, of the clean model by squares {clean:.2f}; "
        f"{' / '.join(dict.fromkeys(str(row['words']) for row in own))}."
    )


def _proved(proofs: Sequence[Row], network: str) -> str:
    rows = [row for row in proofs if row["network"] == network]
    share = {name: mean_of(rows, name) or 0.0 for name in (rows[0] if rows else {}) if "_" in name}
    if not share:
        return f"{network}: not measured."
    called = [f"{share[f'{model}_{how}']:.2f}" for model in ("planted", "clean") for how in ("with", "without")]
    return (
        f"{network}: healthy test patients called ill with the letter {called[0]}, without it {called[1]}; by the "
        f"clean model {called[2]} and {called[3]}."
    )


def _hit_targets(name: str, rows: Sequence[Row]) -> list[Target]:
    hit, clean = mean_of(rows, "window hit"), mean_of(rows, "clean window hit")
    return [
        Target(f"{name}: hit", hit, None, HIT, "at least .95 planted", None if hit is None else hit >= HIT),
        Target(
            f"{name}: clean hit",
            clean,
            None,
            CLEAN_HIT,
            "at most .10 clean",
            None if clean is None else clean <= CLEAN_HIT,
        ),
    ]


def _peer_targets(peers: Sequence[Mapping[str, Any]]) -> list[Target]:
    apart = max((float(row["apart"]) for row in peers if "apart" in row), default=None)
    one = _peer(peers, "occlusion")
    beside = one["ours_s"] / one["captum_s"] if "captum_s" in one else None
    passes = one["ours_s"] / one["bound_s"] if "bound_s" in one else None
    return [
        Target(
            "maps apart from captum's", apart, None, EQUAL, "at most 1e-6", None if apart is None else apart <= EQUAL
        ),
        Target("occlusion's CPU", beside, 1.0, AT_MOST_CAPTUM, "at most captum's", _within(beside, AT_MOST_CAPTUM)),
        Target(
            "occlusion's CPU",
            passes,
            None,
            AT_MOST_PASSES,
            "at most 1.1 of its passes",
            _within(passes, AT_MOST_PASSES),
        ),
    ]


def _within(ratio: float | None, most: float) -> bool | None:
    return None if ratio is None else ratio <= most


def _of(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row["method"] == name]


def _peer(peers: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((row for row in peers if row["method"] == name), {})


benchmark: Benchmark = measure
