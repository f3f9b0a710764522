"""Run one study on one engine, with its baselines, pictures and report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.hospital import site_names
from common.errors import EngineError
from common.options import Entry
from common.study import Study
from experiments import pooled
from experiments.catalogue import ENGINES
from experiments.gallery import write_pictures
from server.app import app as server_app
from server.report import write_report
from server.run_folder import RunFolder

CLIENT_APP = "client.app:app"
LONGEST_WAIT_FOR_POOLED_S = 3600


def run_study(study: Study, name: str, folder: Path, resume: bool = False) -> Path:
    """Run `study` into `folder`; the path of its report.

    Raises WardroundError where the run cannot be completed; the folder then says why, and its report too.
    """
    sites = site_names(study)
    config: dict[str, str | int | bool] = {
        "study": study.text,
        "study-name": name,
        "run-folder": str(folder),
        "hospitals": len(sites),
        "resume": resume,
    }
    with _pooled_beside(study, folder):
        engine = ENGINES.build(Entry(study.engine))
        engine.run(
            server_app=server_app,
            client_app_reference=CLIENT_APP,
            sites=sites,
            run_config=config,
            folder=folder,
            record_traffic=study.federation.record_traffic,
        )
    write_pictures(study, folder)
    return write_report(folder)


@contextmanager
def _pooled_beside(study: Study, folder: Path) -> Iterator[None]:
    """Train the pooled bar at the same time, where the study wants it; end it with the run, whatever happens."""
    if not study.baselines.pooled:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / ".pooled.json"
    process = pooled.start(study, answer)
    try:
        yield
        process.join(LONGEST_WAIT_FOR_POOLED_S)
        if not answer.exists():
            raise EngineError("the pooled baseline ended without a result; set baselines.pooled=false to do without.")
        _add_baselines(folder, answer)
    finally:
        if process.is_alive():
            process.terminate()
            process.join(5)
        answer.unlink(missing_ok=True)


def _add_baselines(folder: Path, answer: Path) -> None:
    run = RunFolder(folder)
    table = run.read_json("baselines.json") or {}
    found = json.loads(answer.read_text(encoding="utf-8"))
    seconds = {**table.get("seconds", {}), **found["seconds"]}
    run.write_json("baselines.json", {**table, **found, "seconds": seconds})
