"""Questions to hospitals' own nodes: put into a coordinator's queue, awaited, and read from the folder they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from common.asking.question import Question
from common.errors import EngineError, StudyError
from common.files.json_files import read_table
from experiments.asking.asking import Answered, questions_of
from experiments.coordinator.job_queue import JobQueue
from experiments.coordinator.jobs import await_end, submit_study
from server.asking.conduct import ANSWERS
from server.asking.words import write_questions


def ask_nodes(
    coordinator: Path,
    study: str,
    overrides: Sequence[str],
    questions: Sequence[Question],
    say: Callable[[Iterable[str]], None],
) -> Answered:
    """Ask the hospitals of a coordinator's federation. questions: none for all that the study lists.

    The study is sent as it stands, since hospitals approved it so. Raises EngineError where nothing was answered.
    """
    job = submit_study(
        coordinator, study, overrides, say, lambda parsed: write_questions(questions or questions_of(parsed))
    )
    code = await_end(coordinator, job, say)
    standing, folder = JobQueue(coordinator).standing(job), Path(job.folder)
    if standing.state != "completed":
        raise EngineError(f"nothing was answered: {standing.reason or f'exit code {code}'}")
    table = read_table(folder, ANSWERS)
    if not table:
        raise StudyError(f"{folder} holds no answers.")
    return Answered(folder, table)
