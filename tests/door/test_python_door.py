"""`import wardround`: studies in code, runs begun and read, what a model says, and what is refused in words."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import wardround
from common.errors import StudyError, WardroundError
from common.learning.parameters import digest, read
from common.study.options import Entry
from server.strategies.fedadam import FedAdam
from tests.ended import ended

STUDY: dict[str, Any] = {
    "title": "Points",
    "rounds": 2,
    "engine": "inline",
    "task": {"name": "classification", "network": "logistic"},
    "aggregation": "plain",
    "training": {"learning_rate": 0.5, "batch_size": 8},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("door") / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for site in ("north", "south", "west"):
        x = rng.normal(size=(30, 2)).astype(np.float32)
        rows = "".join(f"{a:.3f},{b:.3f},{'ill' if a > 0 else 'well'}\n" for a, b in x)
        (folder / f"{site}.csv").write_text(f"x,y,label\n{rows}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> wardround.Run:
    source = {"name": "table", "folder": data, "classes": ["well", "ill"], "decimal": "."}
    return wardround.run(folder=data.parent / "run", show=False, source=source, **STUDY)


def test_a_run_has_scores_rounds_and_a_report(run: wardround.Run) -> None:
    assert run.state == "completed" and run.problems == ()
    assert next(iter(run.scores)) == "accuracy" and run.scores["accuracy"] > 0.7
    assert set(run.scores_by_hospital) == {"north", "south", "west"}
    assert [row["round"] for row in run.rounds] == [1, 2]
    assert run.rounds[0]["hospitals"] == 3 and "validation_accuracy" in run.rounds[0]
    assert run.report.is_file()
    assert "Points" in repr(run) and "accuracy" in run._repr_html_()


def test_the_model_is_the_one_of_the_run_and_predicts(run: wardround.Run) -> None:
    assert digest(read(run.model())) == run.record.about.model_sha256
    said = run.predict(np.array([[2, 0], [-2, 0]], np.float32))
    assert said.tolist() == [1, 0]
    assert np.array_equal(run.predict(torch.tensor([[2.0, 0], [-2, 0]])), said)


def test_a_folder_is_the_same_run(run: wardround.Run) -> None:
    again = wardround.load(run.folder)
    assert again.scores == run.scores and again.study == run.study
    assert digest(read(again.model())) == digest(read(run.model()))


def test_the_same_study_gives_the_same_model_from_a_file(run: wardround.Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(run.study.text, encoding="utf-8")
    other = wardround.run(tmp_path / "own.toml", folder=tmp_path / "run", show=False)
    assert other.record.about.model_sha256 == run.record.about.model_sha256


def test_a_run_is_audited(run: wardround.Run, tmp_path: Path) -> None:
    recorded = wardround.run(run.study, folder=tmp_path / "run", show=False, federation={"record_traffic": True})
    found = recorded.audit(seconds=0.1)
    assert found.verdicts and (recorded.folder / "audit.html").is_file()
    with pytest.raises(StudyError, match="record_traffic"):
        run.audit(seconds=0.1)


def test_settings_add_to_tables_and_replace_entries() -> None:
    study = wardround.study("heart", training={"batch_size": 8}, strategy="fedavg", baselines=None, seed=np.int64(3))
    assert (study.training.batch_size, study.training.steps) == (8, 100)
    assert study.strategy == Entry("fedavg") and not study.baselines.local and study.seed == 3
    more = wardround.study(study, strategy={"learning_rate": 0.5})
    assert more.strategy == Entry("fedavg", {"learning_rate": 0.5})


def test_an_object_of_an_entry_stands_for_its_name_and_options() -> None:
    study = wardround.study("heart", strategy=FedAdam(learning_rate=0.2))
    assert study.strategy.name == "fedadam" and study.strategy.options["learning_rate"] == 0.2


def test_an_own_class_is_named_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_strategy.py").write_text(
        "from dataclasses import dataclass\nfrom server.strategies.fedavg import FedAvg\n\n\n"
        "@dataclass(frozen=True)\nclass Halved(FedAvg):\n    learning_rate: float = 0.5\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from own_strategy import Halved  # type: ignore[import-not-found]

    study = wardround.study("heart", strategy=Halved())
    assert study.strategy.name == "own_strategy:Halved" and study.plugins


@dataclass(frozen=True)
class InMain:
    """As one that a notebook defines."""


def test_what_no_other_process_could_find_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InMain, "__module__", "__main__")
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(StudyError, match=r"%%writefile own\.py"):
        wardround.study("heart", strategy=InMain())
    with pytest.raises(StudyError, match="inside of something"):
        wardround.study("heart", strategy=lambda update: update)
    with pytest.raises(StudyError, match="words, numbers, lists"):
        wardround.study("heart", seed=object())


@pytest.mark.parametrize(
    ("given", "settings", "said"),
    [
        ("heart", {"roundz": 3}, "did you mean 'rounds'"),
        ("hart", {}, "did you mean 'heart'"),
        ("absent.toml", {}, "no file"),
        (None, {}, "missing"),
        ("heart", {"rounds": {"a": 1}}, "no table"),
    ],
)
def test_mistakes_are_said_in_words(given: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(WardroundError, match=said):
        wardround.study(given, **settings)


def test_a_folder_that_is_no_run_is_refused_and_one_without_a_model_too(run: wardround.Run, tmp_path: Path) -> None:
    with pytest.raises(WardroundError, match="no run folder"):
        wardround.load(tmp_path)
    for name in ("about.json", "study.toml", "rounds.jsonl", "roster.json"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    with pytest.raises(WardroundError, match="model"):
        wardround.load(tmp_path).model()


def test_code_of_somebody_elses_run_is_not_run(run: wardround.Run, tmp_path: Path) -> None:
    study = run.study.text.replace('name = "logistic"', 'name = "evil.py:Net"').replace(
        'network = "logistic"', 'network = "evil.py:Net"'
    )
    assert "evil.py" in study
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    with pytest.raises(WardroundError, match="code of its own"):
        _ = wardround.load(tmp_path).study


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, wardround; assert not {'torch', 'flwr', 'scipy', 'rich'} & set(sys.modules)"
    ended([sys.executable, "-c", code], check=True)


def test_every_public_name_says_what_it_is_and_is_typed() -> None:
    for name in wardround.__all__:
        value = getattr(wardround, name)
        if inspect.isfunction(value):
            assert inspect.getdoc(value) and "return" in value.__annotations__
        if inspect.isclass(value) and value.__module__.startswith("wardround"):
            for key, member in vars(value).items():
                assert key.startswith("_") or inspect.getdoc(member) or key in value.__annotations__


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    script = tmp_path / "cells.py"
    script.write_text("\n\n".join(cells), encoding="utf-8")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = ended([sys.executable, str(script)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
