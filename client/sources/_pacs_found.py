"""What a query would take of a PACS, by its metadata alone: no pixel is fetched, and what cannot be used is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from client.sources._dicom_frames import CONTOURS, IMAGE, SEGMENTATION, header_of
from client.sources._dicom_geometry import Stack
from client.sources._dicom_headers import UNREADABLE, Header, quiet
from client.sources._dicom_series import Headers
from client.sources._pacs_http import Pacs, PacsError
from client.sources._pacs_query import Asked, Query, asked
from client.sources._pacs_settings import read_settings
from common.data.cases import Quarantined
from common.errors import SourceError

LARGEST_METADATA_BYTES = 1 << 27


@dataclass(frozen=True)
class FoundSeries:
    """A series as the PACS tells of it. reason: why it cannot be used, "" where it is taken."""

    name: str
    patient: str
    study_date: str
    modality: str
    images: int
    reason: str


@dataclass(frozen=True)
class Told:
    """All that a PACS tells of a query's series. undecodable: by series, why its pixels cannot be read here."""

    headers: Headers
    left_out: tuple[Quarantined, ...]
    undecodable: Mapping[str, str]


def told(folder: Path, query: Query) -> Told:
    """Headers of all images of a query, from metadata. Raises SourceError where the PACS cannot be asked."""
    images: list[Header] = []
    labels: list[Header] = []
    left_out: list[Quarantined] = []
    undecodable = {}
    with Pacs(folder, read_settings(folder)) as pacs:
        answered = asked(pacs, query)
        for one in answered.series:
            try:
                headers = list(_headers(pacs, one))
            except PacsError:
                raise
            except SourceError as error:
                left_out.append(Quarantined(one.title, str(error)))
                continue
            images += (header for header in headers if header.kind == IMAGE)
            labels += (header for header in headers if header.kind in (SEGMENTATION, CONTOURS))
            others = {header.kind for header in headers} - {IMAGE, SEGMENTATION, CONTOURS}
            left_out += (Quarantined(one.title, f"holds {kind}, left out") for kind in sorted(others))
            if reason := _undecodable(one.syntaxes):
                undecodable[one.series] = reason
    headers_found = Headers(folder, tuple(images), tuple(labels), (), ())
    return Told(headers_found, (*answered.left_out, *left_out), undecodable)


def _headers(pacs: Pacs, one: Asked) -> Iterator[Header]:
    path = f"studies/{one.study}/series/{one.series}/metadata"
    for row in pacs.rows(path, most_bytes=LARGEST_METADATA_BYTES):
        yield header_of(_dataset(row), one.title)


def _dataset(row: Mapping[str, Any]) -> Any:
    """Without what lies elsewhere: an address in metadata is never followed."""
    try:
        with quiet():
            return pydicom.Dataset.from_json(dict(row), bulk_data_uri_handler=lambda *_: None)
    except UNREADABLE as error:
        raise SourceError(f"has metadata that cannot be read ({type(error).__name__})") from error


def _undecodable(syntaxes: Iterable[str]) -> str:
    for word in sorted(syntaxes):
        try:
            if get_decoder(UID(word)).is_available:
                continue
        except NotImplementedError:
            pass
        return f"is written in {UID(word).name}, which cannot be decoded here"
    return ""


def faults_of(parts: Iterable[tuple[str, Stack | str]]) -> str:
    """What keeps every stack of a series, or some of them, from being one; "" where nothing does."""
    found = [f"{phase}: {stack}" if phase else stack for phase, stack in parts if isinstance(stack, str)]
    return "; ".join(found[:3])
