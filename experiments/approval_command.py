"""`wardround approve`: in a hospital, what a study costs is said before its own people agree to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from client.answered_rounds import rewind
from client.approved_studies import APPROVED, list_study, plugins_before
from client.policy import read_policy
from common.errors import HospitalError, StudyError
from common.study.own_weights import brings_weights, digest_of_weights
from common.study.plugins import origin_of, trusting
from common.study.study import Study, keys_of, parse
from common.sums.cohorts import reveals
from experiments.study_view import study_facts
from server.reporting.markup import in_a_line


def approve_study(text: str, overrides: Sequence[str], folder: Path, console: Console, rewind_to: int | None) -> None:
    """Say what the study costs, and list it. rewind_to: let its runs go on after this round once more.

    Of plug-ins, those alone are imported that the hospital's policy names. Raises StudyError where the study gives
    up a protection without saying so, HospitalError where the list cannot be written.
    """
    if not folder.is_dir():
        raise HospitalError(f"there is no folder {folder}: it is the one that the hospital's node is set up with.")
    with trusting(read_policy(folder).trust):
        study = parse(text, overrides)
        facts = (*study_facts(study), *_own_folder(study), *_plugins(study, folder))
    _demand_written_out(study, text, overrides)
    for fact in facts:
        console.print(f"- {in_a_line(fact)}", markup=False, highlight=False, soft_wrap=True)
    digest = list_study(study, folder)
    console.print(f"{folder / APPROVED} lists {digest}", markup=False, highlight=False, soft_wrap=True)
    if rewind_to is not None:
        further = rewind(folder, digest, rewind_to)
        console.print(f"{further} runs of it may go on after round {rewind_to} once more.", highlight=False)


def _plugins(study: Study, folder: Path) -> Sequence[str]:
    """What code of others would run here, and whether it is what these people agreed to before."""
    before = plugins_before(study.title, folder)
    said = []
    for module, digest in study.plugins.items():
        here = f"Code of others runs here: module {module}{origin_of(module)}, SHA-256 of its files {digest}."
        if before.get(module, digest) != digest:
            here += f" It has CHANGED since a study of this title was approved, when it was {before[module]}."
        said.append(here)
    return said


def _own_folder(study: Study) -> Sequence[str]:
    if study.partition is None:
        return ()
    return (
        "[partition] divides a pool in simulation only: a node with a folder of data of its own (data-folder) uses "
        "that folder whole, under the name in its configuration (site).",
    )


def _demand_written_out(study: Study, text: str, overrides: Sequence[str]) -> None:
    """What protects least must stand in the study's own words: nobody agrees to it by leaving a line out."""
    said = keys_of(text, overrides)
    if reveals(study) == "each" and "aggregation" not in said:
        raise StudyError(
            f"strategy {study.strategy.name!r} lets the coordinator read every single update: a study of real "
            'hospitals says so. Add aggregation = "plain".'
        )
    if study.start is not None and study.start.sha256 is None:
        raise StudyError(
            "the study begins from a model and does not say which: hospitals check it by its digest, sha256 in "
            "[start]. `wardround check` of it, where the model is, shows the digest."
        )
    if brings_weights(study.task) and digest_of_weights(study.task) is None:
        raise StudyError("the study scores a model's file and does not say which: write its sha256 beside the file.")
    if study.privacy is None and "privacy" not in said:
        raise StudyError(
            'this study adds no noise, and a study of real hospitals says so. Add privacy = "none", or a mechanism.'
        )
