"""Models of counterfactuals that no federation trained, each with as many steps as a hospital makes in one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch

from client.evaluation import evaluate
from client.hospital import open_hospital, site_names
from client.training import Trainer
from common.data.cases import concatenate
from common.learning.abilities import presented
from common.learning.baseline import baseline_trainings
from common.learning.start import first_network
from common.metrics.roc import with_auc
from common.seeding import generator
from common.study.study import parse_json
from common.sums.mean import merge

Scores = dict[str, float | None]


def scores_of_baseline(study_json: str, teachers: Sequence[int] = ()) -> Scores:
    """Of a model of the cases of some hospitals, by their numbers from 0, or of all; on the test cases of all.

    It begins with the federation's first parameters and follows its rates round by round. Its steps are those of one
    hospital of the federation, not of all of them: a step is of one batch everywhere. For a process of its own.
    """
    torch.set_num_threads(1)
    study = parse_json(study_json)
    hospitals = [open_hospital(study_json, index) for index in range(len(site_names(study)))]
    taught_by = [hospitals[index] for index in teachers] or hospitals
    task, cases = study.build_task(), concatenate([one.train for one in taught_by])
    network = first_network(study, task, cases.shape)
    rng = generator(study.seed, "baseline", *(one.site for one in taught_by))
    for training in baseline_trainings(study):
        Trainer(task, network, cases, training, rng).train()
    means = merge(evaluate(task, network, hospital.splits["test"]) for hospital in hospitals)
    return presented(task, with_auc(means))


def mean_of(scores: Sequence[Scores]) -> Scores:
    """Score by score; None where one lacks it."""
    columns = {name: [one.get(name) for one in scores] for name in scores[0]}
    return {
        name: None if None in column else fmean(value for value in column if value is not None)
        for name, column in columns.items()
    }
