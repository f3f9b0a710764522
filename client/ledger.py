"""What every study has spent on every patient of this hospital, kept on its own disk, with a stop it sets itself.

A charge is written, and on the disk, before anything is released, so that a crash can only count too much. A round
that is trained again is counted again, unless a crash kept the first attempt from leaving (`charged_orders`), and a
study is charged at most as often as it has rounds: to run it once more it needs another seed, which makes it another
study. Where the hospital's policy has `largest_epsilon_a_person`, or `privacy-limit.toml` is in its folder (epsilon
and delta, for any one patient and all studies together), a charge that would go beyond it is refused and only its
refusal written down. Patients are kept as keyed hashes; how charges of other units count for them is in
`_ledger_counting`, what is noticed of a changed ledger in `_ledger_file`.

What it cannot know: studies without a privacy mechanism cost without bound and are not charged here. A refusal tells
the coordinator that some patient took part in other studies. Later studies whose noise is chosen after seeing earlier
models are added up as if it had been fixed beforehand, as accountants by privacy loss distributions do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from client import _ledger_file as files
from client._ledger_accounting import PatientSet, histories
from client._ledger_entry import LedgerEntry
from client.policy import read_limits
from client.privacy_limit import Limit
from common.errors import BudgetSpentError, LedgerError, RoundsSpentError
from common.privacy.accounting import epsilon_of
from common.privacy.release import Release, Unit

NO_ROUND = 0
"""Of a charge for a question: it is none of the study's rounds."""
Accountant = Callable[[Iterable[Release], float], float]
"""Epsilon of all releases together, at a delta."""


def tight(releases: Iterable[Release], delta: float) -> float:
    """Epsilon by privacy loss distributions."""
    return epsilon_of(releases, delta).epsilon


@dataclass(frozen=True)
class Charge:
    """What one round of a study is about to release.

    study: SHA-256 of the study as JSON, hexadecimal. delta: the study's own. patients: the patient of every training
    case, so as often as it has cases; a patient that may be drawn must be there. most: how often the study may be
    charged for rounds in all; None: without end.
    """

    study: str
    title: str
    round: int
    unit: Unit
    delta: float
    releases: tuple[Release, ...]
    patients: tuple[str, ...]
    most: int | None = None


@dataclass(frozen=True)
class Ledger:
    """The ledger in a hospital's own folder, made there at the first charge."""

    folder: Path
    accountant: Accountant = tight

    def spend(self, charge: Charge) -> None:
        """Write the charge down; it is on the disk when this returns, and only then may anything be released.

        Raises BudgetSpentError where a patient would go beyond the hospital's limit, RoundsSpentError where the
        study was charged `most` times, LedgerError where the ledger is not as it was written, is busy for a minute or
        cannot be written, StudyError for an impossible limit.
        """
        if not charge.patients:
            raise LedgerError("a charge must concern a patient; this one concerns none.")
        limits = read_limits(self.folder)
        with files.opened(self.folder, create=True) as (connection, key):
            found = files.contents(connection, self.folder, key)
            if found.fault is not None:
                raise LedgerError(f"the ledger of privacy spending was changed: {found.fault}.")
            if found.behind:
                files.write_head(connection, self.folder, key)
            cases = key.hidden(Counter(charge.patients))
            entry = _entry(charge, len(found.entries) + 1, "charge", key.patient_set(cases.items()))
            refusal = self._refusal(charge, limits, entry, found, cases)
            if refusal is not None:
                entry = _entry(charge, entry.number, "refused", "")
            else:
                files.keep_set(connection, key, cases)
            files.append(connection, key, found.last, entry)
            files.commit(connection, self.folder, key)
        if refusal is not None:
            raise refusal

    def _refusal(
        self, charge: Charge, limits: Sequence[Limit], entry: LedgerEntry, found: files.Contents, cases: PatientSet
    ) -> BudgetSpentError | None:
        """Why the charge must not be made; None where it may."""
        after, sets = (*found.entries, entry), {**found.sets, entry.patients: cases}
        rounds = _charges_of(charge.study, (one for one in after if one.round != NO_ROUND))
        if charge.most is not None and rounds > charge.most:
            return RoundsSpentError(f"this study was charged for {charge.most} rounds already, and has no more.")
        spent = histories(after, sets, cases) if limits else ()
        if not all(self._allowed(limit, spent) for limit in limits):
            return BudgetSpentError("this release would take a patient beyond the hospital's own limit of epsilon.")
        return None

    def contents(self) -> files.Contents:
        """All entries, verified; `fault` says where they are not as written. Raises LedgerError without a ledger."""
        with files.opened(self.folder, create=False) as (connection, key):
            return files.contents(connection, self.folder, key)

    def charges_of(self, study: str) -> int:
        """How often a study was charged; 0 where there is no ledger yet. Raises LedgerError as `contents` does."""
        if not files.is_begun(self.folder):
            return 0
        return _charges_of(study, self.contents().entries)

    def _allowed(self, limit: Limit, spent: Iterable[tuple[Release, ...]]) -> bool:
        return all(self.accountant(history, limit.delta) <= limit.epsilon for history in spent)


def _charges_of(study: str, entries: Iterable[LedgerEntry]) -> int:
    return sum(entry.kind == "charge" and entry.study == study for entry in entries)


def _entry(charge: Charge, number: int, kind: Literal["charge", "refused"], patients: str) -> LedgerEntry:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LedgerEntry(
        number,
        kind,
        now,
        charge.study,
        charge.title,
        charge.round,
        charge.unit,
        charge.delta,
        charge.releases,
        patients,
    )
