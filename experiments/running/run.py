"""Run one study on one engine, with its baselines, pictures and report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from client.hospital import site_names
from common.errors import EngineError, StudyError
from common.files.access import is_there, private_folder
from common.files.json_files import read_table
from common.files.locks import held
from common.study.study import Study
from experiments.engines import _pooled as pooled
from experiments.engines._quiet import run_quietly
from experiments.places import data_root_of, with_whole_folder
from experiments.planning.configuration import planned
from experiments.running.after_run import kept_as_problem, participants
from experiments.running.embedding import write_embedding
from experiments.running.gallery import write_pictures
from experiments.running.later import Later
from experiments.running.patient_record import write_patients
from experiments.running.patient_scores import MODEL
from experiments.tracking.live import tracked
from server.report import write_report
from server.reporting.records import PLAYED
from server.run_folder import RunFolder

LONGEST_WAIT_FOR_POOLED_S = 3600
LOCK = ".running"


def run_study(study: Study, name: str, folder: Path, resume: bool = False, accepts: bool = False) -> Path:
    """Run `study` into `folder`; the path of its report. accepts: go on where a hospital's data changed.

    Raises WardroundError where the run cannot be completed; the folder then says why, and its report too.
    """
    study = with_whole_folder(study)
    if study.audit.after_run:
        study = replace(study, federation=replace(study.federation, record_traffic=True))
    with held(folder, LOCK, "is in use by another run; give each a folder of its own"):
        if not resume and is_there(folder, "rounds.jsonl"):
            raise StudyError(f"{folder} already holds a run; resume it with: wardround resume {folder}")
        study = planned(study, name, folder)
        with data_root_of(folder, resume):
            with tracked(study, name, folder), _pooled_beside(study, folder):
                run_quietly(study, folder, name, resume, accepts)
            _look_at_patients(study, folder)
        if study.audit.after_run:
            with kept_as_problem(folder, "audit"):
                _audit(study, folder)
        return write_report(folder)


def _look_at_patients(study: Study, folder: Path) -> None:
    """What only a simulation can show: single test patients' scores, and pictures. Nothing of withheld ones."""
    if study.federation.withhold_test:
        return
    scores = None
    if is_there(folder, MODEL):
        with kept_as_problem(folder, "patients"):
            scores = write_patients(study, folder)
    if study.training.personal:
        return
    with kept_as_problem(folder, "pictures"):
        write_pictures(study, folder, None if scores is None else scores.headlines)
        if study.engine in PLAYED:
            write_embedding(study, folder)


def _audit(study: Study, folder: Path) -> None:
    from experiments.audit.conduct import Effort, audit_run
    from experiments.audit.dossier.writing import Filing, file_dossier
    from experiments.audit.report.page import write

    report = audit_run(folder, Effort())
    write(report, folder)
    file_dossier(report, folder, study, Filing())


@contextmanager
def _pooled_beside(study: Study, folder: Path) -> Iterator[None]:
    """Train the pooled bar at the same time, where the study wants it; end it with the run, whatever happens.

    It begins after the first round: whoever watches waits for that one, and the cores are the hospitals'.
    """
    if not study.baselines.pooled:
        yield
        return
    answer = private_folder(folder) / ".pooled.json"
    waiting = Later(lambda: pooled.start(study, answer), lambda: is_there(folder, "rounds.jsonl"))
    process = None
    try:
        yield
        process = waiting.begun()
        took_part = participants(folder)
        if set(took_part) != set(site_names(study)):
            _end(process)
            process = pooled.start(study, answer, took_part)
        process.join(LONGEST_WAIT_FOR_POOLED_S)
        with kept_as_problem(folder, "pooled model"):
            _add_baselines(folder, answer)
    finally:
        _end(process or waiting.stopped())
        answer.unlink(missing_ok=True)


def _end(process: BaseProcess | None) -> None:
    if process is not None and process.is_alive():
        process.terminate()
        process.join(5)


def _add_baselines(folder: Path, answer: Path) -> None:
    run = RunFolder(folder)
    if not answer.exists():
        raise EngineError("its training ended without a result; set baselines.pooled=false to do without.")
    table, found = read_table(folder, "baselines.json"), read_table(folder, answer.name, required=True)
    if "failed" in found:
        raise EngineError(str(found["failed"]))
    seconds = {**table.get("seconds", {}), **found["seconds"]}
    run.write_json("baselines.json", {**table, **found, "seconds": seconds})
