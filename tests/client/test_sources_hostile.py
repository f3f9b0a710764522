"""Files that a careless or malicious hand could put where a source looks."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from client.sources import _npz
from client.sources._npz import read_npz
from client.sources._site_table import listed_files
from client.sources.heart import Heart
from client.sources.lgg import Lgg
from client.sources.medmnist import MedMnist
from client.sources.mnist import Mnist
from common.errors import SourceError

GOOD_ROW = "63,1,4,145,233,1,2,150,0,2.3,3,0,6,3"


def test_an_archive_that_claims_to_unpack_beyond_all_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"small")
    raw = bytearray(path.read_bytes())
    directory = raw.rindex(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = struct.pack("<I", 0xFFFFFFFE)
    path.write_bytes(raw)
    monkeypatch.setattr(_npz, "LARGEST_BYTES", 1 << 31)
    with pytest.raises(SourceError, match="unpacks to more than"):
        read_npz(path, ["a"])


def test_an_array_whose_header_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lie.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"abc")
    with pytest.raises(SourceError, match="not a readable"):
        read_npz(path, ["a"])


@pytest.mark.parametrize("cut", [0, 1, 10, 60, -1])
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, cut: int) -> None:
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, a=np.arange(1000))
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(SourceError, match="not a readable"):
        read_npz(tmp_path / "cut.npz", ["a"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,site\np1,a\np1,b\n", "line 3 .* second hospital"),
        ("patient,site\n../p1,a\n", "line 2 .* does not name"),
        ("patient,site\np1\n", "line 2 .* does not name"),
        ("patient,ward\np1,a\n", "columns patient and site"),
        ("", "is empty"),
        ("patient\n", "has one column"),
    ],
)
def test_a_table_of_hospitals_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        listed_files(tmp_path / "table.csv", "site", "remedy")


def test_a_table_from_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("patient,site\r\np1,Ärzte\r\n".encode("utf-8-sig"))
    listed = listed_files(tmp_path / "table.csv", "site", "")
    assert {name: one.site for name, one in listed.items()} == {"p1": "Ärzte"}


@pytest.mark.parametrize(
    ("column", "value"), [(1, "2"), (2, "9"), (6, "0.5"), (13, "5"), (3, "1e9"), (4, "nan"), (7, "inf")]
)
def test_a_heart_row_with_an_impossible_value_is_quarantined(tmp_path: Path, column: int, value: str) -> None:
    row = GOOD_ROW.split(",")
    row[column] = value
    (tmp_path / "processed.va.data").write_text(f"{GOOD_ROW}\n{','.join(row)}\n")
    cases = Heart(str(tmp_path)).cases("va", 0)
    assert (len(cases), [q.name for q in cases.quarantined]) == (1, ["va-002"])


def test_a_heart_row_with_a_stray_quote_swallows_no_other_row(tmp_path: Path) -> None:
    (tmp_path / "processed.va.data").write_text(f'{GOOD_ROW}\n"{GOOD_ROW}\n{GOOD_ROW}\n{GOOD_ROW}\n')
    cases = Heart(str(tmp_path)).cases("va", 0)
    assert (len(cases), [q.name for q in cases.quarantined]) == (3, ["va-002"])


def _mnist(folder: Path, images: np.ndarray, labels: np.ndarray) -> Mnist:
    for part in ("train", "t10k"):
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())
    return Mnist(str(folder))


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.uint8), "for 3 labels"),
        (np.zeros((2, 14, 28), np.uint8), np.zeros(2, np.uint8), "28 x 28"),
        (np.zeros((2, 28, 28), np.uint8), np.array([1, 10], np.uint8), "the largest is 10"),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8), "for 0 labels"),
    ],
)
def test_digits_that_are_not_mnist_are_refused(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        _mnist(tmp_path, images, labels).cases(None, 0)


def test_a_broken_gzip_stream_is_refused(tmp_path: Path) -> None:
    source = _mnist(tmp_path, np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8))
    plain = tmp_path / "train-images-idx3-ubyte"
    packed = bytearray(gzip.compress(np.random.default_rng(0).bytes(5000)))
    packed[200:300] = bytes(100)
    plain.unlink()
    (tmp_path / f"{plain.name}.gz").write_bytes(packed)
    with pytest.raises(SourceError, match="not a whole gzip"):
        source.cases(None, 0)


def test_medical_images_of_two_sizes_in_one_file_are_refused(tmp_path: Path) -> None:
    arrays = {}
    for part, side in (("train", 8), ("val", 8), ("test", 9)):
        arrays[f"{part}_images"] = np.zeros((2, side, side), np.uint8)
        arrays[f"{part}_labels"] = np.zeros((2, 1), np.uint8)
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(SourceError, match="differ in shape"):
        MedMnist(str(tmp_path)).cases(None, 0)


def test_medical_images_of_five_axes_are_refused(tmp_path: Path) -> None:
    arrays = {f"{part}_images": np.zeros((2, 4, 4, 4, 3), np.uint8) for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": np.zeros((2, 1), np.uint8) for part in ("train", "val", "test")}
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(SourceError, match=r"\(N, D, H, W\) of uint8"):
        MedMnist(str(tmp_path)).cases(None, 0)


def test_a_patient_whose_name_is_a_pattern_opens_no_other_patients_file(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("patient,institution\n*,a\np2,a\np3,a\np4,a\np5,a\n")
    (tmp_path / "patients_flair128").mkdir()
    mask = np.ones((1, 128, 128), np.bool_)
    for name in ("p2", "p3", "p4", "p5"):
        np.savez(tmp_path / f"patients_flair128/{name}.npz", flair=np.full((1, 128, 128), 7, np.uint8), mask=mask)
    cases = Lgg(str(tmp_path)).cases("a", 0)
    assert set(cases.patients) == {"p2", "p3", "p4", "p5"}
    assert [q.name for q in cases.quarantined] == ["*"]
