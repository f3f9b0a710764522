"""What the rows of many cases come to: a line for each label and figure, with its worst cases."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common.errors import ImageError
from common.files.access import read_all_text
from common.metrics.definition import Best
from common.metrics.definitions import METRICS
from common.metrics.summary import Summary, summary, worst_first
from common.seeding import generator
from experiments.measuring.metrics_table import Row

MOST_WORST = 5
SEED = 0


@dataclass(frozen=True)
class Line:
    """One figure of one label over all cases that were measured. worst: cases with their figures, the worst first."""

    label: int
    metric: str
    summary: Summary
    worst: tuple[tuple[str, float], ...]

    @property
    def flat(self) -> dict[str, object]:
        """As a line of a table."""
        told = asdict(self.summary)
        for name in ("quartiles", "mean_interval", "median_interval"):
            told[f"{name}_low"], told[f"{name}_high"] = told.pop(name)
        return {"label": self.label, "metric": self.metric, **told, "worst": " ".join(case for case, _ in self.worst)}

    @property
    def record(self) -> dict[str, object]:
        """As it stands in JSON."""
        return {"label": self.label, "metric": self.metric, **asdict(self.summary), "worst": self.worst}


def summaries(rows: Sequence[Row], names: Sequence[str], patients: Mapping[str, str] | None = None) -> Iterator[Line]:
    """A line for each label and figure. patients: whose each case is; each its own if not given."""
    for label in sorted({row.label for row in rows}):
        own = {row.case: row.figures for row in rows if row.label == label}
        whose = None if patients is None else [patients[case] for case in own]
        for name in names:
            values = {case: of_case[name] for case, of_case in own.items()}
            rng = generator(SEED, "metrics", label, name)
            yield Line(
                label,
                name,
                summary(list(values.values()), rng, whose),
                _worst(values, METRICS[name].best),
            )


def _worst(values: Mapping[str, float], best: Best) -> tuple[tuple[str, float], ...]:
    """None where all cases are alike: no one of them is worse."""
    ranked = worst_first(values, best)
    return ranked[:MOST_WORST] if ranked and ranked[0][1] != ranked[-1][1] else ()


def read_patients(path: Path, cases: Sequence[str]) -> dict[str, str]:
    """Whose each case is, of a CSV with the columns case and patient.

    Raises ImageError where a column or a case is not there, or a case is there twice; FileError as what reads it.
    """
    reader = csv.DictReader(io.StringIO(read_all_text(path), newline=""))
    if not {"case", "patient"} <= {*(reader.fieldnames or ())}:
        raise ImageError(f"{path.name} must have the columns case and patient; it has {reader.fieldnames}.")
    found: dict[str, str] = {}
    for line in reader:
        case = line["case"] or ""
        if case in found:
            raise ImageError(f"{path.name} names the case {case!r} twice.")
        found[case] = line["patient"] or ""
    absent = [case for case in cases if not found.get(case)]
    if absent:
        raise ImageError(f"{path.name} does not say whose case {absent[0]!r} is ({len(absent)} of {len(cases)} so).")
    return {case: found[case] for case in cases}
