"""Predicting: every new file in turn, one case in memory at a time; what cannot be used is put aside and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.new_cases import NewCase, NewFile, PreparesNew
from client.source_abilities import new_scans, preparing_new
from common.data.cases import Quarantined
from common.errors import FileError, ImageError, SourceError, StudyError, WardroundError
from common.files.access import private_folder
from common.learning.abilities import can
from experiments.prediction.answers import demand_fit, displacement_of, is_outlining, outline_of, rows_of
from experiments.prediction.inputs import new_files, passed_over
from experiments.prediction.results import Results
from experiments.prediction.trained import Trained

Heard = Callable[[str, int, int], None]
"""Told the name of a file that is begun, which one it is, and of how many."""
UNUSABLE = (SourceError, FileError, ImageError)


@dataclass(frozen=True)
class Wanted:
    """probabilities: whether outlines come with those of every class. overwrite: whether files may be replaced."""

    probabilities: bool = False
    overwrite: bool = False


def predict(
    trained: Trained, inputs: Sequence[Path], out: Path, wanted: Wanted | None = None, heard: Heard | None = None
) -> Results:
    """Answers for all new files, written into the folder `out`.

    Raises StudyError where nothing can be done as it was asked. A single file that cannot be used stops no other: it
    is in the result's `left_out`, by name and reason.
    """
    wanted, source = wanted or Wanted(), preparing_new(trained.source, trained.entries["source"].name)
    files = new_files(inputs, source.new_kinds, new_scans(trained.source))
    _demand_apart(out, inputs)
    results = Results(private_folder(out), trained, wanted.overwrite)
    outlines = is_outlining(trained)
    if wanted.probabilities and outlines and not can(trained.task, "logits"):
        raise StudyError(f"task {trained.entries['task'].name!r} gives classes and no probabilities.")
    results.demand_free(files, outlines)
    results.left_out += passed_over(inputs, source.new_kinds)
    for number, new in enumerate(files, start=1):
        if heard is not None:
            heard(new.name, number, len(files))
        for case in cases_of(source, new, trained):
            _answer(case, new, trained, wanted, results)
    results.finish()
    return results


def _demand_apart(out: Path, inputs: Sequence[Path]) -> None:
    """Answers among the inputs would be inputs the next time."""
    for given in inputs:
        if given.is_dir() and out.resolve().is_relative_to(given.resolve()):
            raise StudyError(f"--out {out} lies in {given}, whose files are the input: name a folder elsewhere.")
    if out.exists() and not out.is_dir():
        raise StudyError(f"--out {out} is a file: name a folder.")


def cases_of(source: PreparesNew, new: NewFile, trained: Trained) -> Iterator[NewCase | Quarantined]:
    """Of one file, one at a time; a file that cannot be used is one that says why."""
    name = ",".join(map(str, new.paths))
    try:
        yield from source.new_cases(new, trained.learned)
    except FileError as error:
        yield Quarantined(name, error.reason)
    except UNUSABLE as error:
        yield Quarantined(name, str(error))
    except MemoryError:
        yield Quarantined(name, "is too large for the memory of this machine")


def _answer(case: NewCase | Quarantined, new: NewFile, trained: Trained, wanted: Wanted, results: Results) -> None:
    if isinstance(case, Quarantined):
        results.left_out.append(case)
        return
    try:
        demand_fit(case, trained)
        if case.pair is not None:
            results.add_pair(case, new.paths, displacement_of(case, trained))
        elif is_outlining(trained):
            results.add_outline(case, new.paths, outline_of(case, trained), wanted.probabilities)
        else:
            results.add_rows(case, new.paths, list(rows_of(case, trained)))
    except WardroundError as error:
        results.left_out.append(Quarantined(case.name, str(error)))
