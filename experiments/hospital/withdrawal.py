"""`wardround withdraw`: in a hospital, a person is taken out of its studies from the next round on.

It writes the name into the hospital's own list, which the running node reads before it answers, and removes what is
kept of the person's data there: prepared copies, and updates that wait to be sent again. What was spent on the person
stays in the ledger, and what models have learned stays in them; both are said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import numpy as np
from rich.console import Console

from client import delivered_models as kept_models
from client import fine_tuning, own_parts, prepared, update_cache
from client.answered_rounds import FOLDER as ANSWERED
from client.answered_rounds import last_rounds
from client.approved_studies import APPROVED
from client.policy import read_policy
from client.source import Source
from client.source_abilities import streaming
from client.sources._persons import person_named
from client.split_record import runs_with
from client.state_store import RECORD
from client.withdrawn import FILE, PERSONS, consent_again, withdraw, withdrawals, withdrawn
from common.data.cases import Cases, SiteId
from common.errors import HospitalError, StudyError, WardroundError
from common.files.access import is_there, names, read_text
from common.files.tensor_files import SUFFIX
from common.study.catalogue import SOURCES
from common.study.plugins import trusting
from common.study.study import Study, parse
from experiments.hospital.ledger_summary import summary_of
from experiments.places import data_root_of

TRACES = frozenset(
    [
        *(APPROVED, RECORD, ANSWERED, FILE, prepared.FOLDER, fine_tuning.FOLDER, own_parts.FOLDER),
        *(kept_models.FOLDER, "log.jsonl"),
        *("incidents.log", "output.log", "policy.toml"),
    ]
)
"""What lies in a hospital's folder: any of it."""
HOSPITALS = "hospitals"
RETAINED = (
    "What models of the rounds before have learned of this person stays in them and in whatever is trained on from "
    "them: leaving does not take it back. Only a run that begins anew has nothing of it."
)
BOUNDED = (
    "Where a study promised differential privacy, its epsilon bounds what that can tell: over all studies that were "
    "charged here, at most epsilon {epsilon:.3g} at delta {delta:g} for the most-spent person. The ledger keeps it."
)
ORIGINALS = "The original files are yours to delete."
DIGITS = 12
MOST_ZEROS = 8
_LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def carry_out(
    person: str,
    folder: Path,
    console: Console,
    text: str | None,
    data_folder: Path | None,
    anyway: bool,
    consented: bool,
    lists: bool,
) -> None:
    """What the command's options ask for. text: of a study. Raises StudyError where they do not go together."""
    if bool(person) == lists or (consented and (anyway or lists)):
        raise StudyError("name one person to withdraw, with --again-consented one who comes back, or ask for --list.")
    if lists:
        show_withdrawn(folder, console)
    elif consented:
        take_back(person, folder, console)
    else:
        study = None if text is None else parse(text)
        withdraw_person(person, folder, console, study, data_folder, anyway)


def withdraw_person(
    person: str, folder: Path, console: Console, study: Study | None, data_folder: Path | None, anyway: bool
) -> None:
    """Take a person out. study, data_folder: to compare the name with the data. anyway: also one that nobody has.

    Raises StudyError where nobody has the name, HospitalError where the folder is none or the list cannot be written.
    """
    _demand_hospital(folder, anyway)
    name = _in_one_form(person)
    study, site = (study, None) if study is not None else _simulated(folder)
    if not anyway and name not in withdrawn(folder):
        _demand_known(name, folder, study, data_folder, site)
    is_new = withdraw(folder, name, date.today())
    kept = update_cache.forget(folder)
    copies = prepared.forget(folder)
    if study is not None and site is not None:
        whose = site if study.partition is None else None
        copies += prepared.forget(None, prepared.key_of(study.source, whose, study.seed))
    for sentence in _sentences(name, folder, is_new, kept, copies):
        _say(console, sentence)


def take_back(person: str, folder: Path, console: Console) -> None:
    """Strike a person off, who has consented anew. Raises StudyError where they are not on the list."""
    _demand_hospital(folder, False)
    name = _in_one_form(person)
    if not consent_again(folder, name, date.today()):
        raise StudyError(f"{name!r} is not on the list of {folder}{_guess(name, withdrawn(folder))}")
    _say(console, f"{name} has consented again, and takes part from the next round on. Both days stay on the list.")


def show_withdrawn(folder: Path, console: Console) -> None:
    """Everybody on the list, a line each."""
    _demand_hospital(folder, False)
    found = withdrawals(folder)
    for one in found:
        again = f", and consented again on {one.again}" if one.again else ""
        _say(console, f"{one.person}: withdrew on {one.since}{again}")
    if not found:
        _say(console, f"Nobody withdrew from {folder}.")


def _sentences(name: str, folder: Path, is_new: bool, kept: int, copies: int) -> Iterator[str]:
    said = "is now" if is_new else "was already"
    yield f"{name} {said} on the list {folder / FILE}, and takes part in nothing from the next round on."
    removed = [f"{copies} files of prepared copies"] * bool(copies)
    removed += [f"{kept} updates kept to be sent again"] * bool(kept)
    yield f"{'Removed here: ' + ' and '.join(removed) if removed else 'No copies were kept here'}. {ORIGINALS}"
    for digest, last in last_rounds(folder).items():
        yield f"Study {digest[:DIGITS]} was answered here up to round {last}, a last scoring included."
    yield RETAINED
    yield from _kept_models(folder)
    yield from _epsilon(folder)
    yield "Other hospitals are not told: where the person was seen elsewhere, they withdraw there too."


def _kept_models(folder: Path) -> Iterator[str]:
    """What this hospital alone has, trained on its persons, and what one does about it."""
    if is_there(folder, fine_tuning.FOLDER) and names(folder, fine_tuning.FOLDER):
        place = folder / fine_tuning.FOLDER
        yield f"Models that this hospital fine-tuned are in {place}, and have learned of this person: remove them."
    if is_there(folder, kept_models.FOLDER) and names(folder, kept_models.FOLDER):
        place = folder / kept_models.FOLDER
        yield f"Models that runs ended with are in {place}: what they have learned of this person stays."
    if _keeps_state(folder):
        yield (
            f"What studies keep here between rounds ({folder / RECORD}: a strategy's state, parts of a model that "
            "stay in the hospital) has learned of this person too, and stays for as long as these studies go on."
        )


def _keeps_state(folder: Path) -> bool:
    with suppress(WardroundError):
        studies = names(folder, RECORD) if is_there(folder, RECORD) else []
        return any(name.endswith(SUFFIX) for study in studies for name in names(folder, f"{RECORD}/{study}"))
    return True


def _epsilon(folder: Path) -> Iterator[str]:
    """What the ledger says, which stays as it is; nothing where there is none that can be read."""
    with suppress(WardroundError):
        summary = summary_of(folder)
        if summary.epsilon is not None and summary.patients:
            yield BOUNDED.format(epsilon=summary.epsilon, delta=summary.delta)


def _demand_known(
    name: str, folder: Path, study: Study | None, data_folder: Path | None, site: SiteId | None
) -> None:
    if runs_with(folder, name):
        return
    there = _persons(folder, study, data_folder, site)
    if name in there:
        return
    zeros = [other for other in _with_other_zeros(name) if runs_with(folder, other)]
    how = (
        "Write the name as the data do, or write it down all the same with --anyway."
        if there
        else "Name the study and its data (--study, --data-folder) to compare the name with them, or write it down "
        "all the same with --anyway."
    )
    raise StudyError(f"nobody here is called {name!r}{_guess(name, [*zeros, *there])} {how}")


def _guess(name: str, there: Collection[str]) -> str:
    near = get_close_matches(name, sorted(there), n=1, cutoff=0.5)
    near = [one for one in sorted(there) if _bare(one) == _bare(name)][:1] or near
    return f"; did you mean {near[0]!r}?" if near else "."


def _with_other_zeros(name: str) -> list[str]:
    """The same name as spreadsheets may have left it: with more or fewer zeros before its last number."""
    found = _LAST_NUMBER.search(name)
    if found is None:
        return []
    number = found.group().lstrip("0") or "0"
    others = (number.zfill(len(number) + more) for more in range(MOST_ZEROS))
    return [f"{name[: found.start()]}{other}{name[found.end() :]}" for other in others if other != found.group()]


def _bare(name: str) -> str:
    return _ZEROS.sub("", name)


def _persons(folder: Path, study: Study | None, data_folder: Path | None, site: SiteId | None) -> set[str]:
    """Names in one form of whoever is in the data, as far as they can be read here."""
    if study is None:
        return set()
    options = {**study.source.options, **({} if data_folder is None else {"folder": str(data_folder)})}
    run = folder.absolute().parent.parent
    try:
        with trusting(read_policy(folder).trust), data_root_of(run, site is not None):
            source = cast(Source, SOURCES.build(replace(study.source, options=options)))
            own: list[SiteId | None] = [site] if site is not None and source.has_sites else [*source.sites()]
            return {name for one in own or [None] for name in _names_of(source, one, study.seed)}
    except WardroundError as error:
        raise StudyError(f"the data cannot be read to compare the name with them: {error}") from error


def _names_of(source: Source, site: SiteId | None, seed: int) -> Iterator[str]:
    parted = streaming(source)
    parts = [source.cases(site, seed)] if parted is None else parted.parts(site, seed)
    for part in parts:
        if isinstance(part, Cases):
            for whose in np.unique(part.array(PERSONS if PERSONS in part.columns else "patients")).tolist():
                yield from map(person_named, whose.split("\n"))


def _simulated(folder: Path) -> tuple[Study | None, SiteId | None]:
    """The study of a simulated hospital's run, and its name."""
    run, place = folder.absolute().parent.parent, folder.absolute()
    if place.parent.name != HOSPITALS or not is_there(run, "study.toml"):
        return None, None
    try:
        return parse(read_text(run, "study.toml")), place.name
    except WardroundError:
        return None, None


def _demand_hospital(folder: Path, anyway: bool) -> None:
    if not folder.is_dir():
        raise HospitalError(f"there is no folder {folder}: it is the one that the hospital's node is set up with.")
    if (folder / HOSPITALS).is_dir():
        inside = names(folder, HOSPITALS) or ["NAME"]
        raise HospitalError(
            f"{folder} is a run's folder; each hospital withdraws by itself: name "
            f"{folder / HOSPITALS / inside[0]} or another of them."
        )
    if not anyway and not TRACES & set(names(folder)):
        raise HospitalError(
            f"{folder} holds nothing of a hospital's: no list of approved studies, no run. Name the folder that its "
            "node is set up with; --anyway writes the list there all the same."
        )


def _in_one_form(person: str) -> str:
    name = person_named(person)
    if not name:
        raise StudyError(f"{person!r} names nobody.")
    return name


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
