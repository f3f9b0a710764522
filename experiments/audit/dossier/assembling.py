"""The first page's facts of a finished audit, from its findings and the run's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common.files.json_files import read_table
from common.study.dossier_settings import Dossier
from common.study.study import Study
from experiments.audit.dossier.anonymity import answer, bearings
from experiments.audit.dossier.leftovers import departed, ledgers, retained, unreadable
from experiments.audit.dossier.marks import marks_of_program, marks_of_study
from experiments.audit.dossier.prices import prices
from experiments.audit.dossier.recognition import in_words, recognitions
from experiments.audit.dossier.risks import risks
from experiments.audit.dossier.scope import conditions, kind_of, sentence
from experiments.audit.dossier.sheet import Sheet
from experiments.audit.records import Report


def with_sheet(report: Report, study: Study, run: Path, said: Dossier | None = None) -> Report:
    """The report with its first page. said: words in the place of the study's own `[dossier]`."""
    about = read_table(run, "about.json")
    kind = kind_of(str(about.get("engine", "")))
    programs = read_table(run, "run.json").get("programs", {})
    known = recognitions(run, report.claim, report.trials)
    note, gone = in_words(known, report.claim), departed(run)
    weighed = tuple(bearings(report, known, note))
    costs, price_note = prices(run, report.study)
    sheet = Sheet(
        judged=kind,
        what=sentence(kind, len(report.verdicts)),
        said=said or study.dossier,
        conditions=tuple(conditions(kind, study, report.claim, programs if isinstance(programs, dict) else {})),
        recognitions=known,
        recognition_note=note,
        ledgers=ledgers(run),
        departed=gone,
        retained=tuple(retained(gone, report.claim, unreadable(run))),
        risks=tuple(risks(report, run)),
        bearings=weighed,
        anonymous=answer(report, weighed),
        prices=costs,
        price_note=price_note,
        marks={
            "Study, as hospitals approve it": marks_of_study(study).digest,
            "Model": report.model_sha256,
            "Program of the hospitals": marks_of_program().digest,
        },
    )
    return replace(report, dossier=sheet)
