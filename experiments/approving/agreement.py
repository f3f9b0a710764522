"""`wardround approve`: in a hospital, what a study costs and what changed is said before its people agree to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from client.admission import demand_wanted
from client.answered_rounds import rewind
from client.approvals import Approval, approval_now, approvals, last_of, user
from client.approved_studies import APPROVED, digest_of, list_json, plugins_before
from client.audit_log import note
from client.data_location import reads_a_folder
from client.node_settings import FILE as NODE_FILE
from client.node_settings import read_settings
from client.ownership import give_to_owner
from client.policy import POLICY_FILE, read_policy
from client.policy_rules import broken
from client.waiting_studies import forget_waiting, take_back_decline
from common.errors import FileError, HospitalError, RefusedError, StudyError
from common.files.access import is_there
from common.study.own_weights import brings_weights, digest_of_weights
from common.study.plugins import origin_of, trusting
from common.study.program import this_program
from common.study.study import Study, keys_of, parse, parse_json
from common.sums.cohorts import reveals
from experiments.approving.changes import changes, first_words, since
from experiments.approving.kept import approval_called
from experiments.approving.question_words import question_sentences
from experiments.study_view import study_facts
from server.reporting.markup import in_a_line

ASKED, SAID_YES, NO_TERMINAL = "asked on a terminal", "--yes", "without a terminal"
"""How somebody agreed, for the record."""


@dataclass(frozen=True)
class Shown:
    """A study as people are shown it. facts: what it does and costs. changed: since the approval `before`, which is
    compared with. forbidden: rules of the hospital's policy that it breaks, in words; then it cannot be approved.
    """

    study: Study
    text: str
    facts: tuple[str, ...]
    before: Approval | None
    changed: tuple[str, ...]
    forbidden: tuple[str, ...]

    @property
    def digest(self) -> str:
        """As in the list."""
        return digest_of(self.text)


def approve_study(
    text: str,
    overrides: Sequence[str],
    folder: Path,
    console: Console,
    rewind_to: int | None,
    asks: Callable[[], bool] | None = None,
    how: str = NO_TERMINAL,
    compared_with: str = "",
) -> None:
    """Say what the study costs and what changed, ask, and list it.

    rewind_to: let its runs go on after this round once more. asks: None where nobody is asked. compared_with: digest
    of an earlier approval; "" for the last under this title. Of plug-ins, those alone are imported that the
    hospital's policy names. Raises StudyError where the study gives up a protection without saying so, HospitalError
    where the policy forbids it, somebody said no, or the list cannot be written.
    """
    _demand_folder(folder)
    with trusting(read_policy(folder).trust):
        study = parse(text, overrides)
        shown = shown_study(study, study.json, folder, compared_with)
    demand_written_out(study, text, overrides)
    _agree(shown, folder, console, asks, how)
    if rewind_to is not None:
        further = rewind(folder, shown.digest, rewind_to)
        console.print(f"{further} runs of it may go on after round {rewind_to} once more.", highlight=False)


def approve_json(
    text: str, folder: Path, console: Console, asks: Callable[[], bool] | None, how: str, compared_with: str = ""
) -> None:
    """`approve_study` of one that waits, exactly as it came: all its settings are written out in it."""
    _agree(show_json(text, folder, compared_with), folder, console, asks, how)


def show_json(text: str, folder: Path, compared_with: str = "") -> Shown:
    """What people are shown of a study that waits. Raises StudyError where it cannot be run here."""
    _demand_folder(folder)
    with trusting(read_policy(folder).trust):
        study = parse_json(text)
        if study.json != text:
            raise StudyError(
                "it is not written as this program writes it: a setting is left out, stands twice or is spelt in "
                "another way, and a study with the same meaning and another digest would count as another one. The "
                "coordinator sends it from the version of Wardround that runs here."
            )
        return shown_study(study, text, folder, compared_with)


def shown_study(study: Study, text: str, folder: Path, compared_with: str = "") -> Shown:
    """text: its JSON as it travels. Within `trusting`."""
    _demand_digests(study)
    before, changed = _compared(study, text, folder, compared_with)
    return Shown(
        study,
        text,
        (
            *study_facts(study),
            *question_sentences(study, folder),
            *_own_folder(study),
            *_no_folder(study, folder),
            *_plugins(study, folder),
            f"{this_program().sentence} runs here.",
        ),
        before,
        changed,
        _forbidden(study, text, folder),
    )


def agree(shown: Shown, folder: Path, how: str) -> str:
    """List what was shown; its digest. Raises HospitalError where the policy forbids it or it cannot be written."""
    if shown.forbidden:
        raise HospitalError(f"the study was not approved: {' '.join(shown.forbidden)}")
    note(folder, "approved", study=shown.digest, by=user(), how=how, program=this_program().digest)
    digest = list_json(shown.text, shown.study.title, folder, shown.study.plugins, how)
    try:
        forget_waiting(digest, folder)
        take_back_decline(digest, folder)
    except FileError as error:
        raise HospitalError(f"the study is listed, and still counts as declined or waiting: {error}") from error
    give_to_owner(folder)
    return digest


def _agree(shown: Shown, folder: Path, console: Console, asks: Callable[[], bool] | None, how: str) -> None:
    for line in (*shown.facts, *_told_changes(shown, folder), *(f"FORBIDDEN here: {one}" for one in shown.forbidden)):
        console.print(f"- {in_a_line(line)}", markup=False, highlight=False, soft_wrap=True)
    if not shown.forbidden and asks is not None and not asks():
        raise HospitalError("the study was not approved; nothing was written.")
    digest = agree(shown, folder, how)
    console.print(f"{folder / APPROVED} lists {digest}", markup=False, highlight=False, soft_wrap=True)


def _told_changes(shown: Shown, folder: Path) -> Sequence[str]:
    if shown.before is None:
        return (first_words([one.title for one in approvals(folder)]),)
    known = f"Compared with {since(shown.before)}:"
    return (f"{known} nothing changed.",) if not shown.changed else (known, *shown.changed)


def _compared(study: Study, text: str, folder: Path, named: str) -> tuple[Approval | None, tuple[str, ...]]:
    now = approval_now(text, study.title, study.plugins)
    before = approval_called(named, folder) if named else last_of(folder, study.title)
    return before, () if before is None else changes(before, now)


def _forbidden(study: Study, text: str, folder: Path) -> tuple[str, ...]:
    said = [f"{POLICY_FILE}: {one.sentence}" for one in broken(study, read_policy(folder))]
    try:
        demand_wanted(text)
    except RefusedError as refusal:
        said.append(str(refusal))
    return tuple(said)


def _demand_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise HospitalError(f"there is no folder {folder}: it is the one that the hospital's node is set up with.")


def _plugins(study: Study, folder: Path) -> Sequence[str]:
    """What code of others would run here, and whether it is what these people agreed to before."""
    last = last_of(folder, study.title)
    before = last.plugins if last is not None and last.plugins else plugins_before(study.title, folder)
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


def _no_folder(study: Study, folder: Path) -> Sequence[str]:
    """A node that is set up without data would refuse the study, however much its people agreed."""
    if not is_there(folder, NODE_FILE) or not reads_a_folder(study.source.name):
        return ()
    settings = read_settings(folder)
    if settings.data_folder or settings.rehearsal:
        return ()
    return ("node.toml names no data_folder, and the node refuses this study until it does.",)


def demand_written_out(study: Study, text: str, overrides: Sequence[str]) -> None:
    """What protects least must stand in the study's own words: nobody agrees to it by leaving a line out."""
    said = keys_of(text, overrides)
    if reveals(study) == "each" and "aggregation" not in said:
        raise StudyError(
            f"strategy {study.strategy.name!r} lets the coordinator read every single update: a study of real "
            'hospitals says so. Add aggregation = "plain".'
        )
    if study.privacy is None and "privacy" not in said:
        raise StudyError(
            'this study adds no noise, and a study of real hospitals says so. Add privacy = "none", or a mechanism.'
        )


def _demand_digests(study: Study) -> None:
    """A model that a study does not name by its digest could be any."""
    if study.start is not None and study.start.sha256 is None:
        raise StudyError(
            "the study begins from a model and does not say which: hospitals check it by its digest, sha256 in "
            "[start]. `wardround check` of it, where the model is, shows the digest."
        )
    if brings_weights(study.task) and digest_of_weights(study.task) is None:
        raise StudyError("the study scores a model's file and does not say which: write its sha256 beside the file.")
