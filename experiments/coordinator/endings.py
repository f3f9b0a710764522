"""How a job that came to its end went: a study's losses, or what questions were left without an answer."""

from __future__ import annotations

from pathlib import Path

from common.files.json_files import read_table
from experiments.coordinator.job_queue import Job


def ending(job: Job) -> tuple[list[str], int]:
    """Lines to be said, and the exit code."""
    folder = Path(job.folder)
    if not job.questions:
        from experiments.running.spoken_losses import last_lines

        return last_lines(folder)
    from server.asking.conduct import ANSWERS

    answers = read_table(folder, ANSWERS, required=True)["answers"]
    lacking = [str(one["question"]["words"]) for one in answers if one["state"] != "answered"]
    lines = [f"{len(answers) - len(lacking)} of {len(answers)} questions have an answer (in {folder})"]
    return [*lines, *(f"  no answer: {words}" for words in lacking)], 1 if lacking else 0
