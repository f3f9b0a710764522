"""How the benchmark of super-resolution measures images anew, trains, scores, and weighs a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital
from client.training import Trainer
from common.data.cases import Cases, concatenate
from common.learning.baseline import baseline_trainings
from common.learning.parameters import trainable
from common.learning.start import first_network
from common.learning.tasks.superresolution import SuperResolution
from common.metrics.images.of_cases import scores_of_each
from common.reconstruction.design import Design
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.packing import Layout
from common.reconstruction.solve import reconstruct
from common.seeding import generator
from common.study.catalogue import DESIGNS, OPERATORS
from common.study.options import Entry
from common.study.study import Study
from experiments.benchmarks._enlarged_studies import BLURS, NOISES, operator

PATCH, SHOWN = 60, 120
"""Sides of what designs are trained on, and scored on: multiples of 2, 3, 4 and 6."""
EVERY_NTH = 4
"""Test slice of a hospital, where designs are compared."""
CASES_A_BATCH = 32
MIB = 1 << 20
WEIGHTS = (3e-4, 1e-3, 3e-3, 1e-2)
"""Of total variation."""
ITERATIONS, TUNED_ON, SOLVED = 150, 4, 16
"""Of Chambolle and Pock; slices of a hospital on which a weight is chosen, and that are solved."""
Scores = dict[str, float]


def local(study: Study, hospitals: Sequence[Hospital]) -> list[nn.Module]:
    """A model a hospital, of its own images alone, of as many steps as it takes in the federation."""
    found = []
    for hospital in hospitals:
        network = first_network(study, study.build_task(), hospital.train.shape)
        rng = generator(study.seed, hospital.site, "local")
        for training in baseline_trainings(study):
            Trainer(study.build_task(), network, hospital.train, training, rng).train()
        found.append(network)
    return found


def pooled(study: Study, hospitals: Sequence[Hospital], times: int = 1) -> nn.Module:
    """Of all images in one place; `times` as many steps as a hospital takes."""
    task, cases = study.build_task(), concatenate([one.train for one in hospitals])
    network, rng = first_network(study, task, cases.shape), generator(study.seed, "pooled")
    for training in baseline_trainings(study):
        steps = None if training.steps is None else training.steps * times
        Trainer(task, network, cases, replace(training, steps=steps), rng).train()
    return network


def scored(task: Any, networks: Sequence[nn.Module], held: Sequence[Cases]) -> Scores:
    """psnr and ssim of networks, one a hospital, and of the bicubic image: means over cases, then over hospitals.

    A hospital without test cases, which a split that draws each person by itself may leave, counts for nothing.
    """
    each: dict[str, dict[int, float]] = {"psnr": {}, "ssim": {}, "bicubic": {}}
    for index, (network, cases) in enumerate(zip(networks, held, strict=True)):
        if not len(cases):
            continue
        found: dict[str, list[float]] = {name: [] for name in each}
        for start in range(0, len(cases), CASES_A_BATCH):
            batch = cases.batch(slice(start, start + CASES_A_BATCH))
            with torch.no_grad():
                images: Tensor = network.eval()(batch.inputs)
                plain: Tensor = task.start(batch.inputs)
            scores = scores_of_each(images, batch.targets, data_range=1.0, names=("psnr", "ssim"))
            found["psnr"] += scores["psnr"].tolist()
            found["ssim"] += scores["ssim"].tolist()
            found["bicubic"] += scores_of_each(plain, batch.targets, data_range=1.0, names=("psnr",))["psnr"].tolist()
        for name, values in found.items():
            each[name][index] = fmean(values)
    by_hospital = {f"psnr {index}": value for index, value in each["psnr"].items()}
    return {**{name: fmean(values.values()) for name, values in each.items() if values}, **by_hospital}


def by_variation(task: Any, hospitals: Sequence[Hospital]) -> Scores:
    """psnr of total variation, with each hospital's weight the best on some of its training slices."""
    each = []
    for hospital in hospitals:
        test = hospital.splits["test"]
        if not len(test):
            continue
        train = hospital.train.take(_spread(len(hospital.train), TUNED_ON))
        weight = max(WEIGHTS, key=lambda one: _of_variation(task, train, one)["psnr"])
        each.append(_of_variation(task, test.take(_spread(len(test), SOLVED)), weight))
    return {name: fmean(one[name] for one in each) for name in each[0]}


def _of_variation(task: Any, cases: Cases, weight: float) -> Scores:
    batch = cases.batch()
    measured, linear = task.layout(tuple(batch.inputs.shape[1:])).unpack(batch.inputs)
    solved = reconstruct(linear, measured, method="chambolle_pock", prior="tv", weight=weight, iterations=ITERATIONS)
    made = scores_of_each(solved.images, batch.targets, data_range=1.0, names=("psnr", "ssim"))
    plain = scores_of_each(task.start(batch.inputs), batch.targets, data_range=1.0, names=("psnr",))
    return {"psnr": fmean(made["psnr"]), "ssim": fmean(made["ssim"]), "bicubic": fmean(plain["psnr"])}


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))


def patches(hospitals: Sequence[Hospital], factor: int, seed: int) -> Cases:
    """All hospitals' training slices, of each a patch from about the middle, measured by its hospital."""
    found = []
    for index, hospital in enumerate(hospitals):
        rng = generator(seed, hospital.site, "patches")
        truth = np.stack([_patch(image, rng) for image in hospital.train.batch().targets.numpy()])
        found.append(_measured(truth, hospital.train.patients, index, factor, seed))
    return concatenate(found)


def tested(hospitals: Sequence[Hospital], factor: int, seed: int) -> list[Cases]:
    """Every EVERY_NTH test slice of each hospital that has some, its margin left out, measured by it."""
    found = []
    for index, hospital in enumerate(hospitals):
        if not len(hospital.splits["test"]):
            continue
        chosen = hospital.splits["test"].take(np.arange(0, len(hospital.splits["test"]), EVERY_NTH))
        truth = chosen.batch().targets.numpy()
        margin = (truth.shape[-1] - SHOWN) // 2
        inner = truth[..., margin : margin + SHOWN, margin : margin + SHOWN]
        found.append(_measured(inner, chosen.patients, index, factor, seed))
    return found


def learned(study: Study, cases: Cases) -> tuple[nn.Module, Scores]:
    """A network of a design, and what it took: CPU seconds a step, parameters, memory of a step."""
    task = study.build_task()
    network = first_network(study, task, cases.shape)
    begin = process_time()
    Trainer(task, network, cases, study.training, generator(study.seed, "designs")).train()
    step_ms = 1000 * (process_time() - begin) / (study.training.steps or 1)
    others = ("critic.", "encoder.")
    count = sum(one.numel() for name, one in trainable(network) if not name.startswith(others))
    memory = _peak_of_step(task, network, cases.take(np.arange(4)))
    return network, {"ms a step": step_ms, "parameters": count, "MiB of a step": memory}


def at_factor(study: Study, trained: nn.Module, held: Sequence[Cases]) -> Scores:
    """Scores of a trained network on images that were measured otherwise, or are of another size."""
    task = study.build_task()
    network = first_network(study, task, held[0].shape)
    network.load_state_dict(trained.state_dict())
    found = scored(task, [network] * len(held), held)
    return {"psnr": found["psnr"], "gain": found["psnr"] - found["bicubic"], "ssim": found["ssim"]}


def takes(design: str, options: Mapping[str, Any], made_for: int, factor: int) -> bool:
    """Whether a design enlarges by a factor as it is."""
    made = cast(Design, DESIGNS.build(Entry(design, options)))
    return made.takes((made_for, made_for), (factor, factor))


def kept_encoder(folder: Path) -> Path:
    """Where the pretraining's model is."""
    return folder / "encoder" / "model.safetensors"


def design_of(study: Study) -> Mapping[str, Any]:
    """Its options."""
    return cast(SuperResolution, study.build_task()).design.options


def _patch(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(1, PATCH, PATCH) from the middle two thirds."""
    side = image.shape[-1]
    least, most = side // 6, side - side // 6 - PATCH
    top, left = rng.integers(least, most + 1, 2)
    return image[:, top : top + PATCH, left : left + PATCH]


def _measured(truth: NDArray[np.float32], patients: Any, hospital: int, factor: int, seed: int) -> Cases:
    entry = Entry("downsampling", operator(factor, BLURS[hospital % len(BLURS)]))
    built = cast(Operator, OPERATORS.build(entry))
    shape = tuple(truth.shape[1:])
    layout, rng = Layout.of(built, shape), generator(seed, "measured", hospital, factor)
    drawn = {
        name: torch.from_numpy(np.stack([one] * len(truth))).float() for name, one in built.draw(rng, shape).items()
    }
    images = torch.from_numpy(np.ascontiguousarray(truth))
    small = built.map(shape, drawn).forward(images)
    noise = torch.from_numpy(rng.standard_normal(tuple(small.shape), np.float32)) * NOISES[hospital % len(NOISES)]
    return Cases.of(layout.pack(small + noise, drawn).numpy(), np.ascontiguousarray(truth), patients)


def _peak_of_step(task: Any, network: nn.Module, cases: Cases) -> float:
    """The most that a forward and a backward pass of four patches hold at once beside the parameters, in MiB."""
    from torch.profiler import ProfilerActivity, profile

    network.train()
    batch = cases.batch()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        task.loss(network, batch).sum().backward()
    held = most = 0
    events = cast(Any, profiled.profiler).kineto_results.events()
    for event in sorted((one for one in events if one.name() == "[memory]"), key=lambda one: one.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most / MIB
