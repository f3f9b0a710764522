"""Commands of whoever coordinates studies: submit one, see how all stand, stop one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.commands._terminal import console, say, spoken_errors

Folder = Annotated[Path, typer.Option(help="The coordinator's own folder.")]


def submit(
    folder: Folder,
    study: Annotated[str | None, typer.Argument(help="A shipped study's name or a TOML file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder instead, from its last finished round.")
    ] = None,
    accept_changed_data: Annotated[
        bool, typer.Option("--accept-changed-data", help="With --resume: go on though patients came or left.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until its end; exits as `wardround run` does.")] = False,
) -> None:
    """At the coordinator: put a study into the queue of `wardround server up`, to run in the hospitals' nodes.

    It runs as it stands, since hospitals approve every setting. One study runs at a time, others wait. It goes on by
    itself after any crash; it ends where the study does, or with `wardround stop`.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.coordinator.jobs import await_end, submit_again, submit_study

        if (study is None) == (resume is None):
            raise StudyError("name a study, or a run to go on with by --resume; not both.")
        job = (
            submit_study(folder, study, set_ or [], say)
            if study is not None
            else submit_again(folder, resume or folder, accept_changed_data)
        )
        say([f"Job {int(job.id)}: {job.name}, into {job.folder}"])
        if wait and (code := await_end(folder, job, say)):
            raise typer.Exit(code)


def status(
    folder: Folder,
    json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """At the coordinator: its programs, the nodes that are connected, and every job with its rounds.

    Exits with 1 where the programs are not all running.
    """
    with spoken_errors():
        from experiments.coordinator.standing import lines_of, standing_of

        found = standing_of(folder)
        if json_:
            console.print_json(data=found)
        else:
            say(lines_of(found))
        if not found["up"]:
            raise typer.Exit(1)


def stop(
    job: Annotated[str, typer.Argument(help="Its number, as `wardround status` shows it.")],
    folder: Folder,
) -> None:
    """At the coordinator: end a job; its run folder can be gone on with by `wardround submit --resume`."""
    with spoken_errors():
        from experiments.coordinator.jobs import stop_job

        found = stop_job(folder, job)
        say([f"Job {int(found.id)} ({found.name}) will be stopped."])
