from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from common.data.download import Digest
from common.errors import DownloadError, UnknownNameError
from experiments.datasets import DATA_SETS, _is_arranged, describe, fetch, unpack_decathlon


def archive(folder: Path, *members: tuple[str, bytes], link: str = "") -> None:
    with tarfile.open(folder / "Task04_Hippocampus.tar", "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("Task04/imagesTr/link.nii.gz")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)


def test_the_decathlons_layout_becomes_images_and_labels(tmp_path: Path) -> None:
    archive(
        tmp_path,
        ("Task04/imagesTr/h_1.nii.gz", b"image"),
        ("Task04/imagesTr/._h_1.nii.gz", b"rubbish"),
        ("Task04/labelsTr/h_1.nii.gz", b"label"),
        ("Task04/imagesTs/h_2.nii.gz", b"unlabelled"),
    )
    unpack_decathlon(tmp_path)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "images/h_1.nii.gz",
        "labels/h_1.nii.gz",
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: archive(folder, ("../outside", b"x")),
        lambda folder: archive(folder, ("/tmp/outside", b"x"), link="/etc/passwd"),
        lambda folder: (folder / "Task04_Hippocampus.tar").write_bytes(b"no archive"),
    ],
)
def test_a_hostile_archive_is_refused(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    place = tmp_path / "inner"
    place.mkdir()
    spoil(place)
    with pytest.raises(DownloadError, match="could not be unpacked safely"):
        unpack_decathlon(place)
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


def test_an_arrangement_that_was_interrupted_is_not_taken_for_done(tmp_path: Path) -> None:
    place = tmp_path / "hippocampus"
    for kind in ("images", "labels"):
        (place / kind).mkdir(parents=True)
        (place / kind / "h_1.nii.gz").write_bytes(b"volume")
    assert "already" in fetch("hippocampus", tmp_path, lambda file: lambda done, total: None)
    archive(place, ("../outside", b"x"))
    assert not _is_arranged(DATA_SETS["hippocampus"], place)


def test_every_set_is_described_on_one_line_with_its_licence_and_kind_of_pin() -> None:
    lines = list(describe())
    assert [line.split()[0] for line in lines] == list(DATA_SETS)
    assert all(data_set.licence in line for data_set, line in zip(DATA_SETS.values(), lines, strict=True))
    assert "MD5" in next(line for line in lines if line.startswith("hippocampus"))


def test_phantoms_need_nothing(tmp_path: Path) -> None:
    assert fetch("phantom", tmp_path, lambda file: lambda done, total: None) == "phantom needs no download."


def test_an_unknown_set_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hippocampus'"):
        fetch("hipocampus", tmp_path, lambda file: lambda done, total: None)


def test_the_heart_files_here_are_the_pinned_ones(shared_data: Path) -> None:
    for name, remote in DATA_SETS["heart"].files.items():
        assert isinstance(remote.digest, Digest)
        assert remote.digest.algorithm == "sha256"
        assert remote.digest.fits(shared_data / "heart-disease-4centre" / name)
