"""The model that pooled data would give: the bar for the federation, in simulation only."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from client.evaluation import evaluate
from client.hospital import Hospital, open_hospital, site_names
from client.training import Trainer
from common.data.cases import SiteId, concatenate
from common.files.access import write
from common.learning.abilities import presented
from common.learning.baseline import baseline_rounds
from common.learning.device import chosen, placed, repeatable
from common.learning.start import first_network
from common.learning.task import Task
from common.metrics.roc import with_auc
from common.seeding import generator
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse_json
from common.sums.mean import Mean, merge
from experiments.engine import quieten
from experiments.engines._clean_start import without_main
from experiments.engines._fork_server import fork_context

NICENESS = 5
"""The bar is trained beside the federation and must not slow it down."""


def train_pooled(study: Study, sites: Collection[SiteId] | None = None) -> dict[str, Any]:
    """Train one model on all training cases together; its scores on every hospital's test cases.

    sites: the hospitals, if not all of the study: those that took part in the run it is compared with.

    It starts from the federation's initial parameters and passes over the data as often as the hospitals do.
    """
    begin = perf_counter()
    own = [index for index, site in enumerate(site_names(study)) if sites is None or site in sites]
    hospitals = [open_hospital(study.json, index) for index in own]
    task = study.build_task()
    device = chosen(share=len(own))
    with repeatable(device):
        network = pooled_network(study, hospitals, device)
        scores = {hospital.site: _test_scores(hospital, network) for hospital in hospitals}
    return {
        "pooled": {site: _values(task, means) for site, means in scores.items()},
        "pooled_all": _values(task, merge(scores.values())),
        "seconds": {"pooled": perf_counter() - begin},
    }


def pooled_network(study: Study, hospitals: Sequence[Hospital], device: torch.device) -> torch.nn.Module:
    """Trained on all their training cases together, from the federation's initial parameters, and as often."""
    task = study.build_task()
    cases = concatenate([hospital.train for hospital in hospitals])
    network = placed(first_network(study, task, cases.shape), device)
    rng = generator(study.seed, "pooled")
    for learned, training in baseline_rounds(study, task):
        steps = training.steps if study.training.steps is None else (training.steps or 0) * len(hospitals)
        Trainer(learned, network, cases, replace(training, steps=steps), rng).train()
    return network


def _test_scores(hospital: Hospital, network: torch.nn.Module) -> dict[str, Mean]:
    return evaluate(hospital.task, network, hospital.splits["test"])


def _values(task: Task, means: Mapping[str, Mean]) -> dict[str, float | None]:
    return presented(task, with_auc(means))


def start(study: Study, answer: Path, sites: Collection[SiteId] | None = None) -> BaseProcess:
    """Train in a process of its own, which leaves its scores in `answer`, or under `failed` why there are none."""
    quieten()
    answer.unlink(missing_ok=True)
    own = None if sites is None else tuple(sites)
    context = fork_context(study, answer.parent) if study.engine == "processes" else get_context("spawn")
    process: BaseProcess = context.Process(target=_work, args=(study.json, str(answer), own), daemon=True)
    with without_main():
        process.start()
    return process


def _work(study_json: str, answer: str, sites: tuple[SiteId, ...] | None) -> None:
    with suppress(OSError):
        os.nice(NICENESS)
    torch.set_num_threads(1)
    try:
        with trusting(ANYTHING):
            table = train_pooled(parse_json(study_json), sites)
    except Exception as error:  # noqa: BLE001 - said by the run that waits for it
        table = {"failed": f"{type(error).__name__}: {error}"}
    write(Path(answer).parent, Path(answer).name, json.dumps(table))
