"""Super-resolution x2 and x4 across institutions that blur differently: four designs by three losses, and federated.

Rows are kept in `runs/bench/superresolution` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from torch import nn

from client.fine_tuning import fine_tuned
from client.hospital import Hospital
from common.data.cases import Cases
from common.learning.start import first_network
from common.study.fine_tuning import FineTuning
from common.study.study import Study, parse_json
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _enlarged_ways as ways
from experiments.benchmarks._data import find
from experiments.benchmarks._enlarged_studies import BATCH, DESIGNS, LOSSES, STEPS, designed, pretraining, shipped
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row, mean_of
from experiments.benchmarks._pretraining_ways import hospitals_of
from experiments.engines._quiet import run_quietly
from experiments.prediction.trained import load_trained

FOLDER = Path("runs") / "bench" / "superresolution"
BUDGET_CPU_S = 3600.0
SEEDS = (5,)
OTHERS = (3, 6)
"""Factors that no design was trained for."""
GAIN_DB, WITHIN_DB = 1.2, 0.3
PROTOTYPE: Mapping[str, float] = {
    "total variation": 22.76,
    "local": 23.35,
    "federated": 23.30,
    "fine-tuned": 23.59,
    "pooled": 24.13,
}
FEDERATED, TUNED, LOCAL, POOLED, POOLED_MORE = "federated", "fine-tuned", "local", "pooled", "pooled, all steps"
VARIATION = "total variation"
Scores = Mapping[str, float]


def measure(console: Console) -> Measured:
    """Train and score, row by row."""
    torch.set_num_threads(1)
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    federation, designs = _of_federation(kept, WAYS[:-1]), _of_designs(kept)
    return measured([*federation, *_of_federation(kept, WAYS[-1:]), _of_variation(kept), *designs])


def measured(rows: Sequence[Row]) -> Measured:
    """The table and the targets."""
    return Measured("Super-resolution", table_of(rows), targets_of(rows), [
        "x4 of 'federation': the study `superresolution`, 128 x 128 from 32 x 32, PSNR the mean over four "
        "institutions of the means over their test slices. pooled takes as many steps as a hospital; pooled, all "
        "steps, as many as all hospitals together.",
        f"Designs and losses: all institutions' patches of {ways.PATCH} x {ways.PATCH} in one place, {STEPS} steps "
        f"of {BATCH}, so that designs are compared and no federations; scored on every {ways.EVERY_NTH}th test "
        f"slice, {ways.SHOWN} x {ways.SHOWN}. Gains are over bicubic of the same images.",
        f"total variation: Chambolle and Pock, {ways.SOLVED} test slices of each hospital, its weight the best on "
        f"{ways.TUNED_ON} of its training slices; its gain is over bicubic of the same slices.",
        "MiB: the most that a forward and a backward pass of four patches hold beside the parameters.",
        "x3 and x6, which nobody was trained for: by design, the same network enlarges by that; else its answer is "
        "interpolated.",
        f"CPU minutes of all rows: {sum(float(row[CPU_S]) for row in rows) / 60:.1f}.",
    ])  # fmt: skip


def table_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """One line for each way of training, then for each design, loss and factor."""
    lines = dict.fromkeys((str(row["of"]), str(row["trained"]), str(row["loss"]), int(row["factor"])) for row in rows)
    return [_line(rows, *line) for line in lines]


def _line(rows: Sequence[Row], of: str, trained: str, loss: str, factor: int) -> Mapping[str, Cell]:
    own = [row for row in rows if _is(row, of, trained, loss, factor)]
    others = {f"gain x{other}": _other(own, other) for other in OTHERS}
    psnr, bicubic = mean_of(own, "psnr"), mean_of(own, "bicubic")
    return {
        "of": of,
        "design or way": trained,
        "loss": loss,
        "factor": f"x{factor}",
        "PSNR": psnr,
        "gain": None if psnr is None or bicubic is None else psnr - bicubic,
        "SSIM": mean_of(own, "ssim"),
        **others,
        "parameters": mean_of(own, "parameters"),
        "ms a step": mean_of(own, "ms a step"),
        "MiB": mean_of(own, "MiB of a step"),
        "prototype": PROTOTYPE.get(trained) if of == "federation" else None,
        "CPU s": mean_of(own, CPU_S),
    }


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """Of the federation at x4."""
    psnr = {way: mean_of([row for row in rows if row["trained"] == way], "psnr") for way in WAYS}
    bicubic = mean_of([row for row in rows if row["trained"] == FEDERATED], "bicubic")
    ours, pooled = psnr[FEDERATED], psnr[POOLED]
    gain = None if ours is None or bicubic is None else ours - bicubic
    behind = None if ours is None or pooled is None else pooled - ours
    return [
        _target("federated over bicubic, x4, dB", gain, 0.57, GAIN_DB, f"at least {GAIN_DB}", True),
        _target("federated behind pooled, x4, dB", behind, 0.83, WITHIN_DB, f"at most {WITHIN_DB}", False),
        _target("fine-tuned, x4, dB", psnr[TUNED], None, psnr[LOCAL], "at least local", True),
    ]


WAYS = (FEDERATED, TUNED, POOLED, LOCAL, POOLED_MORE)


def _target(
    name: str, ours: float | None, prototype: float | None, bound: float | None, words: str, above: bool
) -> Target:
    met = None if ours is None or bound is None else (ours >= bound if above else ours <= bound)
    return Target(name, ours, prototype, bound, words, met)


def _is(row: Row, of: str, trained: str, loss: str, factor: int) -> bool:
    return (row["of"], row["trained"], row["loss"], row["factor"]) == (of, trained, loss, factor)


def _other(own: Sequence[Row], factor: int) -> str | None:
    gain = mean_of(own, f"gain x{factor}")
    if gain is None:
        return None
    return f"{gain:+.2f}" + (", by design" if own[0].get(f"by design x{factor}") else ", interpolated")


def _of_federation(kept: KeptRows, chosen: Sequence[str]) -> list[Row]:
    return [row for seed in SEEDS for row in _of_seed(kept, shipped(find("lgg-mri-5site"), seed), chosen)]


def _of_seed(kept: KeptRows, study: Study, chosen: Sequence[str]) -> list[Row]:
    trainings: dict[str, Callable[[], Sequence[nn.Module]]] = {
        FEDERATED: lambda: [_federated(study)] * len(_hospitals(study)),
        TUNED: lambda: _tuned(study),
        POOLED: lambda: [ways.pooled(study, _hospitals(study))] * len(_hospitals(study)),
        LOCAL: lambda: ways.local(study, _hospitals(study)),
        POOLED_MORE: lambda: [ways.pooled(study, _hospitals(study), len(_hospitals(study)))] * len(_hospitals(study)),
    }
    return [
        kept.row(
            {"of": "federation", "trained": way, "loss": "l2", "factor": 4, "seed": study.seed},
            study.json,
            partial(_scored, study, trainings[way]),
        )
        for way in chosen
    ]


def _of_variation(kept: KeptRows) -> Row:
    study = shipped(find("lgg-mri-5site"), SEEDS[0])
    names: dict[str, str | int] = {"of": "federation", "trained": VARIATION, "loss": "", "factor": 4}
    return kept.row(
        {**names, "seed": study.seed}, study.json, lambda: ways.by_variation(study.build_task(), _hospitals(study))
    )


def _scored(study: Study, train: Callable[[], Sequence[nn.Module]]) -> Scores:
    held = [one.splits["test"] for one in _hospitals(study)]
    return ways.scored(study.build_task(), train(), held)


def _hospitals(study: Study) -> Sequence[Hospital]:
    return _opened(study.json)


@lru_cache(maxsize=1)
def _opened(study: str) -> Sequence[Hospital]:
    return hospitals_of(parse_json(study))


def _federated(study: Study) -> nn.Module:
    return _run(study.json)


@lru_cache(maxsize=1)
def _run(text: str) -> nn.Module:
    """As the study says, by the program itself."""
    study = replace(parse_json(text), fine_tuning=None)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        run_quietly(study, folder)
        network = first_network(study, study.build_task(), _hospitals(study)[0].train.shape)
        network.load_state_dict(load_trained(folder).network.state_dict())
        return network


def _tuned(study: Study) -> list[nn.Module]:
    """The federation's model, a little further in every hospital."""
    network, found = _federated(study), []
    for hospital in _hospitals(study):
        hospital.network.load_state_dict(network.state_dict())
        found.append(fine_tuned(hospital, study.fine_tuning or FineTuning()))
    return found


def _of_designs(kept: KeptRows) -> list[Row]:
    return [
        _of_design(kept, design, loss, factor, SEEDS[0]) for factor in (4, 2) for design in DESIGNS for loss in LOSSES
    ]


def _of_design(kept: KeptRows, design: str, loss: str, factor: int, seed: int) -> Row:
    encoder = _encoder(seed) if loss == "perceptual" else None
    study = designed(design, loss, factor, factor, seed, encoder)

    def measure_row() -> Mapping[str, float]:
        network, cost = ways.learned(study, _patches(factor, seed))
        held = _tested(factor, seed)
        found = ways.at_factor(study, network, held)
        row = {"psnr": found["psnr"], "bicubic": found["psnr"] - found["gain"], "ssim": found["ssim"], **cost}
        for other in OTHERS:
            elsewhere = designed(design, loss, factor, other, seed, encoder)
            row[f"gain x{other}"] = ways.at_factor(elsewhere, network, _tested(other, seed))["gain"]
            row[f"by design x{other}"] = ways.takes(design, ways.design_of(study), factor, other)
        return row

    names: dict[str, str | int] = {"of": "design", "trained": design, "loss": loss, "factor": factor, "seed": seed}
    return kept.row(names, study.json, measure_row)


@lru_cache(maxsize=2)
def _patches(factor: int, seed: int) -> Cases:
    return ways.patches(_hospitals(shipped(find("lgg-mri-5site"), seed)), factor, seed)


@lru_cache(maxsize=8)
def _tested(factor: int, seed: int) -> Sequence[Cases]:
    return ways.tested(_hospitals(shipped(find("lgg-mri-5site"), seed)), factor, seed)


def _encoder(seed: int) -> Path:
    """The model of our own pretraining, run where it is not there."""
    model = ways.kept_encoder(FOLDER)
    if not model.is_file():
        run_quietly(pretraining(find("lgg-mri-5site"), seed), model.parent)
    return model


benchmark: Benchmark = measure
