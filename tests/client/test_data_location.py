"""Which folder a hospital's node reads is never a study's choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import Context, RecordDict
from rich.console import Console

from client.app import _approved_hospital
from client.approved_studies import list_study
from client.fleet.running import node_config
from client.hospital import site_names
from client.node_settings import NodeSettings, read_settings
from common.errors import RefusedError, SourceError
from common.study.study import Study, parse
from common.wire.refusals import ADMISSION, sentence_of
from experiments.approving.agreement import approve_study

TEXT = """
title = "Tiny"
rounds = 1
seed = 1
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
task = { name = "classification", network = { name = "mlp", hidden = [4] } }
"""
TABLE = 'source = { name = "heart", folder = "/etc/ssl" }\n'
PHANTOM = """
source = { name = "phantom", hospitals = 2, patients = [4, 4] }
"""


def node(folder: Path, **config: str | bool) -> Context:
    return Context(1, 1, {"site": "cleveland", "folder": str(folder), **config}, RecordDict(), {})


def listed(text: str, folder: Path) -> Study:
    study = parse(text)
    list_study(study, folder)
    return study


def test_a_study_that_names_a_folder_is_refused_where_the_hospital_names_none(tmp_path: Path) -> None:
    study = listed(TEXT + TABLE, tmp_path)
    with pytest.raises(RefusedError, match="names no data_folder") as refusal:
        _approved_hospital(study.json, node(tmp_path))
    assert refusal.value.reason == "folder" and "folder" in ADMISSION
    assert "no study chooses one" in sentence_of("folder") and "/etc/ssl" not in sentence_of("folder")


def test_the_folder_that_the_hospital_names_takes_the_place_of_the_studys(tmp_path: Path) -> None:
    study = listed(TEXT + TABLE, tmp_path)
    own = tmp_path / "data"
    own.mkdir()
    with pytest.raises(SourceError) as error:
        _approved_hospital(study.json, node(tmp_path, **{"data-folder": str(own)}))
    assert str(own) in str(error.value) and "/etc/ssl" not in str(error.value)


def test_whoever_rehearses_lets_a_study_name_its_folder(tmp_path: Path) -> None:
    study = listed(TEXT + TABLE, tmp_path)
    with pytest.raises(SourceError, match="/etc/ssl/processed"):
        _approved_hospital(study.json, node(tmp_path, rehearsal=True))


def test_cases_that_are_made_up_need_no_folder(tmp_path: Path) -> None:
    text = TEXT.replace('"classification"', '"segmentation"').replace('{ name = "mlp", hidden = [4] }', '"unet"')
    study = listed(text + PHANTOM, tmp_path)
    site = site_names(study)[0]
    assert _approved_hospital(study.json, node(tmp_path, site=site)).site == site


def test_node_toml_says_which_folder_and_whether_this_is_a_rehearsal(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('site = "Ulm"\ncoordinator = "https://front:8443"\n')
    assert node_config(read_settings(tmp_path), tmp_path) == {"site": "Ulm", "folder": str(tmp_path)}
    playing = NodeSettings("Ulm", "https://front:8443", "data", rehearsal=True)
    own = {"site": "Ulm", "folder": str(tmp_path), "data-folder": str(tmp_path / "data"), "rehearsal": True}
    assert node_config(playing, tmp_path) == own


def test_who_approves_hears_that_the_node_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('site = "Ulm"\ncoordinator = "https://front:8443"\n')
    console = Console(record=True, width=400)
    approve_study(TEXT + TABLE, (), tmp_path, console, None)
    assert "node.toml names no data_folder, and the node refuses this study" in console.export_text()
