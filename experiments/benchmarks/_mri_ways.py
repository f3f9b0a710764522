"""Ways to learn one reconstruction from hospitals whose operators differ: alone, together, pooled, or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from client.evaluation import evaluate
from client.fine_tuning import fine_tuned
from client.hospital import Hospital, open_hospital, site_names
from client.training import Trainer
from common.learning.baseline import baseline_trainings
from common.learning.start import first_network
from common.seeding import generator
from common.study.study import Study, parse
from experiments.benchmarks._data import find
from experiments.engines._pooled import pooled_network
from experiments.engines._quiet import run_quietly
from experiments.prediction.trained import load_trained

STUDY = Path(__file__).parents[1] / "studies" / "mri.toml"
Scores = Mapping[str, float]
"""PSNR in dB by hospital, and `gain` of the name: over the image that the data give by themselves."""
LEAST_SCORED = 56
"""Slices of each hospital, evenly among its test cases: neighbours are much alike, and exact scores cost time."""
GAIN, TUNED = "gain ", "tuned "


def study_of(seed: int, *more: str) -> Study:
    """The shipped study on one process, scored at the end alone."""
    own = (f'source.folder="{find("lgg-mri-5site")}"', f"seed={seed}", "engine=inline", "federation.evaluate_every=0")
    least = ("federation.final_intervals=false", "baselines={local=false, pooled=false}", "split.validation=0.0")
    return parse(STUDY.read_text(encoding="utf-8"), [*own, *least, *more])


def hospitals_of(study: Study) -> list[Hospital]:
    """All of them."""
    return [open_hospital(study.json, index) for index in range(len(site_names(study)))]


def steps_of(study: Study) -> int:
    """That one hospital takes, one after the other."""
    return study.rounds * (study.training.steps or 0)


def federated(study: Study, hospitals: Sequence[Hospital]) -> nn.Module:
    """As the study says, without its fine-tuning."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        run_quietly(replace(study, fine_tuning=None), folder)
        network = first_network(study, study.build_task(), hospitals[0].train.shape)
        network.load_state_dict(load_trained(folder).network.state_dict())
        return network


def together(study: Study, hospitals: Sequence[Hospital]) -> Scores:
    """The federation's model in every hospital, and what each makes of it by fine-tuning."""
    network = federated(study, hospitals)
    return {**scored(network, hospitals), **_tuned(study, network, hospitals)}


def only_together(study: Study, hospitals: Sequence[Hospital]) -> Scores:
    """The federation's model in every hospital."""
    return scored(federated(study, hospitals), hospitals)


def pooled(study: Study, hospitals: Sequence[Hospital]) -> Scores:
    """Trained on all hospitals' images together: as many steps in all as the hospitals take."""
    return scored(pooled_network(study, hospitals, torch.device("cpu")), hospitals)


def pooled_in_as_many_steps(study: Study, hospitals: Sequence[Hospital]) -> Scores:
    """The same in as many steps as one hospital takes."""
    each = (study.training.steps or 0) // len(hospitals)
    return pooled(replace(study, training=replace(study.training, steps=each)), hospitals)


def alone(study: Study, hospitals: Sequence[Hospital], elsewhere: str) -> Scores:
    """Every hospital's own model at home, and, as `at elsewhere: name`, at a hospital whose operator it never met."""
    found: dict[str, float] = {}
    for hospital in hospitals:
        network = first_network(study, hospital.task, hospital.train.shape)
        rng = generator(study.seed, hospital.site, "local-only")
        for training in baseline_trainings(study):
            Trainer(hospital.task, network, hospital.train, training, rng).train()
        found |= scored(network, [hospital])
        if hospital.site != elsewhere:
            there = scored(network, [one for one in hospitals if one.site == elsewhere])
            found |= {_at(elsewhere, hospital.site): there[elsewhere]} if elsewhere in there else {}
    return found


def of_others(study: Study, hospitals: Sequence[Hospital], elsewhere: str) -> Scores:
    """The model of a federation of all hospitals but one, in that one."""
    members = [one.site for one in hospitals if one.site != elsewhere]
    source = replace(study.source, options={**study.source.options, "members": members})
    others = replace(study, source=source)
    other = next(one for one in hospitals if one.site == elsewhere)
    return scored(federated(others, hospitals_of(others)), [other])


def best_alone(row: Mapping[str, object], elsewhere: str) -> float | None:
    """Of the models that hospitals trained alone, the best at one where none of them was trained."""
    found = [float(str(value)) for name, value in row.items() if name.startswith(_at(elsewhere, ""))]
    return max(found, default=None)


def _at(elsewhere: str, site: str) -> str:
    return f"at {elsewhere}: {site}"


def scored(network: nn.Module, hospitals: Sequence[Hospital]) -> dict[str, float]:
    """Nothing of a hospital without test cases, which a split that draws each person by itself may leave."""
    found: dict[str, float] = {}
    for hospital in hospitals:
        cases = hospital.splits["test"]
        rows = np.arange(0, len(cases), max(1, len(cases) // LEAST_SCORED))
        scores = evaluate(hospital.task, network, cases.take(rows))
        if not scores:
            continue
        found |= {
            hospital.site: float(scores["psnr"].value or 0),
            GAIN + hospital.site: float(scores["gain"].value or 0),
        }
        if "ssim" in scores:
            found["ssim " + hospital.site] = float(scores["ssim"].value or 0)
    return found


def _tuned(study: Study, network: nn.Module, hospitals: Sequence[Hospital]) -> dict[str, float]:
    assert study.fine_tuning is not None
    found: dict[str, float] = {}
    for hospital in hospitals:
        hospital.network.load_state_dict(network.state_dict())
        own = fine_tuned(hospital, study.fine_tuning)
        found |= {TUNED + name: value for name, value in scored(own, [hospital]).items()}
    return found
