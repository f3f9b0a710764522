"""What a run left can be used whatever was frozen, followed or brought along: read, exported, read again."""

import numpy as np
import pytest
import torch

from client.sources.table import Table
from common.data.cases import Shape
from common.errors import FileError, StudyError
from common.learning import plain_network
from common.learning.parameters import Layout, digest, read
from common.learning.score_names import statistic_names
from common.learning.tasks.classification import Classification
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse
from experiments.evaluating import evaluation_of
from experiments.exporting.conduct import export
from experiments.prediction.trained import load_trained
from experiments.tracking.live import _Telling
from server.run_folder import RunFolder
from tests.experiments.trained_runs import trained_run
from wardround.runs import load

OWN = """
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from common.learning.tasks.classification import Classification


class Ward(nn.Module):
    def __init__(self, features, classes, width=3):
        super().__init__()
        self.body, self.head = nn.Linear(features, width), nn.Linear(width, classes)
        self.rates = [one.item() for one in torch.linspace(0, 1, 3)]

    def forward(self, rows):
        return self.head(torch.tanh(self.body(rows)))


class Fixed(Ward):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.body.requires_grad_(False)


class Counted(Ward):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.register_buffer("seen", torch.zeros(2))


class Followed(Classification):
    companion: ClassVar[tuple[str, ...]] = ("seen",)


def cautious(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")
"""
TABLE = "age,bp,label\n6,1.4,ill\n3,1.2,well\n4,1.3,ill\n5,1.1,well\n"
NETWORKS = {
    "an own network": 'task = { name = "classification", network = "own.py:Ward" }',
    "an own loss": 'task = { name = "classification", network = "logistic", loss = "own.py:cautious" }',
    "an own network that freezes itself": 'task = { name = "classification", network = "own.py:Fixed" }',
    "a companion that is a buffer": 'task = { name = "own.py:Followed", network = "own.py:Counted" }',
    "frozen parts": 'task = { name = "classification", network = "mlp" }\ntraining = { freeze = ["*.bias"] }',
    "frozen parts of an own network": (
        'task = { name = "classification", network = "own.py:Ward" }\ntraining = { freeze = ["body.*"] }'
    ),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def left(request, tmp_path):
    """A run's folder and its network; what is built is forgotten, as a later command begins anew."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(TABLE)
    source = (
        f'{{ name = "table", folder = "{tmp_path / "data"}", features = ["age", "bp"], classes = ["well", "ill"] }}'
    )
    cases = Table(str(tmp_path / "data"), features=("age", "bp"), classes=("well", "ill")).cases("a", 0)
    text = f'title = "Any"\nsource = {source}\n{request.param}\n'
    with trusting(ANYTHING):
        network = trained_run(tmp_path / "run", text, cases, steps=2, columns=("age", "bp"))
        plain_network._alike.clear()
        yield tmp_path / "run", network


def test_it_is_read_and_exported_and_read_again(left, tmp_path):
    folder, network = left
    rows = torch.tensor([[6.0, 1.4], [3.0, 1.2]])
    export(load_trained(folder), bundle=tmp_path / "bundle")
    for found in (load_trained(folder), load_trained(tmp_path / "bundle")):
        assert found.model_sha256 == digest(read(network))
        assert torch.equal(found.network(rows), network(rows))
    assert np.array_equal(load(folder, trust_code=True).predict(rows), network(rows).argmax(1))


def test_a_frozen_parameter_of_another_model_is_still_told(left):
    folder, network = left
    other = {name: torch.zeros_like(one) for name, one in network.named_parameters()}
    network.load_state_dict(other, strict=False)
    RunFolder(folder).write_model(read(network), Layout.of(network))
    with pytest.raises(FileError, match="not the model that the run ended with"):
        load_trained(folder)


def test_a_study_that_trains_can_be_evaluated_whatever_its_training_says(tmp_path):
    text = f"""
title = "Any"
source = {{ name = "table", folder = "{tmp_path}" }}
task = {{ name = "classification", network = "mlp" }}
strategy = {{ name = "fedavg", learning_rate = 0.5 }}
training = {{ freeze = ["1.*"], schedule = {{ kind = "cosine", warm_up_rounds = 1 }} }}
server_schedule = {{ kind = "linear" }}
start = {{ model = "first.safetensors", sha256 = "{"a" * 64}", only = ["encoder.*"] }}
"""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(TABLE)
    evaluation = evaluation_of(tmp_path / "model.safetensors", text, (), None)
    study = parse(text, evaluation.overrides)
    assert study.start.model == str(tmp_path / "model.safetensors")
    assert (study.start.sha256, study.start.only, study.training.freeze) == (None, (), ())


def test_a_run_that_failed_before_its_start_is_told_whole(tmp_path):
    text = 'title = "Any"\nsource = { name = "table", folder = "nowhere" }\ntask = "classification"\n'
    run = RunFolder(tmp_path)
    run.write_text("study.toml", text)
    run.write_json("about.json", {"state": "failed", "study": "any"})
    told = []

    class Notes:
        def begin(self, title, name, settings):
            told.append(title)

        def log(self, scalars):
            assert told == ["Any"]

        def end(self, state, facts):
            told.append(state)

    assert _Telling(parse(text), "any", Notes()).finish(tmp_path) == ""
    assert told == ["Any", "failed"]


def test_a_task_that_cannot_score_ends_in_a_sentence():
    class Odd(Classification):
        def score(self, network, batch):
            return {"odd": network(batch.inputs).tolist()[7]}

    with pytest.raises(StudyError, match=r"'Odd' cannot score made-up cases of shape .3,. .* IndexError"):
        statistic_names(Odd(), Shape((3,), 2))
