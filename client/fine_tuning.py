"""The federation's model, trained further in one hospital: its scores before and after, and where it stays."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from client.hospital import Hospital
from client.training import Trainer
from common.files.access import private_folder
from common.files.json_files import write_json
from common.files.tensor_files import write_tensors
from common.learning.abilities import presented
from common.learning.client_work import Training
from common.learning.freezing import only
from common.learning.parameters import kept
from common.learning.task import Task
from common.metrics.roc import with_auc
from common.seeding import generator
from common.study.fine_tuning import FineTuning
from common.study.study import Study
from common.sums.mean import Statistics

FOLDER, MODEL, SCORES = "fine-tuned", "model.safetensors", "scores.json"
STUDY_DIGITS = 16


def fine_tuned(hospital: Hospital, wanted: FineTuning) -> nn.Module:
    """A copy of the hospital's network, trained on its own training cases; as it is where there are none."""
    network = deepcopy(hospital.network)
    only(network, wanted.parameters, "fine_tuning.parameters")
    if len(hospital.train):
        rng = generator(hospital.study.seed, hospital.site, "fine-tuning")
        Trainer(hospital.task, network, hospital.train, _settings(hospital.study, wanted), rng).train()
    return network


def keep(
    folder: Path | None, study: str, run: str, task: Task, network: nn.Module, before: Statistics, after: Statistics
) -> None:
    """In the hospital's own folder, if it has one: the model, whole, and its scores beside the federation's.

    study: its digest, since the coordinator chooses what runs are called.
    """
    if folder is None:
        return
    place = private_folder(folder / FOLDER, f"{study[:STUDY_DIGITS]}-{run or 'run'}", durable=True)
    tensors = {name: np.array(one.detach().cpu().numpy()) for name, one in kept(network)}
    write_tensors(place, MODEL, tensors, durable=True)
    found = {"before": before, "after": after}
    scores = {name: dict(presented(task, with_auc(means))) for name, means in found.items()}
    write_json(place, SCORES, scores, durable=True)


def _settings(study: Study, wanted: FineTuning) -> Training:
    """Those of the last round, but for what [fine_tuning] says."""
    training = study.training.in_round(study.rounds)
    rate = training.learning_rate if wanted.learning_rate is None else wanted.learning_rate
    return replace(training, epochs=wanted.epochs, steps=wanted.steps, learning_rate=rate)
