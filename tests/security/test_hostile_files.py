"""Files that somebody else prepared: none is read or written elsewhere, none hangs, none fills the memory."""

from __future__ import annotations

import base64
import gzip
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from shutil import copytree
from stat import S_IMODE

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Header
from typer.testing import CliRunner

from client._ledger_file import FILE, HEAD_FILE, KEY_FILE
from client.approved_studies import APPROVED, list_study
from client.atomic_write import write_durably
from client.incidents import report as report_incident
from client.ledger import Charge, Ledger
from client.sources._nifti_volume import Reading, read_scan
from client.sources._npz import read_npz
from common.data.image import read_image
from common.errors import FileError, ImageError, LedgerError, SourceError, WardroundError
from common.privacy.release import Release
from common.registration.itk_files import read_transform
from common.study.study import Study, parse
from common.sums import identity
from experiments.audit import conduct
from experiments.cli import cli
from experiments.engines._quiet import run_quietly
from experiments.evidence.observing import observe
from experiments.running.run import run_study
from server.checkpoint import Checkpoint, save
from server.report import write_report
from tests.security.damage import SECRET, damage
from tests.server.sample_run import write_sample

STUDY = """
title = "Tiny"
rounds = 2
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["left", "right"] }
partition = { name = "quantity", hospitals = 4 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60, record_traffic = true }
"""
READ = ("about.json", "study.toml", "rounds.jsonl", "roster.json", "final.json", "traffic.json", "pictures.json")
OURS = ("report.html", "summary.json")
ONCE_TEMPORARY = (".report.html.partial", ".summary.json.partial", ".report.html.part", ".summary.json.part")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    rng = np.random.default_rng(0)
    parts = {"train": 80, "val": 20, "test": 20}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 6, 6), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "tiny.npz", **arrays)  # type: ignore[arg-type]
    return lambda *overrides: parse(STUDY, [f'source.folder="{folder}"', *overrides])


@pytest.fixture(scope="module")
def finished(tiny: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Two finished runs, in the clear and under masks. Never to be changed."""
    folders = []
    for aggregation in ("plain", "secagg"):
        folder = tmp_path_factory.mktemp("runs") / aggregation
        run_quietly(tiny(f"aggregation={aggregation}"), folder)
        folders.append(folder)
    return tuple(folders)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file outside, which must be neither shown nor changed."""
    path = tmp_path / "outside" / "secret.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def ordinary_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Of all that somebody else could read."""
    found = {str(path.relative_to(folder)): S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}
    return {name: mode for name, mode in found.items() if mode & 0o077}


@pytest.mark.parametrize("name", [*OURS, *ONCE_TEMPORARY])
def test_a_link_in_a_run_folder_does_not_make_the_report_overwrite_another_file(
    tmp_path: Path, secret: Path, name: str
) -> None:
    folder = write_sample(tmp_path / "run", rounds=2)
    (folder / name).symlink_to(secret)
    write_report(folder)
    assert secret.read_text() == SECRET and not secret.is_symlink()
    assert (folder / "report.html").is_file() and not (folder / "report.html").is_symlink()


WRITTEN = ("about.json", "study.toml", "roster.json", "final.json", "traffic.json", "model.safetensors")


@pytest.mark.parametrize(
    "name", [*WRITTEN, *(f".{name}.part" for name in WRITTEN), "checkpoint/last.safetensors.part"]
)
def test_a_link_in_a_run_folder_does_not_make_a_run_overwrite_another_file(
    tiny: Callable[..., Study], tmp_path: Path, secret: Path, name: str
) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(secret)
    run_quietly(tiny("rounds=1", "federation.record_traffic=false"), tmp_path / "run")
    assert secret.read_text() == SECRET


@pytest.mark.parametrize("name", ["rounds.jsonl", "traffic/index.jsonl"])
def test_nothing_is_added_to_a_file_elsewhere(
    tiny: Callable[..., Study], tmp_path: Path, secret: Path, name: str
) -> None:
    (tmp_path / "run" / name).parent.mkdir(parents=True)
    (tmp_path / "run" / name).symlink_to(secret)
    with pytest.raises(FileError):
        run_quietly(tiny("rounds=1"), tmp_path / "run")
    assert secret.read_text() == SECRET


@pytest.mark.parametrize("name", ["traffic", "traffic/sums", "checkpoint"])
def test_no_folder_of_a_run_leads_elsewhere(
    tiny: Callable[..., Study], tmp_path: Path, secret: Path, name: str
) -> None:
    (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / name).symlink_to(secret.parent)
    with pytest.raises(FileError, match="link"):
        run_quietly(tiny("rounds=1", "aggregation=secagg"), tmp_path / "run")
    assert [path.name for path in secret.parent.iterdir()] == ["secret.txt"]


@pytest.mark.parametrize("name", READ)
def test_a_link_in_a_run_folder_does_not_show_another_file(tmp_path: Path, secret: Path, name: str) -> None:
    folder = write_sample(tmp_path / "run", rounds=2)
    secret.write_text(
        json.dumps({"title": SECRET, "state": SECRET, "reason": SECRET}) if name == "about.json" else SECRET
    )
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    write_report(folder)
    pages = [(folder / one).read_text() for one in OURS]
    assert not any(SECRET in page for page in pages)
    assert f"{name} could not be read" in pages[0]


def test_a_run_folder_whose_own_parent_is_a_link_is_read_and_written(tmp_path: Path) -> None:
    write_sample(tmp_path / "disk" / "run", rounds=2)
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    assert write_report(tmp_path / "runs" / "run").is_file()


@pytest.mark.parametrize(
    "file", ["{secret}", "../../outside/secret.txt", "000001.bin/../../about.json", "x.bin", "", 7]
)
def test_an_index_of_recorded_traffic_names_no_file_but_messages(
    finished: tuple[Path, ...], tmp_path: Path, secret: Path, file: object
) -> None:
    folder = Path(copytree(finished[0], tmp_path / "run"))
    index = folder / "traffic" / "index.jsonl"
    lines = index.read_text().splitlines()
    first = json.loads(lines[0]) | {"file": file.format(secret=secret) if isinstance(file, str) else file}
    index.write_text("\n".join([json.dumps(first), *lines[1:]]))
    with pytest.raises(FileError, match="names no message of this run"):
        observe(folder)


def test_a_message_of_recorded_traffic_that_is_a_link_is_refused(
    finished: tuple[Path, ...], tmp_path: Path, secret: Path
) -> None:
    folder = Path(copytree(finished[0], tmp_path / "run"))
    (folder / "traffic" / "000001.bin").rename(secret.parent / "moved.bin")
    (folder / "traffic" / "000001.bin").symlink_to(secret.parent / "moved.bin")
    with pytest.raises(FileError, match="not a regular file"):
        observe(folder)


@pytest.mark.parametrize("name", READ)
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path, name: str) -> None:
    folder = write_sample(tmp_path / "run", rounds=2)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert f"{name} could not be read" in write_report(folder).read_text()


def test_a_file_too_large_to_be_meant_is_not_read(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", rounds=2)
    os.truncate(folder / "traffic.json", 1 << 40)
    assert "traffic.json could not be read" in write_report(folder).read_text()


def test_a_picture_of_gigapixels_is_not_shown(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", rounds=2)
    assert write_report(folder).read_text().count("<img") > 3
    pictures = json.loads((folder / "pictures.json").read_text())
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIB", 13, b"IHDR", 1 << 16, 1 << 16, 8)
    for one in pictures:
        one["image"] = "data:image/png;base64," + base64.b64encode(bomb).decode()
    (folder / "pictures.json").write_text(json.dumps(pictures))
    assert write_report(folder).read_text().count("<img") == 0


def nifti_that_promises(path: Path, shape: tuple[int, ...], bytes_after: int = 451) -> Path:
    """A header turned left to right, so that a reader has to reorient, and next to nothing after it."""
    header = Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.float64)
    header["vox_offset"], header["magic"] = 352, b"n+1\0"
    header.set_sform(np.diag([-1.0, 1.0, 1.0, 1.0]), code=1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header.binaryblock + bytes(4 + bytes_after))
    return path


@pytest.mark.parametrize("shape", [(1189, 1189, 1189), (640, 640, 640), (32767, 32767, 32767, 1, 3)])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_an_image_of_803_bytes_takes_no_gigabytes(tmp_path: Path, shape: tuple[int, ...], name: str) -> None:
    path = nifti_that_promises(tmp_path / "images" / "scan.nii", shape)
    assert path.stat().st_size == 803
    if name.endswith(".gz"):
        packed = path.with_suffix(".nii.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    tracemalloc.start()
    with pytest.raises(SourceError):
        read_scan((path,), (path,), Reading(3))
    with pytest.raises(ImageError):
        read_image(path)
    with pytest.raises(ImageError):
        read_transform(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 25


def test_an_array_that_promises_more_than_its_archive_holds_takes_no_gigabytes(tmp_path: Path) -> None:
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118)
    head += b"{'descr': '<f8', 'fortran_order': False, 'shape': (1073741824,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", head + bytes(8))
    tracemalloc.start()
    with pytest.raises(SourceError):
        read_npz(tmp_path / "a.npz", ["a"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 25


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_run_leaves_nothing_that_others_can_read(
    ordinary_umask: None, tiny: Callable[..., Study], tmp_path: Path, engine: str
) -> None:
    place = tmp_path / "runs" / "tiny" / "now"
    run_study(tiny(f"engine={engine}", "aggregation=secagg", "rounds=1", "strategy=scaffold"), "tiny", place)
    assert modes(tmp_path) == {}
    assert os.umask(0o022) == 0o022


def test_what_a_private_run_leaves_is_for_its_owner_alone(
    ordinary_umask: None, tiny: Callable[..., Study], tmp_path: Path
) -> None:
    private = 'privacy={name="dpsgd", noise_multiplier=1.0, clip_norm=1.0, delta=1e-3}'
    run_study(tiny(private, "rounds=1"), "tiny", tmp_path / "run")
    assert (tmp_path / "run" / "privacy.json").exists()
    assert any((tmp_path / "run" / "hospitals").rglob(FILE))
    assert modes(tmp_path) == {}


def test_keys_lists_logs_and_ledgers_are_for_their_owner_alone(ordinary_umask: None, tmp_path: Path) -> None:
    folder = tmp_path / "hospitals" / "A"
    identity.introduce(folder, {"A": identity.create(folder)})
    list_study(parse(STUDY), folder)
    report_incident(ValueError("a patient's name"), folder)
    charge = Charge("a" * 64, "T", 1, "patient", 1e-5, (Release(1.0, 0.1, 1),), ("Ada",))
    Ledger(folder, lambda releases, delta: 1.0).spend(charge)
    assert {path.name for path in folder.iterdir()} >= {FILE, KEY_FILE, HEAD_FILE, APPROVED, "identity.key"}
    assert modes(tmp_path) == {}


@pytest.mark.parametrize("name", [FILE, KEY_FILE, HEAD_FILE])
def test_a_ledger_that_is_a_link_is_not_used(tmp_path: Path, name: str) -> None:
    ledger = Ledger(tmp_path / "own", lambda releases, delta: 1.0)
    charge = Charge("a" * 64, "T", 1, "patient", 1e-5, (Release(1.0, 0.1, 1),), ("Ada",))
    ledger.spend(charge)
    (tmp_path / "own" / name).rename(tmp_path / name)
    (tmp_path / "own" / name).symlink_to(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(LedgerError):
        ledger.spend(charge)
    assert (tmp_path / name).read_bytes() == before


def test_an_incident_is_not_written_into_a_file_elsewhere(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "incidents.log").symlink_to(secret)
    assert report_incident(ValueError("x"), tmp_path / "own")
    assert secret.read_text() == SECRET


def test_a_hospitals_own_list_replaces_a_link_and_does_not_follow_it(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "list").symlink_to(secret)
    write_durably(tmp_path / "own" / "list", b"new")
    assert secret.read_text() == SECRET and (tmp_path / "own" / "list").read_bytes() == b"new"


def test_a_checkpoint_of_another_model_ends_a_resumed_run_in_words(
    finished: tuple[Path, ...], tmp_path: Path
) -> None:
    folder = Path(copytree(finished[0], tmp_path / "run"))
    save(folder, Checkpoint(1, np.zeros(3, np.float32), {}))
    said = CliRunner().invoke(cli, ["resume", str(folder)])
    assert said.exit_code == 1 and "is of another model or strategy" in said.stderr


@pytest.mark.parametrize("seed", range(40 if os.environ.get("WARDROUND_DRILLS") else 12))
def test_a_damaged_run_folder_ends_every_command_in_one_line(
    finished: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Five damages a seed, of which the drills try more; the audit reads all it would attack, and attacks nothing."""
    monkeypatch.setattr(conduct, "attacked", lambda *_: conduct.Attacked((), (), ()))
    for number in range(5):
        place = tmp_path / str(number)
        (place / "outside").mkdir(parents=True)
        (place / "outside" / "secret.txt").write_text(SECRET)
        rng = Random(100 * seed + number)
        folder = Path(copytree(rng.choice(finished), place / "run"))
        what = damage(folder, place / "outside", rng)
        before = _contents(place / "outside")
        for command in ("report", "audit", *(["resume"] if number == 0 and seed % 2 else [])):
            done = CliRunner().invoke(cli, [command, str(folder)])
            assert done.exception is None or isinstance(done.exception, SystemExit), (what, command, done.exception)
            assert done.exit_code == 0 or len(done.stderr.strip().splitlines()) == 1, (what, command, done.stderr)
            assert _contents(place / "outside") == before, (what, command)
            assert SECRET not in done.output
        pages = [folder / name for name in (*OURS, "audit.html", "audit.json") if (folder / name).is_file()]
        assert not any(SECRET in page.read_text() for page in pages), what


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_error_of_a_file_is_one_of_ours_and_tells_its_path(tmp_path: Path) -> None:
    error = FileError(tmp_path / "x", "is damaged")
    assert isinstance(error, WardroundError) and str(error) == f"{tmp_path / 'x'} is damaged."
