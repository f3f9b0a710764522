"""ITK's transforms in HDF5: a group a transform, of which nothing is believed before it is checked.

`/TransformGroup/0`, `/1`, ... hold TransformType, TransformParameters and TransformFixedParameters, which ITK 4 wrote
without their s. Links and "external storage", which can name any other file, are not followed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import prod
from typing import Any, BinaryIO

import numpy as np

from common.extras import needed_by
from common.registration.itk_records import COMPOSITE, Numbers, Record

GROUP = "TransformGroup"
MOST_TRANSFORMS = 1000
MOST_NUMBERS = 3 << 30
MOST_UNPACKED = 1032
"""Numbers' bytes that one byte in the file can be, at the most: what gzip packs."""
PARAMETERS = ("TransformParameters", "TranformParameters")
FIXED = ("TransformFixedParameters", "TranformFixedParameters")


def read_records(file: BinaryIO) -> list[Record]:
    """All transforms in their order.

    Raises ValueError, or what h5py raises, where the file is none of ITK's, StudyError where h5py is not installed.
    """
    with needed_by("a transform in HDF5"):
        import h5py
    with h5py.File(file, "r") as held:
        group = _own(held, GROUP, h5py.Group, h5py)
        if not 0 < len(group) <= MOST_TRANSFORMS:
            raise ValueError("no transform, or too many")
        return [_record(_own(group, str(index), h5py.Group, h5py), h5py) for index in range(len(group))]


def written_records(records: Sequence[Record]) -> bytes:
    """The whole file, uncompressed."""
    with needed_by("a transform in HDF5"):
        import h5py
    whole = io.BytesIO()
    with h5py.File(whole, "w") as file:
        for index, record in enumerate(records):
            group = file.create_group(f"{GROUP}/{index}")
            group.create_dataset("TransformType", data=[record.name], dtype=h5py.string_dtype("ascii"))
            if record.kind != COMPOSITE:
                group.create_dataset(PARAMETERS[0], data=record.parameters)
                group.create_dataset(FIXED[0], data=record.fixed)
    return whole.getvalue()


def _record(group: Any, h5py: Any) -> Record:
    name = _name(_own(group, "TransformType", h5py.Dataset, h5py))
    nothing = np.zeros(0)
    if name.startswith(COMPOSITE):
        return Record.named(name, nothing, nothing)
    found = []
    for spellings in (PARAMETERS, FIXED):
        spelled = next((one for one in spellings if group.get(one, getlink=True) is not None), None)
        found.append(nothing if spelled is None else _numbers(_own(group, spelled, h5py.Dataset, h5py)))
    return Record.named(name, *found)


def _own(group: Any, name: str, kind: Any, h5py: Any) -> Any:
    """What lies in the group itself, not behind a link."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink) or group.get(name, getclass=True) is not kind:
        raise ValueError(f"no {name}")
    return group[name]


def _name(stored: Any) -> str:
    if prod(stored.shape) != 1 or stored.dtype.kind not in "SO" or stored.is_virtual or stored.external:
        raise ValueError("no name of a transform")
    name = stored[()] if stored.shape == () else stored[(0,) * len(stored.shape)]
    return name.decode("ascii") if isinstance(name, bytes) else str(name)


def _numbers(stored: Any) -> Numbers:
    count = prod(stored.shape)
    if stored.dtype.kind != "f" or len(stored.shape) != 1 or count > MOST_NUMBERS:
        raise ValueError("no list of numbers")
    if stored.is_virtual or stored.external or stored.id.get_storage_size() * MOST_UNPACKED < stored.nbytes:
        raise ValueError("numbers that are not in the file")
    return np.asarray(stored[()], np.float64)
