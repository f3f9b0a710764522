"""Pixels of a PNG, JPEG or TIFF file, upright, as they are stored; whatever is wrong with one is said in words.

Files are opened through no link, and no more is unpacked than LARGEST_PIXELS a page. PNG and JPEG are read by Pillow
(of 16-bit RGB in a PNG it keeps the upper 8 bits), TIFF by tifffile or, where that lacks the codec, by Pillow.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from client.sources._image_files import ENDINGS
from common.errors import FileError, SourceError
from common.files.access import read

LARGEST_PIXELS = 89_478_485
"""Pillow's own bound of what is no attack."""
LARGEST_BYTES = 1 << 30
LARGEST_UNPACKED_BYTES = 1 << 30
"""Of all pages of a file together: they are held until each is brought to its size."""
BYTES_A_PIXEL = 4
"""Of PNG and JPEG, whatever their mode, but for 16-bit ones, which are grey."""
MOST_PAGES = 10_000
MM_PER_INCH = 25.4
Layout = Literal["grey", "rgb", "rgba", "palette"]
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
}
_DICOM_AT = 128


@dataclass(frozen=True)
class Pixels:
    """A page. values: (H, W) or (H, W, channels) as stored, palette images by index, with colours (256, 3) uint8.

    spacing_mm: of rows and columns by the file's own resolution, None where it says none. is_lossy: JPEG.
    """

    values: NDArray[Any]
    layout: Layout
    colours: NDArray[np.uint8] | None
    spacing_mm: tuple[float, float] | None
    is_lossy: bool


def read_pages(folder: Path, name: str) -> list[Pixels]:
    """Every page of a file below `folder`. Raises SourceError with a reason that helps."""
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise SourceError(f"ends in {ending or 'nothing'}, and images are PNG, JPEG or TIFF: convert or remove it")
    try:
        data = read(folder, name, LARGEST_BYTES)
    except FileError as error:
        raise SourceError(error.reason) from error
    if not data:
        raise SourceError("is empty (0 bytes)")
    _demand_format(data, ending)
    with _telling():
        return _tiff(data) if _FORMATS[ending] == "TIFF" else list(_pillow(data))


def _demand_format(data: bytes, ending: str) -> None:
    found = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)
    if found is None and data[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        found = "DICOM"
    if found is None:
        raise SourceError(f"is no {_FORMATS[ending]} file, or damaged: its first bytes are {data[:4].hex(' ')}")
    if found != _FORMATS[ending]:
        raise SourceError(f"is a {found} file, though its name ends in {ending}: convert or rename it")


@contextmanager
def _telling() -> Iterator[None]:
    """Decoders raise anything for damaged bytes; a warning of a bomb is an error here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except SourceError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise SourceError(f"unpacks to more than {LARGEST_PIXELS} pixels, the most an image may have") from error
    except UnidentifiedImageError as error:
        raise SourceError("cannot be decoded, its header is damaged or cut short") from error
    except Exception as error:
        words = " ".join(str(error).split())[:160] or type(error).__name__
        raise SourceError(f"cannot be decoded, it is damaged or cut short ({words})") from error


def _pillow(data: bytes) -> Iterator[Pixels]:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
        count = int(getattr(image, "n_frames", 1))
        if count > MOST_PAGES:
            raise SourceError(f"holds {count} pages; at most {MOST_PAGES} are read")
        unpacked = 0
        for number in range(count):
            if count > 1:
                image.seek(number)
            unpacked += image.width * image.height * BYTES_A_PIXEL
            _demand_room(unpacked)
            yield _of_pillow(image)


def _demand_room(unpacked_bytes: int) -> None:
    if unpacked_bytes > LARGEST_UNPACKED_BYTES:
        raise SourceError(f"unpacks to more than {LARGEST_UNPACKED_BYTES} bytes, the most that a file may hold")


def _of_pillow(image: Image.Image) -> Pixels:
    image.load()
    is_lossy = image.format == "JPEG"
    spacing_mm = _spacing_of_dpi(image.info.get("dpi"))
    turned = int(image.getexif().get(ExifTags.Base.Orientation, 1)) >= 5
    if image.mode == "CMYK":
        raise SourceError("is CMYK, for printing; save it as RGB")
    upright = ImageOps.exif_transpose(image)
    values, layout = _values_of(upright)
    return Pixels(values, layout, _palette(upright), _swapped(spacing_mm, turned), is_lossy)


def _palette(image: Image.Image) -> NDArray[np.uint8] | None:
    if image.mode != "P":
        return None
    flat = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(flat) // 3] = flat.reshape(-1, 3)
    return colours


def _values_of(image: Image.Image) -> tuple[NDArray[Any], Layout]:
    if image.mode == "P":
        return np.asarray(image), "palette"
    if image.mode in ("L", "F", "1"):
        return np.asarray(image), "grey"
    if image.mode.startswith("I"):
        values = np.asarray(image)
        return (values.astype(np.uint16) if image.format != "TIFF" else values), "grey"
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if has_alpha else "RGB")), "rgba" if has_alpha else "rgb"


def _tiff(data: bytes) -> list[Pixels]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        count = len(file.pages)
        if count > MOST_PAGES:
            raise SourceError(f"holds {count} pages; at most {MOST_PAGES} are read")
        found: list[Pixels] = []
        unpacked = 0
        for page in file.pages:
            frame: Any = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
            pixels = int(frame.imagelength) * int(frame.imagewidth) * int(getattr(frame, "imagedepth", 1))
            if pixels > LARGEST_PIXELS:
                raise SourceError(f"unpacks to more than {LARGEST_PIXELS} pixels, the most an image may have")
            unpacked += max(int(frame.nbytes), pixels * max(1, int(frame.samplesperpixel)))
            _demand_room(unpacked)
            try:
                found.append(_of_tiff(frame))
            except (ValueError, KeyError, ImportError) as error:
                if "imagecodecs" not in str(error) and "codec" not in str(error).lower():
                    raise
                return _tiff_by_pillow(data, error)
        return found


def _tiff_by_pillow(data: bytes, error: Exception) -> list[Pixels]:
    try:
        return list(_pillow(data))
    except Exception:  # noqa: BLE001 - whatever Pillow says of it, the first error says what is missing
        reason = f"is compressed in a way that is not read here ({error}): save it with Deflate, or as PNG"
        raise SourceError(reason) from error


def _of_tiff(page: Any) -> Pixels:
    values = np.asarray(page.asarray())
    if values.ndim == 3 and int(page.planarconfig) == 2:
        values = np.moveaxis(values, 0, -1)
    kind = int(page.photometric)
    if kind not in (0, 1, 2, 3, 6) or values.ndim not in (2, 3) or values.size == 0:
        raise SourceError(f"is a TIFF of {page.photometric.name.lower()} and shape {values.shape}, which is not read")
    if kind == 0 and values.dtype.kind in "ub":
        values = ~values if values.dtype.kind == "b" else np.iinfo(values.dtype).max - values
    orientation = int(page.tags.valueof(274, 1))
    values = _upright(values, orientation)
    spacing_mm = _swapped(_tiff_spacing(page), orientation >= 5)
    if kind == 3:
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8).T
        padded = np.zeros((256, 3), np.uint8)
        padded[: len(colours)] = colours[:256]
        return Pixels(values, "palette", padded, spacing_mm, False)
    channels = 1 if values.ndim == 2 else values.shape[2]
    layout: Layout | None = {1: "grey", 3: "rgb", 4: "rgba"}.get(channels)  # type: ignore[assignment]
    if channels == 1:
        values = values.reshape(values.shape[:2])
    if layout is None:
        raise SourceError(f"has {channels} channels: images are grey, RGB or RGBA")
    return Pixels(values, layout, None, spacing_mm, int(page.compression) in (6, 7))


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rows from the top, columns from the left. orientation: of TIFF 6.0 and EXIF, 1 to 8."""
    if orientation >= 5:
        values = np.swapaxes(values, 0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _tiff_spacing(page: Any) -> tuple[float, float] | None:
    per_unit = {2: MM_PER_INCH, 3: 10.0}.get(int(page.tags.valueof(296, 2)))
    ratios = [page.tags.valueof(tag, None) for tag in (283, 282)]
    if per_unit is None or any(ratio is None or not ratio[0] or not ratio[1] for ratio in ratios):
        return None
    rows, columns = (per_unit * ratio[1] / ratio[0] for ratio in ratios)
    return (rows, columns)


def _spacing_of_dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        columns, rows = (MM_PER_INCH / float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (rows, columns) if rows > 0 and columns > 0 else None


def _swapped(spacing_mm: tuple[float, float] | None, turned: bool) -> tuple[float, float] | None:
    return spacing_mm[::-1] if spacing_mm is not None and turned else spacing_mm
