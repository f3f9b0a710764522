"""Predicted outlines into a PACS (STOW-RS): each as a new object, none of which takes the place of another."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from client.sources._dicom_geometry import Stack
from client.sources._dicom_new import name_of
from client.sources._dicom_series import listed, read_headers, series_of, stacks_of
from client.sources._pacs_http import Pacs
from client.sources._pacs_settings import read_settings
from common.errors import FileError, SourceError, StudyError
from common.extras import needed_by
from common.files.access import write
from common.files.json_files import read_table
from experiments.prediction.results import DETAILS

STORED = (200, 202)
FAILED_SEQUENCE, FAILURE_REASON = "00081198", "00081197"


@dataclass(frozen=True)
class Sent:
    """What became of one case's answer."""

    case: str
    word: str
    reason: str

    @property
    def is_lost(self) -> bool:
        """Whether it was to be sent and was not."""
        return self.word == "not sent"


def send(predictions: Path, folder: Path, dry_run: bool = False) -> Iterator[Sent]:
    """Every outline of a folder of answers, one at a time; one that cannot be sent stops no other.

    Raises StudyError where the folder holds no answers, SourceError where the PACS cannot be asked.
    """
    details = read_table(predictions, DETAILS)
    cases = [one for one in details.get("cases", []) if isinstance(one, dict)]
    if not cases:
        raise StudyError(f"{predictions} holds no answers ({DETAILS}): name a folder that `wardround predict` wrote.")
    if not any("outline" in one for one in cases):
        raise StudyError(f"{predictions} holds no outlines: answers of task {details.get('task')!r} are not sent.")
    with Pacs(folder, read_settings(folder)) as pacs:
        for case in cases:
            name = str(case.get("case", ""))
            try:
                yield _sent(pacs, predictions, details, case, dry_run)
            except (SourceError, FileError) as error:
                yield Sent(name, "not sent", str(error))


def _sent(pacs: Pacs, predictions: Path, details: Mapping[str, Any], case: Mapping[str, Any], dry_run: bool) -> Sent:
    with needed_by("sending outlines"):
        from experiments.pacs.segmentation import Answer, segmentation_of

    name = str(case["case"])
    images, stack = _series_of_case(case, name)
    outline = predictions / Path(str(case.get("outline", ""))).name
    if not outline.name.endswith(".nii.gz") or not outline.is_file():
        raise SourceError(f"has no outline {outline.name!r} in {predictions}")
    title, model_sha256 = str(details.get("study", "")), str(details.get("model_sha256", ""))
    answer = Answer(name, outline, case["values"], title, model_sha256)
    made = segmentation_of(answer, images, stack)
    content = io.BytesIO()
    made.save_as(content, enforce_file_format=True)
    uid = str(made.SOPInstanceUID)
    if dry_run:
        write(predictions, f"{name}.dcm", content.getvalue())
        return Sent(name, "written", f"{predictions / name}.dcm, which was not sent")
    path = f"studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}/instances"
    if any(True for _ in pacs.rows(path, [("limit", "1")])):
        return Sent(name, "left as it is", f"the PACS holds this very outline already ({uid})")
    _stow(pacs, str(made.StudyInstanceUID), content.getvalue())
    return Sent(name, "sent", f"segmentation {uid} of {len(stack.frames)} images")


def _series_of_case(case: Mapping[str, Any], name: str) -> tuple[Path, Stack]:
    """The folder of the images that were predicted for, and the stack in it that has the case's name."""
    files = [Path(str(one)) for one in case.get("files", [])]
    if len(files) != 1 or not files[0].is_dir():
        raise SourceError("was predicted from no folder of DICOM series: there are no images to send its outline to")
    headers = read_headers(listed(files[0]))
    for series in series_of(headers.images, files[0]):
        for phase, stack in stacks_of(series):
            if isinstance(stack, Stack) and not series.fault and name_of(series, phase) == name:
                return files[0], stack
    raise SourceError(f"has no series of its name in {files[0]} any more")


def _stow(pacs: Pacs, study: str, content: bytes) -> None:
    """Raises SourceError where the PACS does not store it."""
    boundary = token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    body = head.encode() + content + f"\r\n--{boundary}--".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    status, answer = pacs.store(study, body, kind)
    failed = _failure(answer)
    if status not in STORED or failed:
        raise SourceError(f"the PACS did not store it (HTTP {status}{failed})")


def _failure(answer: bytes) -> str:
    """The reason that the PACS gives for an object that it did not take (PS3.4 CC.2.3.1.4)."""
    try:
        found = json.loads(answer or b"{}")
        failed = found.get(FAILED_SEQUENCE, {}).get("Value") or []
        return f", reason {int(failed[0][FAILURE_REASON]['Value'][0]):#06x}" if failed else ""
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
