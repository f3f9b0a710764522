"""Files of answers: an outline beside each case, and one table of all, none of them written over another."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from client.new_cases import NewCase, NewFile
from common.data.cases import Quarantined
from common.errors import StudyError
from common.files.access import is_there, write, write_to
from common.files.json_files import write_json
from experiments.prediction.answers import Outline, Row
from experiments.prediction.trained import Trained
from server.reporting.markup import visible

TABLE, DETAILS = "predictions.csv", "predictions.json"
OUTLINE, PROBABILITIES = "_seg", "_probabilities"
MOVED, DISPLACEMENT = "_moved", "_displacement"
MM3_A_ML = 1000.0
FORMULA = ("=", "+", "-", "@")
"""With these a spreadsheet's formula begins."""


@dataclass
class Results:
    """Of one prediction, as it goes on. folder: where they lie. overwrite: whether what is there may be replaced."""

    folder: Path
    trained: Trained
    overwrite: bool = False
    cases: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[Quarantined] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    def demand_free(self, files: Sequence[NewFile], outlines: bool) -> None:
        """Raise StudyError where a file is there that would be written over; asked before the work."""
        names = [TABLE, DETAILS]
        if outlines:
            endings = (".nii.gz", ".png", ".npz")
            names += [f"{one.name}{OUTLINE}{ending}" for one in files for ending in endings]
        names += [f"{one.name}{MOVED}.nii.gz" for one in files if len(one.paths) == 2]
        there = [name for name in names if is_there(self.folder, name)]
        if there and not self.overwrite:
            raise StudyError(
                f"{self.folder} holds {there[0]} already: name another folder with --out, or add --overwrite."
            )

    def add_rows(self, case: NewCase, files: Sequence[Path], rows: Sequence[Row]) -> None:
        """Answers that are lines of a table."""
        for row in rows:
            self.cases.append({**_about(case, files), "part": row.part, "answers": row.answers})
        self.left_out += case.left_out

    def add_outline(self, case: NewCase, files: Sequence[Path], outline: Outline, probabilities: bool) -> None:
        """Write an outline, its probabilities where they are wanted, and what it measures."""
        about = {**_about(case, files), "answers": _volumes(case, outline, self.trained.classes)}
        ending = ".npz" if case.place is None else case.place.ending
        path = self._new(f"{case.name}{OUTLINE}{ending}")
        if case.place is None:
            write_to(path, _packed(labels=outline.classes, parts=np.array(case.parts)))
            values: tuple[int | str, ...] = tuple(range(len(self.trained.classes)))
        else:
            values = case.place.write_labels(outline.classes, path)
        about |= {"outline": path.name, "unseen_voxels": outline.unseen}
        about["values"] = dict(zip(self.trained.classes, values, strict=True))
        if probabilities and outline.probabilities is not None:
            about["probabilities"] = self._write_probabilities(case, outline.probabilities()).name
        self.cases.append(about)
        self.left_out += case.left_out

    def add_pair(self, case: NewCase, files: Sequence[Path], displacement_voxels: Any) -> None:
        """Write the moved image and the displacement of a pair, and how far voxels were moved."""
        assert case.pair is not None
        moved, field = self._new(f"{case.name}{MOVED}.nii.gz"), self._new(f"{case.name}{DISPLACEMENT}.nii.gz")
        case.pair.write_moved(displacement_voxels, moved)
        case.pair.write_field(displacement_voxels, field)
        lengths = np.sqrt((displacement_voxels**2).sum(axis=0))
        answers = {"mean displacement in voxels": float(lengths.mean()), "largest": float(lengths.max())}
        self.cases.append(
            {**_about(case, files), "answers": answers, "moved": moved.name, "displacement": field.name}
        )

    def _write_probabilities(self, case: NewCase, values: Any) -> Path:
        ending = ".npz" if case.place is None else case.place.probabilities_ending
        path = self._new(f"{case.name}{PROBABILITIES}{ending}")
        if case.place is None:
            write_to(path, _packed(probabilities=values, classes=np.array(self.trained.classes)))
        else:
            case.place.write_probabilities(values, path)
        return path

    def _new(self, name: str) -> Path:
        """A path that may be written. Raises StudyError where something of this prediction or another is there."""
        path = self.folder / name
        if path in self.written or (is_there(self.folder, name) and not self.overwrite):
            raise StudyError(f"{path} is there already")
        self.written.append(path)
        return path

    def finish(self) -> None:
        """Write the table and the details of all cases."""
        write(self.folder, TABLE, _csv(self.cases))
        write_json(self.folder, DETAILS, self._details())
        self.written += [self.folder / TABLE, self.folder / DETAILS]

    def _details(self) -> dict[str, Any]:
        return {
            "study": self.trained.title,
            "model_sha256": self.trained.model_sha256,
            "task": self.trained.entries["task"].name,
            "classes": list(self.trained.classes),
            "cases": self.cases,
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.left_out],
        }


def _about(case: NewCase, files: Sequence[Path]) -> dict[str, Any]:
    return {"case": case.name, "files": [str(path) for path in files], "remarks": list(case.remarks)}


def _volumes(case: NewCase, outline: Outline, classes: Sequence[str]) -> dict[str, float | int]:
    """Of each class but the first, in ml (mm2 in images) where the size of a voxel is known, else in voxels."""
    counts = np.bincount(outline.classes.reshape(-1), minlength=len(classes))
    size = None if case.place is None else case.place.voxel_mm3
    if size is None:
        return {f"{name} in voxels": int(count) for name, count in zip(classes[1:], counts[1:], strict=True)}
    if case.place is not None and case.place.ending == ".png":
        return {f"{name} in mm2": float(n * size) for name, n in zip(classes[1:], counts[1:], strict=True)}
    return {f"{name} in ml": float(n * size / MM3_A_ML) for name, n in zip(classes[1:], counts[1:], strict=True)}


def _csv(cases: Sequence[Mapping[str, Any]]) -> str:
    """A line a case, or a part of one, with all answers that any has."""
    columns = list(dict.fromkeys(name for one in cases for name in one["answers"]))
    has_parts = any(one.get("part") for one in cases)
    outlines = any("outline" in one for one in cases)
    header = ["case", *["part"] * has_parts, *["outline"] * outlines, *columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, header))
    for one in cases:
        told = [one["case"], *[one.get("part", "")] * has_parts, *[one.get("outline", "")] * outlines]
        writer.writerow(map(_cell, [*told, *(one["answers"].get(name, "") for name in columns)]))
    return text.getvalue()


def _cell(value: str | float) -> str | float:
    """Names of files and classes are anybody's: no spreadsheet takes one for a formula. The JSON has it as it is."""
    if not isinstance(value, str):
        return value
    shown = visible(value)
    if not shown.lstrip().startswith(FORMULA):
        return shown
    try:
        float(shown)
    except ValueError:
        return f"'{shown}"
    return shown


def _packed(**arrays: Any) -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()
