"""What is learned in a federation before `bench image-priors`: a generator and a denoiser, of images alone."""

from __future__ import annotations

from pathlib import Path

from client.hospital import Hospital, open_hospital, site_names
from common.study.study import Study, parse
from experiments.benchmarks._data import find
from experiments.engines._quiet import run_quietly

SIDE = 64
_TASKS = {
    "generator": 'name = "generator"\nlatent_steps = 0\nadaptation_steps = 0',
    "denoiser": 'name = "denoiser"',
}
"""While it is trained no case is searched: the benchmark asks for its own search."""
_TRAININGS = {
    "generator": "steps = 24\nbatch_size = 8\nlearning_rate = 0.003",
    "denoiser": "steps = 20\nbatch_size = 8\nlearning_rate = 0.003",
}
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


def hospitals_of(study: Study) -> list[Hospital]:
    """All of the simulated federation."""
    return [open_hospital(study.json, index) for index in range(len(site_names(study)))]


def learn(study: Study, folder: Path) -> float:
    """Run the federation into a folder; its score."""
    final = run_quietly(study, folder).final
    return float(final["test"]["pooled"]["psnr"])
