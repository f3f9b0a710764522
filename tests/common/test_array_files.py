"""Arrays of strangers' files: read as they are, or refused before room is made for them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from common.data.array_files import MOST_SETS, read_array, write_array
from common.errors import FileError, StudyError, UnknownNameError

KSPACE = np.arange(12).reshape(3, 4) * (1 + 2j)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("/tmp/never-made-by-a-pickle",)


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.hdf5"])
@pytest.mark.parametrize("values", [KSPACE, KSPACE.real.astype(">f4"), np.eye(3, dtype=bool)])
def test_what_was_written_is_read(tmp_path: Path, name: str, values: np.ndarray) -> None:
    if name != "a.npy":
        pytest.importorskip("h5py")
    write_array(values, tmp_path / name)
    found = read_array(tmp_path / name)
    np.testing.assert_array_equal(found, values)
    assert found.dtype.isnative
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_usual_data_set_of_several_is_meant(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["reconstruction_rss"] = np.ones(3)
        file["kspace"] = KSPACE
        file["header"] = "<xml>"
    np.testing.assert_array_equal(read_array(tmp_path / "a.h5"), KSPACE)
    assert read_array(tmp_path / "a.h5", "reconstruction_rss").tolist() == [1, 1, 1]
    with pytest.raises(UnknownNameError, match="'kspace'"):
        read_array(tmp_path / "a.h5", "kspase")
    with pytest.raises(FileError, match="must hold numbers"):
        read_array(tmp_path / "a.h5", "header")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(FileError, match="must hold numbers"):
        read_array(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileError, match=r"no readable file of NumPy's \.npy"):
        read_array(tmp_path / "b.npy")
    assert not Path("/tmp/never-made-by-a-pickle").exists()


def header(shape: str) -> bytes:
    words = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("(1000, 1000)"), "ends before its header says so"),
        (header("(1099511627776, 1048576)"), "must hold from 1 to"),
        (header("(0,)"), "must hold from 1 to"),
        (header("(-4,)"), "must hold from 1 to"),
        (header("()") + b"\0" * 8, "must hold from 1 to"),
        (header("(2"), "no readable file"),
        (b"", "no readable file"),
        (header("(1,)") + np.array([np.nan]).tobytes(), "not finite"),
    ],
)
def test_a_hostile_array_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FileError, match=words):
        read_array(tmp_path / "a.npy")


def test_hdf5_opens_no_other_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    np.arange(4.0).tofile(tmp_path / "secret.bin")
    write_array(np.ones(4), tmp_path / "other.h5", "kspace")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["kspace"] = h5py.ExternalLink("other.h5", "kspace")
    with pytest.raises(FileError, match="it has none"):
        read_array(tmp_path / "linked.h5")
    with h5py.File(tmp_path / "stored.h5", "w") as file:
        file.create_dataset("kspace", (4,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 32)])
    with pytest.raises(FileError, match="in another file"):
        read_array(tmp_path / "stored.h5")
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kspace", (4,))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("kspace", layout)
    with pytest.raises(FileError, match="in another file"):
        read_array(tmp_path / "virtual.h5")


def test_hdf5_that_promises_too_much_or_too_many_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("kspace", (1 << 20, 1 << 20), "f8", chunks=(64, 64))
    with pytest.raises(FileError, match="must hold from 1 to"):
        read_array(tmp_path / "large.h5")
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for index in range(MOST_SETS + 1):
            file[f"a{index}"] = h5py.SoftLink("/nowhere")
    with pytest.raises(FileError, match=f"more than {MOST_SETS} names"):
        read_array(tmp_path / "many.h5")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    with pytest.raises(FileError, match="no readable file of HDF5"):
        read_array(tmp_path / "broken.h5")


def test_another_ending_and_an_absent_package_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match=r"must be an array, \.npy, \.h5"):
        read_array(tmp_path / "a.mat")
    with pytest.raises(FileError, match=r"must end with \.npy"):
        write_array(KSPACE, tmp_path / "a.mat")
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(StudyError, match=r"needs h5py: pip install 'wardround\[reconstruction\]'"):
        read_array(tmp_path / "a.h5")
