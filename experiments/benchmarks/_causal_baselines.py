"""Models of counterfactuals that no federation trained, each with as many steps as a hospital makes in one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch

from client.evaluation import evaluate
from client.hospital import Hospital, open_hospital, site_names
from client.training import Trainer
from common.data.cases import concatenate
from common.learning.abilities import presented
from common.learning.baseline import baseline_trainings
from common.learning.start import first_network
from common.metrics.roc import with_areas
from common.seeding import generator
from common.study.study import Study, parse_json
from common.sums.mean import merge

Scores = dict[str, float | None]


def scores_of_baselines(study_json: str, alone: Sequence[int]) -> dict[str, Scores]:
    """Of a model of all hospitals' cases, and the mean of models of single hospitals, by their numbers from 0.

    All are scored on the test cases of all hospitals. For a process of its own.
    """
    torch.set_num_threads(1)
    study = parse_json(study_json)
    hospitals = [open_hospital(study_json, index) for index in range(len(site_names(study)))]
    found = {"pooled": scores_of(study, hospitals, hospitals)}
    if alone:
        found["one hospital"] = mean_of([scores_of(study, [hospitals[index]], hospitals) for index in alone])
    return found


def scores_of(study: Study, teachers: Sequence[Hospital], hospitals: Sequence[Hospital]) -> Scores:
    """Trained on the cases of `teachers` from the federation's first parameters, at its rates round by round.

    The steps are those of one hospital of the federation, not of all of them: a step is of one batch everywhere.
    """
    task, cases = study.build_task(), concatenate([teacher.train for teacher in teachers])
    network = first_network(study, task, cases.shape)
    rng = generator(study.seed, "baseline", *(teacher.site for teacher in teachers))
    for training in baseline_trainings(study):
        Trainer(task, network, cases, training, rng).train()
    means = merge(evaluate(task, network, hospital.splits["test"]) for hospital in hospitals)
    return presented(task, with_areas(means))


def mean_of(scores: Sequence[Scores]) -> Scores:
    """Score by score; None where one lacks it."""
    columns = {name: [one.get(name) for one in scores] for name in scores[0]}
    return {
        name: None if None in column else fmean(value for value in column if value is not None)
        for name, column in columns.items()
    }
