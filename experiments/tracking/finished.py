"""A finished run told to a tracker."""

from __future__ import annotations

from pathlib import Path

from common.errors import EngineError, WardroundError
from experiments.tracking.told import Tracker, facts_of, in_a_line, scalars_of_end, scalars_of_round, settings_of
from server.reporting.folder import read_run


def tell(folder: Path, tracker: Tracker) -> None:
    """All of the run in `folder`. Raises WardroundError where it is no run folder, or the tracker fails."""
    run = read_run(folder)
    title = run.about.title or run.about.study or folder.name
    try:
        tracker.begin(title, f"{run.about.study} {folder.resolve().name}", settings_of(run.study_text))
        for one in run.rounds:
            tracker.log(scalars_of_round(one))
        tracker.log(scalars_of_end(run))
        tracker.end(run.about.state, facts_of(run))
    except WardroundError:
        raise
    except Exception as error:
        raise EngineError(f"the tracker failed, {in_a_line(error)}") from error
