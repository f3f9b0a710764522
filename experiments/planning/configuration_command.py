"""`wardround plan`: the plan of a study that configures itself, asked for or read, and written out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.errors import StudyError
from common.files.access import write_to
from common.files.json_files import read_table
from common.study.study import Study
from experiments.planning.configuration import (
    ANALYSIS,
    Configured,
    by_answer,
    configured,
    configures_itself,
    question_study,
)


def write_question(study: Study, path: Path) -> list[str]:
    """Write the study that hospitals are asked under; what to do with it."""
    _demand_auto(study)
    write_to(path, question_study(study).text)
    return [
        f"Hospitals approve {path}, and are asked with: wardround ask {path} --coordinator ...",
        "Plan by their answer with: wardround plan STUDY --answer FOLDER/answer.json --out planned.toml",
    ]


def write_plan(study: Study, name: str, answer: Path | None, out: Path | None) -> tuple[dict[str, Any], list[str]]:
    """All of the plan, and it in sentences; hospitals are asked where there is no answer yet."""
    _demand_auto(study)
    found = _asked(study, name) if answer is None else _read(study, answer)
    if out is not None:
        write_to(out, found.study.text)
    written = [f"The study with these settings: {out}"] if out is not None else []
    size = f"{found.fingerprint.cases} training cases of {found.fingerprint.hospitals} hospitals, told as sums."
    return found.json(), [size, *found.plan.reasons, *written]


def _asked(study: Study, name: str) -> Configured:
    with TemporaryDirectory(prefix="wardround-plan-") as place:
        return configured(study, name, Path(place))


def _read(study: Study, answer: Path) -> Configured:
    """By the answer to the question, among those of a folder's answer.json. StudyError where there is none."""
    table = read_table(answer.parent, answer.name, required=True)
    try:
        for entry in table["answers"]:
            if entry["question"]["name"] == ANALYSIS and entry["state"] == "answered":
                return by_answer(study, entry["numbers"], len(entry["contributed"]))
    except (LookupError, TypeError) as error:
        raise StudyError(f"{answer} is no answer.json of `wardround ask`.") from error
    raise StudyError(f"{answer} holds no answer to analysis {ANALYSIS!r}.")


def _demand_auto(study: Study) -> None:
    if not configures_itself(study):
        raise StudyError("the study names its network itself: set task.network = 'auto' to have one planned.")
