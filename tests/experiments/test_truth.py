"""Cases behind a private update, replayed by the hospital's own draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from client.private_training import PrivateTrainer
from common.data.cases import Batch
from common.learning.parameters import read_gradient
from common.seeding import generator
from common.study.study import Study
from experiments.evidence.ground_truth import facts_of_hospital, hospital_of, truth_of

UNCLIPPED = 1e6


@pytest.mark.parametrize(
    "privacy",
    [
        '{name="dpsgd",noise_multiplier=1.0,delta=1e-3}',
        '{name="dpsgd",noise_multiplier=1.0,delta=1e-3,unit="sample"}',
        '{name="distributed",noise_multiplier=1.0,delta=1e-3,sampling_rate=0.5}',
    ],
)
def test_the_replayed_sample_has_the_sum_of_gradients_of_the_private_step(
    tiny: Callable[..., Study], privacy: str
) -> None:
    study = tiny("strategy=fedsgd", "training={batch_size=8}", f"privacy={privacy}")
    hospital = hospital_of(study, "hospital-1")
    facts = facts_of_hospital(hospital)
    rate = 0.5 if "distributed" in privacy else min(1.0, 8 / facts.patients)
    trainer = PrivateTrainer(
        hospital.task,
        hospital.network,
        hospital.train,
        study.training,
        clip_norm=UNCLIPPED,
        noised=lambda total: total,
        unit="sample" if 'unit="sample"' in privacy else "patient",
        sampling_rate=rate,
        rng=generator(study.seed, 3, "hospital-1", "sampling"),
    )
    wanted = trainer.clipped_sum()
    truth = truth_of(study, 3, ["hospital-1"])
    assert len(truth) > 0
    hospital.network.zero_grad()
    batch = Batch.of(torch.from_numpy(truth.inputs), torch.from_numpy(truth.targets), truth.patients)
    hospital.task.loss(hospital.network, batch).sum().backward()
    np.testing.assert_allclose(read_gradient(hospital.network), wanted, atol=1e-4)
