"""Files that a study names become modules for nodes, under the same digest, and never in the place of another."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.policy import read_policy
from common.errors import StudyError
from common.study import catalogue, plugins
from common.study.catalogue import ENGINES, NETWORKS
from common.study.plugins import ANYTHING, Reference, trusting
from common.study.study import Study, parse, parse_json
from experiments.engines._bundle import SETTINGS
from experiments.engines._plugins_of_nodes import allow, travelling
from experiments.places import with_modules_of

ROOT = Path(__file__).parents[2]
NET = """
from torch import nn
from wards_helper import width

class Ward(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.Linear(width, classes))
    def forward(self, inputs):
        return self.layers(inputs)

network = Ward
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "wards_own.py").write_text(NET)
    (tmp_path / "wards_helper.py").write_text("width = 4\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    with trusting(ANYTHING):
        yield tmp_path


def test_nodes_get_the_same_study_with_modules_that_the_runs_folder_keeps(
    tiny: Callable[..., Study], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny("task.network='wards_own.py'")
    sent = travelling(study, place / "run")
    assert sent.plugins == {"wards_own": study.plugins[f"{place}/wards_own.py"]}
    assert json.loads(sent.json)["task"]["network"] == {"name": "wards_own:"}
    assert sorted(one.name for one in (place / "run" / "plugins").iterdir()) == ["wards_helper.py", "wards_own.py"]
    (place / "wards_own.py").unlink()
    with_modules_of(place / "run")
    assert parse(sent.text).json == parse_json(sent.json).json == sent.json
    resumed = travelling(parse(sent.text), place / "run")
    assert (resumed.json, resumed.folder) == (sent.json, place / "run" / "plugins")
    hospital = place / "hospital"
    hospital.mkdir()
    allow(sent.plugins, hospital)
    with trusting(read_policy(hospital).trust):
        assert parse_json(sent.json).plugins == sent.plugins
    plugins._digests.pop("wards_own")


def test_a_study_of_ours_alone_travels_as_it_is(tiny: Callable[..., Study], place: Path) -> None:
    study = tiny()
    sent = travelling(study, place / "run")
    assert (sent.json, dict(sent.plugins), sent.folder) == (study.json, {}, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rich.py", "'rich' is already"),
        ("common.py", "'common' is already"),
        ("own-net.py", "its name must be a word"),
    ],
)
def test_a_file_whose_name_another_module_has_is_refused_for_nodes(
    tiny: Callable[..., Study], place: Path, name: str, words: str
) -> None:
    (place / name).write_text(NET)
    with pytest.raises(StudyError) as caught:
        travelling(tiny(f"task.network='{name}:Ward'"), place / "run")
    assert words in str(caught.value)


def test_the_list_names_the_package_of_an_entry_point_and_imports_nothing(
    wardround: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    point: Any = EntryPoint("tried", "not_there:Net", "wardround.networks")
    vars(point)["dist"] = SimpleNamespace(name="my-hospital", version="1.2")
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [point] if group == "wardround.networks" else [])
    code, said = wardround("list", "networks")
    assert code == 0 and "Plug-in not_there:Net, of my-hospital 1.2." in said
    assert NETWORKS.has("tried") and not NETWORKS.has("tired")


def test_engines_are_known_where_they_are_not_installed() -> None:
    files = {path.stem for path in (ROOT / "experiments" / "engines").glob("*.py") if path.stem[0] != "_"}
    assert set(ENGINES.names()) == files


def test_flower_is_given_what_pyproject_says_of_the_app() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    app = said["tool"]["flwr"]["app"]
    ours: Any = SETTINGS["tool"]["flwr"]["app"]  # type: ignore[index]
    assert {key: value for key, value in app.items() if key != "fab-include"} == {
        key: value for key, value in ours.items() if key != "fab-include"
    }
    assert [one for one in app["fab-include"] if one != "/README.md"] == ours["fab-include"]
    assert SETTINGS["project"]["version"] == said["project"]["version"]


def test_what_a_module_is_named_by_is_no_word_of_ours() -> None:
    assert Reference.of("mlp:") == Reference("mlp", "", False)
