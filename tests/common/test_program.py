"""What a hospital runs is one digest: the same of one version wherever it lies, another where a bit differs."""

from __future__ import annotations

import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

import client
import common
from common.errors import StudyError
from common.study import program
from common.study.program import PACKAGES, digest_of, has_changed, this_program
from common.study.study import parse
from experiments.engines._bundle import bundle

ROOT = Path(__file__).parents[2]
VERSIONS = this_program().packages
TEXT = """
title = "Demanding"
rounds = 1
source = "heart"
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
"""


def digest_in(folder: Path) -> str:
    return digest_of({name: folder / name for name in PACKAGES}, VERSIONS)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two packages elsewhere, as an installer leaves them: compiled, with a marker of types."""
    folder = tmp_path_factory.mktemp("installed")
    for package in (client, common):
        place = Path(str(package.__file__)).parent
        shutil.copytree(place, folder / place.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "common" / "__pycache__").mkdir()
    (folder / "common" / "__pycache__" / "seeding.cpython-311.pyc").write_bytes(b"compiled")
    return folder


def test_a_checkout_and_an_installed_copy_have_one_digest(copied: Path) -> None:
    assert digest_in(copied) == this_program().digest


def test_a_wheel_has_that_digest_too(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    (made,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    zipfile.ZipFile(made).extractall(tmp_path / "installed")
    assert digest_in(tmp_path / "installed") == this_program().digest


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_the_bundle_and_what_flower_makes_of_it_have_that_digest_too(tmp_path: Path) -> None:
    from flwr.cli.build import build_fab_from_disk

    bundle(tmp_path / "app")
    assert digest_in(tmp_path / "app") == this_program().digest
    zipfile.ZipFile(BytesIO(build_fab_from_disk(tmp_path / "app"))).extractall(tmp_path / "fab")
    assert digest_in(tmp_path / "fab") == this_program().digest


@pytest.mark.parametrize("name", ["client/app.py", "common/__init__.py", "client/sources/_mni152_head.json"])
def test_one_bit_of_any_file_makes_another_program(copied: Path, name: str) -> None:
    before = (copied / name).read_bytes()
    (copied / name).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    changed = digest_in(copied)
    (copied / name).write_bytes(before)
    assert changed != this_program().digest == digest_in(copied)


def test_a_new_file_and_one_that_is_gone_make_another_program(copied: Path) -> None:
    (copied / "client" / "sources" / "extra.py").write_text("")
    assert digest_in(copied) != this_program().digest
    (copied / "client" / "sources" / "extra.py").unlink()
    (copied / "client" / "warm.py").rename(copied / "warm.py")
    assert digest_in(copied) != this_program().digest
    (copied / "warm.py").rename(copied / "client" / "warm.py")
    assert digest_in(copied) == this_program().digest


def test_a_file_under_another_name_is_another_program(copied: Path) -> None:
    (copied / "client" / "warm.py").rename(copied / "client" / "cold.py")
    assert digest_in(copied) != this_program().digest
    (copied / "client" / "cold.py").rename(copied / "client" / "warm.py")


@pytest.mark.parametrize("changed", [{"torch": "0"}, {"numpy": "0"}, {"another": "1"}])
def test_what_it_computes_with_is_part_of_it(copied: Path, changed: dict[str, str]) -> None:
    folders = {name: copied / name for name in PACKAGES}
    assert digest_of(folders, {**VERSIONS, **changed}) != this_program().digest
    assert digest_of(folders, dict(reversed(VERSIONS.items()))) == this_program().digest


def test_what_an_editor_leaves_behind_is_no_part_of_it(copied: Path) -> None:
    for name in (".app.py.swp", "app.py~", ".DS_Store"):
        (copied / "client" / name).write_text("x")
    assert digest_in(copied) == this_program().digest


def test_a_file_that_changes_while_the_process_runs_is_noticed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program._signature_at_start.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(program, "_place", lambda package: copied / package)
        assert not has_changed()
        (copied / "client" / "warm.py").touch()
        assert has_changed()
    program._signature_at_start.cache_clear()
    assert not has_changed()


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ("[]", "lists no program"),
        (f'["{"A" * 64}"]', "64 hexadecimal digits in small letters"),
        ('["abc"]', "64 hexadecimal digits"),
        ("7", "must be a list"),
        ("[7]", r"programs\[0\] must be a word"),
    ],
)
def test_a_study_that_demands_what_is_no_program_is_refused(listed: str, reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        parse(TEXT, [f"federation.programs={listed}"])


def test_a_study_that_demands_no_program_reads_as_it_did() -> None:
    assert "programs" not in parse(TEXT).json
    assert parse(TEXT, [f'federation.programs=["{"a" * 64}"]']).federation.programs == ("a" * 64,)
