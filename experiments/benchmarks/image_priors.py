"""Priors beside each other: none, total variation, an untrained network, a federated generator, a federated denoiser.

Rows are kept in `runs/bench/image-priors` of the folder it is called in; called again, it goes on. Beside them are
`priors.png`, an image by every method, and `before-noise.svg`, that an untrained network fits images before noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from client.hospital import Hospital
from common.files.access import write
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _image_prior_methods as methods
from experiments.benchmarks import _image_prior_studies as studies
from experiments.benchmarks._image_prior_pictures import before_noise, keep, sheet
from experiments.benchmarks._image_prior_problems import (
    LARGE,
    PROBLEMS,
    Acquisition,
    ImagingProblem,
    acquired,
    real_slice,
    slices_of,
)
from experiments.benchmarks._kept_rows import KeptRows, Row
from experiments.benchmarks._pretraining_ways import hospitals_of

FOLDER = Path("runs") / "bench" / "image-priors"
BUDGET_CPU_S = 1200.0
NONE, TV, UNTRAINED = "data alone", "total variation", "deep image prior"
LATENTS, GENERATOR, DENOISER = "generator, latents alone", "generator", "denoiser"
LEARNED = {LATENTS: "generator", GENERATOR: "generator", DENOISER: "denoiser"}
"""Methods whose rows are measured anew where their network learned otherwise."""
CURVE = "fitted by an untrained network"
LEAST_OF_TV_DB = -1.0
NOISE_LATER = 3.0
"""Times the loss of an image, that of noise after as many steps."""
Solve = Callable[[Acquisition], tuple[torch.Tensor, Mapping[str, float]]]


def measure(console: Console) -> Measured:
    """Row by row."""
    torch.set_num_threads(1)
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    rows = [*_large(kept), *_learned(kept), *_curves(kept), *_small(kept)]
    write(FOLDER, "before-noise.svg", before_noise({row["method"]: row["losses"] for row in _of(rows, CURVE)}))
    sheet(FOLDER, [problem.name for problem in PROBLEMS], [NONE, TV, UNTRAINED, LATENTS, GENERATOR, DENOISER])
    return measured(rows)


def measured(rows: Sequence[Row]) -> Measured:
    """The table and the targets."""
    return Measured("Priors of images", [_line(row) for row in rows if "psnr" in row], targets_of(rows), [
        "PSNR in dB, of images from 0 to 1, magnitudes of complex ones; CPU seconds of one thread, an image. Weights "
        "of total variation are those best on other images; nothing else looks at a truth.",
        f"{LARGE.name}: one slice, noise .05. The others: a test slice of {studies.SIDE} x {studies.SIDE} of each of "
        "four institutions; generator and denoiser were learned by these, of other patients, and saw no operator.",
        "steps: mean of those after which the untrained network stopped by itself.",
    ])  # fmt: skip


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """Of the large slice and of the curves."""
    large = {row["method"]: float(row["psnr"]) for row in _of(rows, LARGE.name)}
    ours, classical = large.get(UNTRAINED), large.get(TV)
    bound = None if classical is None else classical + LEAST_OF_TV_DB
    met = None if ours is None or bound is None else ours >= bound
    last = {row["method"]: row["losses"][-1][1] for row in _of(rows, CURVE)}
    later = last["noise"] / last["image"] if {"noise", "image"} <= set(last) else None
    return [
        Target("deep image prior, stopped by itself", ours, classical, bound, "at least TV - 1 dB", met),
        Target(
            "loss of noise over that of an image",
            later,
            None,
            NOISE_LATER,
            f"at least {NOISE_LATER:g}",
            None if later is None else later >= NOISE_LATER,
        ),
    ]


def _line(row: Row) -> Mapping[str, Cell]:
    return {
        "problem": row["problem"],
        "method": row["method"],
        "PSNR": round(row["psnr"], 2),
        "worst": round(row["worst"], 2),
        "CPU s": round(row["cpu_s_an_image"], 2),
        "steps": row.get("steps"),
    }


def _of(rows: Sequence[Row], problem: str) -> list[Row]:
    return [row for row in rows if row["problem"] == problem]


def _learned(kept: KeptRows) -> list[Row]:
    return [
        kept.row(
            {"problem": "learned", "method": prior},
            studies.study_of(prior).json,
            partial(_learn, prior),
        )
        for prior in ("generator", "denoiser")
    ]


def _learn(prior: str) -> Mapping[str, int]:
    network = studies.learn(studies.study_of(prior), _hospitals(prior), FOLDER / prior)
    return {"parameters": sum(one.numel() for one in network.parameters())}


@cache
def _hospitals(prior: str) -> Sequence[Hospital]:
    return hospitals_of(studies.study_of(prior))


@cache
def _network(prior: str) -> nn.Module:
    return studies.learned(studies.study_of(prior), _hospitals(prior), FOLDER / prior)


def _large(kept: KeptRows) -> list[Row]:
    one, other = acquired(LARGE, real_slice()), acquired(LARGE, real_slice(methods.OTHER_SLICE), "other")
    solves: dict[str, Solve] = {
        NONE: methods.alone,
        TV: partial(methods.total_variation, known=[other]),
        UNTRAINED: methods.untrained,
    }
    return [_row(kept, LARGE, name, solve, {"slice": one}) for name, solve in solves.items()]


def _small(kept: KeptRows) -> list[Row]:
    hospitals = _hospitals("generator")
    tested, known = slices_of(hospitals, "test"), slices_of(hospitals, "validation")
    rows = []
    for problem in PROBLEMS:
        cases = {site: acquired(problem, image, site) for site, image in tested.items()}
        others = [acquired(problem, image, site, "other") for site, image in known.items()]
        solves: dict[str, Solve] = {
            NONE: methods.alone,
            TV: partial(methods.total_variation, known=others),
            UNTRAINED: methods.untrained,
            LATENTS: partial(methods.generated, network=partial(_network, "generator"), adapted=False),
            GENERATOR: partial(methods.generated, network=partial(_network, "generator"), adapted=True),
            DENOISER: partial(methods.denoised, network=partial(_network, "denoiser")),
        }
        rows += [_row(kept, problem, name, solve, cases) for name, solve in solves.items()]
    return rows


def _row(kept: KeptRows, problem: ImagingProblem, name: str, solve: Solve, cases: Mapping[str, Acquisition]) -> Row:
    def measure_row() -> Mapping[str, Any]:
        scores, more, begin = list[float](), list[Mapping[str, float]](), process_time()
        images: list[NDArray[np.float32]] = []
        for case in cases.values():
            image, told = solve(case)
            scores.append(methods.psnr(image, case.truth))
            more.append(told)
            images.append(methods.magnitude(image))
        spent = process_time() - begin
        truth = methods.magnitude(next(iter(cases.values())).truth)
        keep(FOLDER, problem.name, name, images[0], truth)
        told = {key: float(np.mean([one[key] for one in more])) for key in more[0]}
        return {
            "psnr": float(np.mean(scores)),
            "worst": min(scores),
            "cpu_s_an_image": spent / len(cases),
            **told,
        }

    prior = LEARNED.get(name)
    learned = "" if prior is None else studies.study_of(prior).json
    setting = f"{problem}{sorted(cases)}{methods.setting(name)}{learned}"
    return kept.row({"problem": problem.name, "method": name}, setting, measure_row)


def _curves(kept: KeptRows) -> list[Row]:
    return [
        kept.row(
            {"problem": CURVE, "method": name},
            methods.CURVE_SETTING,
            lambda image=image: {"losses": methods.losses(image)},  # type: ignore[misc]
        )
        for name, image in methods.to_fit(real_slice()).items()
    ]


benchmark: Benchmark = measure
