"""Pixels of DICOM files as numbers of a known scale, of which the size is known before any is decoded.

Stored values fill BitsStored of BitsAllocated bits; the other bits may hold anything (PS3.5 8.1.1). Numbers are slope
x stored + intercept, each slice by its own (PS3.3 C.7.6.16.2.9, C.11.1). Where low values are shown white
(MONOCHROME1) stored values are mirrored within the range of their bits, except in CT and PET, whose numbers are
Hounsfield units and activities however they are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.decoders.gdcm import DECODER_DEPENDENCIES
from pydicom.uid import UID

from client.sources._dicom_codestream import is_whole, size_in_codestream
from client.sources._dicom_decoding import DecoderProcess
from client.sources._dicom_frames import MEASURED
from client.sources._dicom_geometry import Stack
from client.sources._dicom_headers import UNREADABLE, Frame, quiet, read_dataset, whole, word
from common.errors import SourceError

MOST_VOXELS = 1 << 28
REMEDY = "Run `pip install 'wardround[dicom]'`"


@dataclass(frozen=True)
class Bits:
    """How a stored value lies in its cell: `stored` bits, the highest number `high`, with a sign or without."""

    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def low(self) -> int:
        """The least value there can be."""
        return -(1 << self.stored - 1) if self.signed else 0

    @property
    def top(self) -> int:
        """The greatest."""
        return self.low + (1 << self.stored) - 1


def read_image(folder: Path, stack: Stack) -> NDArray[np.float32]:
    """(columns, rows, slices) float32: the numbers of a stack; padding has the least of them.

    Raises SourceError that names the file and what is wrong with it, FileError for what is no file to be read.
    """
    if prod(stack.shape) > MOST_VOXELS:
        raise SourceError(f"has {' x '.join(map(str, stack.shape))} voxels; at most {MOST_VOXELS} are read")
    columns, rows, slices = stack.shape
    image = np.full((slices, rows, columns), np.nan, np.float32)
    wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, frame in enumerate(stack.frames):
        wanted[frame.name].append((frame.index, place))
    with quiet(), DecoderProcess() as apart:
        for name, pairs in wanted.items():
            pairs.sort()
            dataset = read_dataset(folder, name, pixels=True)
            try:
                frames = _numbers(dataset, [stack.frames[place] for _, place in pairs], apart)
                for (_, place), values in zip(pairs, frames, strict=True):
                    image[place] = values
            except (SourceError, *UNREADABLE) as error:
                raise SourceError(f"{name} {_in_words(error)}") from error
    real = np.isfinite(image)
    if not real.any():
        raise SourceError("holds padding alone")
    np.copyto(image, image[real].min(), where=~real)
    return np.ascontiguousarray(image.transpose(2, 1, 0))


def stored_frames(dataset: Any, indices: Sequence[int], apart: DecoderProcess) -> Iterator[NDArray[Any]]:
    """(rows, columns) of each frame at `indices`, ascending, as they are in the file. Raises SourceError.

    The size of what will be decoded is checked first, in the words of the header and of every compressed frame.
    apart: where libraries in C decode.
    """
    shape, count = _shape(dataset), whole(dataset, "NumberOfFrames", 1, MOST_VOXELS, default=1)
    if count * prod(shape) > MOST_VOXELS:
        raise SourceError(f"has {count} x {shape[0]} x {shape[1]} pixels; at most {MOST_VOXELS} are read")
    if "PixelData" not in dataset:
        raise SourceError("lacks PixelData")
    syntax = UID(word(dataset.file_meta, "TransferSyntaxUID"))
    decoder = _decoder(syntax)
    if syntax in DECODER_DEPENDENCIES:
        frames = _decoded_apart(dataset, indices, _codestreams(dataset, count, shape), syntax, apart)
    elif not syntax.is_encapsulated and whole(dataset, "BitsAllocated", 1, 64) == 1:
        _check_length(dataset, count * prod(shape))
        frames = iter(_unpacked(dataset.PixelData, (count, *shape))[list(indices)])
    else:
        if not syntax.is_encapsulated:
            _check_length(dataset, count * prod(shape))
        found = decoder.iter_array(dataset, raw=True, indices=list(indices), allow_excess_frames=False)
        frames = (values for values, _ in found)
    for values in frames:
        if values.shape != shape:
            raise SourceError(f"holds an image of {values.shape} where its header says {shape}")
        yield values


def _decoded_apart(
    dataset: Any, indices: Sequence[int], codestreams: Sequence[bytes], syntax: UID, apart: DecoderProcess
) -> Iterator[NDArray[Any]]:
    options = {
        "rows": whole(dataset, "Rows", 1, 1 << 16),
        "columns": whole(dataset, "Columns", 1, 1 << 16),
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": whole(dataset, "BitsAllocated", 1, 64),
        "bits_stored": whole(dataset, "BitsStored", 1, 64),
        "pixel_representation": whole(dataset, "PixelRepresentation", 0, 1),
        "photometric_interpretation": word(dataset, "PhotometricInterpretation"),
        "pixel_keyword": "PixelData",
    }
    for index in indices:
        yield apart.decoded(codestreams[index], str(syntax), options)


def _unpacked(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bits of a mask, the first lowest. Frames that end within a byte go on in the same one (PS3.5 8.1.1), which
    pydicom 3.0 does not read one by one.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=prod(shape), bitorder="little")
    return bits.reshape(shape)


def _numbers(dataset: Any, frames: Sequence[Frame], apart: DecoderProcess) -> Iterator[NDArray[np.float32]]:
    if _shape(dataset) != frames[0].shape:
        raise SourceError("changed while it was read")
    bits = _bits(dataset)
    mirrored = (
        word(dataset, "PhotometricInterpretation") == "MONOCHROME1" and word(dataset, "Modality") not in MEASURED
    )
    for frame, raw in zip(frames, stored_frames(dataset, [frame.index for frame in frames], apart), strict=True):
        stored = _without_unused_bits(raw, bits)
        values = bits.low + bits.top - stored if mirrored else stored
        numbers = (values * frame.slope + frame.intercept).astype(np.float32)
        if not np.isfinite(numbers).all():
            raise SourceError("has numbers beyond all bounds: RescaleSlope or RescaleIntercept is too large")
        numbers[_padding(dataset, raw, stored, bits)] = np.nan
        yield numbers


def _shape(dataset: Any) -> tuple[int, int]:
    return whole(dataset, "Rows", 1, 1 << 16), whole(dataset, "Columns", 1, 1 << 16)


def _bits(dataset: Any) -> Bits:
    allocated = whole(dataset, "BitsAllocated", 8, 32)
    stored = whole(dataset, "BitsStored", 1, allocated, default=allocated)
    high = whole(dataset, "HighBit", stored - 1, allocated - 1, default=stored - 1)
    if allocated not in (8, 16, 32):
        raise SourceError(f"has {allocated} in BitsAllocated; 8, 16 and 32 are read")
    return Bits(allocated, stored, high, whole(dataset, "PixelRepresentation", 0, 1) == 1)


def _without_unused_bits(raw: NDArray[Any], bits: Bits) -> NDArray[np.int64]:
    values = (raw.astype(np.int64) >> (bits.high + 1 - bits.stored)) & ((1 << bits.stored) - 1)
    return np.where(values > bits.top, values - (1 << bits.stored), values) if bits.signed else values


def _padding(dataset: Any, raw: NDArray[Any], stored: NDArray[np.int64], bits: Bits) -> NDArray[np.bool_]:
    """Where no pixel was measured: PixelPaddingValue, or from it to PixelPaddingRangeLimit.

    Both may be written with the wrong sign, or lie in the bits that are not stored.
    """
    first = _padding_value(dataset, "PixelPaddingValue", bits)
    if first is None:
        return np.zeros(stored.shape, np.bool_)
    last = _padding_value(dataset, "PixelPaddingRangeLimit", bits)
    low, high = sorted((first, first if last is None else last))
    cells = raw.astype(np.int64)
    return np.asarray(((stored >= low) & (stored <= high)) | ((cells >= low) & (cells <= high)))


def _padding_value(dataset: Any, keyword: str, bits: Bits) -> int | None:
    """Two bytes where the order of reading left it open whether they have a sign."""
    value = dataset.get(keyword)
    if value in (None, "", b""):
        return None
    cell = 1 << bits.allocated
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    number %= cell
    return number - cell if bits.signed and number >= cell // 2 else number


def _decoder(syntax: UID) -> Any:
    name = syntax.name if syntax else "no transfer syntax"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise SourceError(f"is written in {name}, which cannot be decoded here") from error
    if not decoder.is_available:
        remedy = f". {REMEDY}" if syntax in DECODER_DEPENDENCIES else ""
        raise SourceError(f"is written in {name}, which cannot be decoded here{remedy}")
    return decoder


def _check_length(dataset: Any, pixels: int) -> None:
    """Fewer bytes than promised were cut off; a whole further frame is one that the header does not speak of."""
    promised = (pixels * whole(dataset, "BitsAllocated", 1, 64) + 7) // 8
    held = len(dataset.PixelData)
    if held < promised:
        raise SourceError(f"ends before its header says so: {held} of {promised} bytes of pixels")
    if held >= promised + max(2, promised // whole(dataset, "NumberOfFrames", 1, MOST_VOXELS, default=1)):
        raise SourceError(f"holds {held} bytes of pixels where its header promises {promised}")


def _codestreams(dataset: Any, count: int, shape: tuple[int, int]) -> list[bytes]:
    """Compressed frames, each of which says its own size, for which a decoder makes room whatever the header says."""
    offsets = None
    if "ExtendedOffsetTable" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=offsets))
    if len(frames) != count:
        raise SourceError(f"holds {len(frames)} compressed frames; its header says {count}")
    for frame in frames:
        if not is_whole(frame):
            raise SourceError("ends in the middle of a compressed image")
        said = size_in_codestream(frame)
        if said is not None and said != (*shape, 1):
            raise SourceError(
                f"holds a compressed image of {said} rows, columns and samples; its header says {shape}"
            )
    return frames


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, SourceError) else f"cannot be decoded ({type(error).__name__})"
