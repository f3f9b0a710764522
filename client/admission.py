"""Whether a hospital looks at a study at all: its people's yes, and the program that they said it to.

Nothing of a study is built here: its text is compared, and read as a table where it says which programs it demands.
"""

from __future__ import annotations

import json
from pathlib import Path

from client.approvals import Approval, read_approval
from client.approved_studies import approve_study, digest_of
from client.waiting_studies import declined, keep_waiting
from common.errors import FileError, RefusedError, StudyError
from common.study.plugins import Reference
from common.study.program import has_changed, this_program

_AGAIN = "Look at what changed, and approve the study once more: wardround approve {} FOLDER."


def admit(study_json: str, folder: Path | None, is_deployed: bool) -> None:
    """Raise RefusedError where the study is declined, not approved, or not to be run by the program that this is.

    A deployed hospital keeps a study that it does not know for its people to look at.
    """
    digest = digest_of(study_json)
    if folder is not None and (said := declined(digest, folder)) is not None:
        raise RefusedError("declined", f"study {digest} was declined by {said.who} on {said.when}: {said.reason}")
    try:
        approve_study(study_json, folder, needs_list=is_deployed)
    except RefusedError as refusal:
        if folder is not None and is_deployed:
            raise RefusedError(refusal.reason, f"{refusal} {_kept(study_json, digest, folder)}") from refusal
        raise
    if is_deployed and has_changed():
        raise RefusedError("program", "files of the program changed since this node began: start it again.")
    approval = None if folder is None else read_approval(folder, digest)
    if approval is not None:
        _demand_program(approval)
        _demand_plugins(approval)
    demand_wanted(study_json)


def demand_wanted(study_json: str) -> None:
    """Raise RefusedError where the study demands programs and this is none of them."""
    own = this_program().digest
    try:
        wanted = json.loads(study_json)["federation"]["programs"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return
    if not isinstance(wanted, list) or own not in wanted:
        raise RefusedError("program", f"the study demands another program than {own} (federation.programs).")


def _demand_program(approval: Approval) -> None:
    own = this_program()
    if approval.program != own.digest:
        raise RefusedError(
            "program",
            f"study {approval.digest} was approved with program {approval.program} (wardround {approval.version}); "
            f"here runs {own.digest} (wardround {own.version}). {_AGAIN.format(approval.digest[:12])}",
        )


def _demand_plugins(approval: Approval) -> None:
    """By their files alone: nothing is imported. Whether they may be imported at all the policy says."""
    for module, digest in approval.plugins.items():
        try:
            found = Reference(module, "", module.endswith(".py")).digest()
        except StudyError as error:
            raise RefusedError("program", f"plug-in {module} cannot be run here: {error}") from error
        if found != digest:
            again = _AGAIN.format(approval.digest[:12])
            raise RefusedError("program", f"plug-in {module} was approved as {digest} and is {found} here. {again}")


def _kept(study_json: str, digest: str, folder: Path) -> str:
    """Where people can look at it. A full disk keeps nobody's answer back."""
    try:
        kept = keep_waiting(study_json, folder)
    except FileError as error:
        return f"It could not be kept for you to look at: {error}"
    if not kept:
        return "It was not kept for you to look at: it is no study, too long, or too many wait already."
    return f"Look at it, then agree or decline: wardround approve {digest[:12]} {folder}"
