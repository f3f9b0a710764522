"""What is learned in a federation before `bench image-priors`: a generator and a denoiser, of images alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from client.hospital import Hospital
from common.files.tensor_files import read_tensors, write_tensors
from common.learning.parameters import kept
from common.learning.start import first_network
from common.study.study import Study, parse
from experiments.benchmarks._data import find
from experiments.benchmarks._pretraining_ways import federated

SIDE = 64
_TASKS = {
    "generator": 'name = "generator"',
    "denoiser": 'name = "denoiser"\nnetwork = { name = "ffdnet", channels = 32, depth = 4 }',
}
_TRAININGS = {
    "generator": "steps = 24\nbatch_size = 8\nlearning_rate = 0.003",
    "denoiser": "steps = 60\nbatch_size = 8\nlearning_rate = 0.003\nwarm_up_steps = 5",
}
MODEL = "model.safetensors"
ROUNDS = {"generator": 12, "denoiser": 8}


def study_of(prior: str) -> Study:
    """LGG by real institution, fully sampled: nothing that is measured later is known."""
    return parse(f"""
title = "A {prior} of brain slices of four institutions"
rounds = {ROUNDS[prior]}
seed = 7
strategy = "fedavg"
aggregation = "plain"
engine = "inline"

[source]
name = "acquired"
images = {{ name = "lgg", size = {SIDE}, folder = "{find("lgg-mri-5site")}" }}
operators = ["denoising"]

[task]
{_TASKS[prior]}
operator = "denoising"

[training]
optimiser = "adam"
schedule = {{ kind = "cosine" }}
{_TRAININGS[prior]}

[split]
validation = 0.1
test = 0.2

[federation]
evaluate_every = 1000
final_intervals = false
""")


def learn(study: Study, hospitals: Sequence[Hospital], folder: Path) -> nn.Module:
    """What a run of the study ends with, kept in a folder."""
    network = federated(study, hospitals)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder, MODEL, {name: one.detach().cpu().numpy() for name, one in kept(network)})
    return network


def learned(study: Study, hospitals: Sequence[Hospital], folder: Path) -> nn.Module:
    """What `learn` kept there."""
    network = first_network(study, study.build_task(), hospitals[0].train.shape)
    network.load_state_dict(
        {name: torch.from_numpy(one) for name, one in read_tensors(folder, MODEL).tensors.items()}
    )
    return network.eval()
