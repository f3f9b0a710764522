from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital
from client.training import Trainer
from common.errors import StudyError
from common.learning.parameters import read, write
from common.study.study import Study
from experiments.evidence.observing import observe
from experiments.running.run import run_study


def recorded(study: Study, folder: Path) -> Path:
    run_study(study, "tiny", folder)
    return folder


def test_the_server_sees_every_single_update_and_its_model(tiny: Callable[..., Study], tmp_path: Path) -> None:
    study = tiny("rounds=2", "federation.record_traffic=true", "strategy=fedsgd", 'training={batch_size="full"}')
    seen = observe(recorded(study, tmp_path / "run"))
    assert len(seen.sites) == 4
    assert {(single.round, single.site) for single in seen.singles} == {(t, s) for t in (1, 2) for s in seen.sites}
    assert sorted(seen.models) == [1, 2, 3]
    hospital = open_hospital(study.json, 1)
    write(hospital.network, seen.models[1])
    own = Trainer(hospital.task, hospital.network, hospital.train, study.training, np.random.default_rng(0))
    (single,) = [one for one in seen.singles if one.round == 1 and one.site == hospital.site]
    np.testing.assert_array_equal(single.update.vectors[0], own.gradient_update().vectors[0])
    assert seen.cases[hospital.site] == len(hospital.train)
    mean = sum(one.update.vectors[0].astype(np.float64) for one in seen.singles if one.round == 1)
    np.testing.assert_allclose(seen.sums[0].update.vectors[0], mean)
    assert seen.final_model.shape == read(hospital.network).shape


def test_others_see_less(tiny: Callable[..., Study], tmp_path: Path) -> None:
    folder = recorded(tiny("rounds=1", "federation.record_traffic=true"), tmp_path / "run")
    outsider = observe(folder, "outsider")
    assert (outsider.singles, outsider.sums, len(outsider.models)) == ((), (), 1)
    colleague = observe(folder, "hospital", outsider.sites[0])
    assert (colleague.singles, colleague.sums, sorted(colleague.models)) == ((), (), [1, 2])
    with pytest.raises(StudyError, match="needs the name of a hospital"):
        observe(folder, "hospital", "nowhere")


def test_a_run_without_recorded_traffic_says_how_to_record_it(tiny: Callable[..., Study], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"federation\.record_traffic=true"):
        observe(recorded(tiny("rounds=1"), tmp_path / "run"))
