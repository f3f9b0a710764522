"""What root's command leaves in a folder of another user is that user's; nothing else changes hands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.ownership import give_to_owner
from experiments.cli import cli

USER = 12345
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
TEXT = """
title = "Owned"
rounds = 1
source = "heart"
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir(mode=0o700)
    os.chown(tmp_path / "own", USER, USER)
    (tmp_path / "study.toml").write_text(TEXT)
    return tmp_path / "own"


def test_all_that_approving_and_declining_leaves_is_the_hospitals(own: Path) -> None:
    words = ["approve", str(own.parent / "study.toml"), str(own), "--yes"]
    for more in ([], ["--refuse", "no"], []):
        assert CliRunner().invoke(cli, [*words, *more]).exit_code == 0
    assert {path.stat().st_uid for path in own.rglob("*")} == {USER}


def test_a_link_and_a_file_with_a_second_name_stay_whose_they_are(own: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (own / "log.jsonl").hardlink_to(tmp_path / "secret")
    (own / "log.lock").symlink_to(tmp_path / "secret")
    (own / "approvals").symlink_to(tmp_path)
    give_to_owner(own)
    assert (tmp_path / "secret").stat().st_uid == 0 and (own / "approvals").lstat().st_uid == 0
