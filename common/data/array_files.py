"""Arrays in files of NumPy (.npy) and HDF5 (.h5), of which nothing is believed before it is checked.

Neither can run code here: nothing is unpickled, and of HDF5 only numbers are read that lie in the file itself, since
its links and its "external storage" can name any other file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError, WardroundError
from common.extras import needed_by
from common.files.access import opened, writing_to
from common.study.spelling import unknown

MOST_NUMBERS = 1 << 30
SUFFIXES = (".npy", ".h5", ".hdf5")
KINDS = "biufc"
MOST_SETS = 1000
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    TokenError,
)
USUAL_SETS = ("kspace", "image", "data")
"""Which data set of several is meant: fastMRI's name for k-space first."""


def read_array(path: Path, dataset: str = "") -> NDArray[Any]:
    """All numbers of a file, real or complex, finite, of at most 2^30.

    dataset: of HDF5, the one that is meant; if not given, the only one, or kspace, image or data.

    Raises FileError for what is absent, broken, of other kinds, too large or not finite, UnknownNameError for a data
    set that is not there, StudyError where HDF5 needs a package that is not installed.
    """
    if not path.name.endswith(SUFFIXES):
        raise FileError(path, f"must be an array, {', '.join(SUFFIXES)}")
    with opened(path) as file:
        try:
            values = _of_numpy(file, path) if path.suffix == ".npy" else _of_hdf5(file, path, dataset)
        except WardroundError:
            raise
        except UNREADABLE as error:
            kind = "NumPy's .npy" if path.suffix == ".npy" else "HDF5"
            raise FileError(path, f"is no readable file of {kind}") from error
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind in "fc" and not np.isfinite(native).all():
        raise FileError(path, "holds values that are not finite")
    return native


def write_array(values: NDArray[Any], path: Path, dataset: str = "image") -> None:
    """All or nothing of it. Raises FileError for another ending, StudyError where a package is not installed."""
    if not path.name.endswith(SUFFIXES):
        raise FileError(path, f"must end with {', '.join(SUFFIXES)}")
    whole = io.BytesIO()
    if path.suffix == ".npy":
        np.save(whole, values, allow_pickle=False)
    else:
        with needed_by("an array in HDF5"):
            import h5py
        with h5py.File(whole, "w") as file:
            file.create_dataset(dataset, data=values)
    with writing_to(path) as stream:
        stream.write(whole.getbuffer())


def _of_numpy(file: BinaryIO, path: Path) -> NDArray[Any]:
    size = file.seek(0, 2)
    file.seek(0)
    version = np.lib.format.read_magic(file)
    readers: Mapping[tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[version](file)
    _check(shape, dtype, path)
    if file.tell() + prod(shape) * dtype.itemsize > size:
        raise FileError(path, "ends before its header says so")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _of_hdf5(file: BinaryIO, path: Path, wanted: str) -> NDArray[Any]:
    with needed_by("an array in HDF5"):
        import h5py
    with h5py.File(file, "r") as held:
        names = _sets(held, h5py, path)
        chosen = held[_chosen(names, wanted, path)]
        _check(chosen.shape, chosen.dtype, path)
        if chosen.is_virtual or chosen.external:
            raise FileError(path, f"keeps the numbers of {chosen.name[1:]!r} in another file, which is not opened")
        return np.asarray(chosen[()])


def _sets(held: Any, h5py: Any, path: Path) -> list[str]:
    """Names of arrays at the top of the file; links to other places are passed over."""
    found: list[str] = []
    for count, name in enumerate(held):
        if count >= MOST_SETS:
            raise FileError(path, f"holds more than {MOST_SETS} names; name one of its data sets")
        if isinstance(held.get(name, getlink=True), h5py.HardLink) and held.get(name, getclass=True) is h5py.Dataset:
            found.append(name)
    return found


def _chosen(names: list[str], wanted: str, path: Path) -> str:
    if wanted:
        if wanted not in names:
            raise unknown(f"data set of {path.name}", wanted, names)
        return wanted
    usual = [name for name in USUAL_SETS if name in names]
    if not usual and len(names) != 1:
        listed = ", ".join(names[:20]) or "none at its top (links are not followed)"
        raise FileError(path, f"must have one data set, or say which is meant; it has {listed}")
    return (usual or names)[0]


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    if dtype.kind not in KINDS:
        raise FileError(path, f"must hold numbers; it holds {str(dtype)[:40]}")
    if not shape or min(shape) < 1 or prod(shape) > MOST_NUMBERS:
        raise FileError(path, f"must hold from 1 to {MOST_NUMBERS} numbers; its shape is {shape}")
