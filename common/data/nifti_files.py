"""NIfTI files as numbers and a place, of which nothing is believed before it is checked.

A header of 348 bytes can say that petabytes follow it. So it is read alone and first: what it promises must be
allowed, and must fit into the file, unpacked at the most that gzip can pack, before room is made for any of it.
"""

from __future__ import annotations

import gzip
import warnings
import zlib
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError, HeaderTypeError

from common.data.nifti_place import SPATIAL_BITS, check_lengths, in_mm, mm_a_unit
from common.errors import FileError
from common.files.access import opened, writing_to

HEADER_BYTES: dict[int, tuple[Any, Any]] = {
    348: (Nifti1Header, nib.Nifti1Image),
    540: (Nifti2Header, nib.Nifti2Image),
}
LARGEST_OFFSET_BYTES = 1 << 24
"""Of extensions between header and numbers."""
MOST_UNPACKED = 1032
"""Bytes of which gzip makes one, at the most."""
GZIP = b"\x1f\x8b"
LONGEST_DESCRIPTION = 79
PLACE_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
)
UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    zlib.error,
)


def read_nifti(path: Path, most_numbers: int, *, of_lengths: bool = False) -> Any:
    """A nibabel image, 1 or 2 in one file, gzipped or not, whose numbers are in memory as they were stored.

    Its affine and header are in mm, whatever unit the file counts in; see common/data/nifti_place.py. of_lengths:
    whether the numbers are lengths too, of which NIfTI does not say their unit: then no other than mm is taken.

    Raises FileError for what is absent, broken, shorter than it says, of more numbers than `most_numbers`, or does
    not say how large its voxels are.
    """
    with opened(path) as file:
        try:
            return _image(file, path, most_numbers, of_lengths)
        except UNREADABLE as error:
            raise FileError(path, "is not a readable NIfTI file") from error


def write_nifti(image: Any, path: Path) -> None:
    """Write for the owner's eyes only, whole or not at all, packed where the name says so. Raises FileError."""
    with writing_to(path) as file:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
                image.to_stream(packed)
        else:
            image.to_stream(file)


def write_beside(values: Any, original: Path, path: Path, description: str = "") -> None:
    """Write values whose first axes are those of the NIfTI file `original`, in exactly its place.

    Everything that says where voxels lie is taken over as it is stored (sform, qform, their codes, lengths, unit), so
    that whatever reads the two files finds one on the other. Nothing else is: a header's words may name a person.
    Raises FileError.
    """
    header = _new_header(stored_header(original), tuple(values.shape), values.dtype)
    header["descrip"] = description.encode("ascii", "replace")[:LONGEST_DESCRIPTION]
    kind = dict(HEADER_BYTES.values())[type(header)]
    write_nifti(kind(values, None, header), path)


def stored_header(path: Path) -> Any:
    """The header of a NIfTI file as it is stored, its unit too. Raises FileError where there is none."""
    with opened(path) as file:
        try:
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            head = stream.read(max(HEADER_BYTES))
            header_type, _ = HEADER_BYTES[_header_bytes(head)]
            return header_type(head[: _header_bytes(head)], check=False)
        except UNREADABLE as error:
            raise FileError(path, "is not a readable NIfTI file") from error


def _new_header(stored: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    header = type(stored)()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    for name in PLACE_FIELDS:
        header[name] = stored[name]
    lengths = np.array(header["pixdim"])
    lengths[:4] = np.asarray(stored["pixdim"])[:4]
    header["pixdim"] = lengths
    header["xyzt_units"] = int(stored["xyzt_units"]) & SPATIAL_BITS
    return header


def _image(file: BinaryIO, path: Path, most_numbers: int, of_lengths: bool) -> Any:
    size = file.seek(0, 2)
    file.seek(0)
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    head = stream.read(max(HEADER_BYTES))
    header_type, image_type = HEADER_BYTES[_header_bytes(head)]
    header = header_type(head[: _header_bytes(head)])
    needed = _bytes_promised(header, path, most_numbers)
    if needed > (size * MOST_UNPACKED if packed else size):
        raise FileError(path, "ends before its header says so")
    stored = header_type(head[: _header_bytes(head)], check=False)
    scale = mm_a_unit(stored, path)
    if of_lengths and scale != 1:
        raise FileError(path, "holds vectors and does not count in mm; write it again in mm")
    check_lengths(stored, path)
    data = head + stream.read(max(0, needed - len(head)))
    if len(data) < needed:
        raise FileError(path, "ends before its header says so")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return in_mm(image_type.from_bytes(data), scale, path)


def _header_bytes(head: bytes) -> int:
    """The first number says the header's own length, in either order of bytes."""
    said = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    found = [length for length in said if length in HEADER_BYTES]
    if not found:
        raise ValueError("no length of a header comes first")
    return found[0]


def _bytes_promised(header: Any, path: Path, most_numbers: int) -> int:
    shape = tuple(map(int, header.get_data_shape()))
    if not shape or min(shape) < 1 or prod(shape) > most_numbers:
        raise FileError(path, f"must hold from 1 to {most_numbers} numbers; its shape is {shape}")
    offset = float(header["vox_offset"])
    if not isfinite(offset) or not 0 <= offset <= LARGEST_OFFSET_BYTES:
        raise FileError(path, "is not a readable NIfTI file")
    start = max(int(offset), int(header.single_vox_offset))
    return start + prod(shape) * int(header.get_data_dtype().itemsize)
