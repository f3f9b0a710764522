"""Whose consent covers a study: a column `consent` of a hospital's own table, read in one way for every source.

A cell says `all` (or yes), `none` (or no), or names studies, with ";" between several. A study is named by its
title, by one of its `purposes`, or by the digest that `wardround approve` prints, at least 12 digits of it: all of
them stand in the study that the hospital's own people approved, and none can be changed without their approving it
again.

Unclear consent is no consent: an empty cell, a number, a question mark, "all; not heart". So is what two rows of one
person disagree on: a person takes part where every row of theirs says so. Whoever is left out is quarantined, by name
and reason, in the hospital; a table without such a column limits nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from common.data.cases import Cases, Quarantined
from common.data.names import in_one_form
from common.errors import SourceError
from common.study.spelling import unknown
from common.study.study import Study

COLUMN = "consent"
"""Of cases: what a person's rows say, each on a line of its own."""
_NEARLY = re.compile(r"consent|einwilligung|consentement|consentimiento|opt.?(in|out)(?![a-z])")
LEAST_DIGITS = 12
SHOWN = 60
FORM = "with ; between"
REASONS_SHOWN = 3

# fmt: off
ALL = frozenset(["all", "any", "all studies", "any study", "alle", "tous", "toutes", "todos", "todas", "tutti"])
YES = frozenset(["yes", "y", "true", "ja", "oui", "si", "sí", "sì", "sim", "tak"])
NONE = frozenset([
    "none", "no", "n", "false", "never", "nobody", "no study", "no studies", "nein", "keine", "kein", "non", "aucun",
    "aucune", "ninguno", "ninguna", "nessuno", "nessuna", "nenhum", "nie", "nee", "nej",
])
EMPTY = frozenset(["", "n/a", "na", "nan", "null", "-", "--", ".", "unknown", "missing", "not asked", "unbekannt"])
DOUBT = frozenset([
    "not", "no", "none", "never", "without", "except", "excepting", "excluding", "exclude", "excludes", "but", "only",
    "unless", "until", "withdrawn", "withdrew", "withdraws", "revoked", "revokes", "refused", "refuses", "declined",
    "declines", "denied", "objected", "objects", "expired", "pending", "unclear", "unknown", "maybe", "nicht", "nein",
    "kein", "keine", "ohne", "außer", "ausser", "nur", "widerrufen", "abgelehnt", "offen", "unklar", "pas", "sauf",
    "sans", "hors", "excepté", "retiré", "refusé", "excepto", "salvo", "sin", "menos", "retirado", "non", "senza",
    "tranne", "eccetto", "sem", "exceto",
])
# fmt: on
"""Words that turn what stands beside them: a cell with one of them is not taken for consent."""


@dataclass(frozen=True)
class Called:
    """What consent may call a study. words: title and purposes, in one form; digest: of the study as approved."""

    words: frozenset[str]
    digest: str

    @classmethod
    def of(cls, study: Study, digest: str) -> Called:
        """Of a study and the SHA-256 of its JSON, hexadecimal."""
        return cls(frozenset(map(_plain, (study.title, *study.purposes))) - {""}, digest)

    def is_named(self, entry: str) -> bool:
        """Whether an entry, in one form, is this study's."""
        is_digest = len(entry) >= LEAST_DIGITS and self.digest.startswith(entry)
        return is_digest or entry in self.words


def fault_of(said: str, called: Called) -> str | None:
    """Why what one row says is no consent to the study; None where it is."""
    text, shown = _plain(said), f"{in_one_form(said)[:SHOWN]!r}"
    if text in EMPTY:
        return "no consent is written down: its cell is empty, or says that nothing is known"
    if text in NONE:
        return f"consent to no study: {shown}"
    if text in ALL or text in YES or called.is_named(text):
        return None
    entries = [entry.strip() for entry in text.split(";") if entry.strip()]
    others = [entry for entry in entries if not called.is_named(entry)]
    if any(map(_is_doubtful, others)):
        return f"its consent is not clear, and so is none: {shown}. Write all, none, or names of studies ({FORM})"
    if len(others) < len(entries) or ALL & set(others):
        return None
    return f"its consent names other studies: {shown}"


def consent_column(columns: Iterable[str], named: str, table: str, ignored: Iterable[str] = ()) -> str:
    """The column of a table that says who consents: the one that is `named`, or `consent`; "" where there is none.

    Raises UnknownNameError where the named one is absent, SourceError where two could be it, or where one is all but
    called so: what is not read would limit nobody.
    """
    there = [name for name in columns if name]
    if named:
        if in_one_form(named) not in map(in_one_form, there):
            raise unknown(f"column in {table}", named, there)
        return next(name for name in there if in_one_form(name) == in_one_form(named))
    found = [name for name in there if _plain(name) == COLUMN]
    near = [name for name in there if _NEARLY.search(_plain(name)) and name not in {*ignored, *found}]
    if len(found) > 1 or near:
        several = " and ".join(map(repr, (*found, *near)))
        raise SourceError(
            f"{table} has the column {several}, which seems to say who consents: name it in source.consent_column if "
            "it does, and call it otherwise if it does not."
        )
    return found[0] if found else ""


def consenting(cases: Cases, called: Called | None) -> Cases:
    """The cases of persons whose consent covers the study; the others are quarantined. called: None covers all.

    Raises SourceError, with reasons, where there are cases and nobody's consent does.
    """
    if COLUMN not in cases.columns:
        return cases
    refused = {} if called is None else _refused(cases, called)
    kept = cases.take(np.flatnonzero(~np.isin(cases.patients, list(refused)))) if refused else cases
    left_out = tuple(Quarantined(person, reason) for person, reason in sorted(refused.items()))
    if left_out and not len(kept):
        told = "; ".join(f"{one.name}: {one.reason}" for one in left_out[:REASONS_SHOWN])
        raise SourceError(f"nobody's consent covers this study ({told}).")
    kept = kept.with_columns(**{COLUMN: None})
    return Cases(kept.columns, kept.classes, kept.prescribed, (*kept.quarantined, *left_out))


def statements(said: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What the rows of each person say, as the column has it, of (person, cell)."""
    found: dict[str, dict[str, None]] = {}
    for person, cell in said:
        found.setdefault(person, {})[cell] = None
    return {person: "\n".join(cells) for person, cells in found.items()}


def _refused(cases: Cases, called: Called) -> dict[str, str]:
    """Reasons by person."""
    refused: dict[str, str] = {}
    for person, cells in zip(cases.patients.tolist(), cases.array(COLUMN).tolist(), strict=True):
        for cell in cells.split("\n"):
            fault = None if person in refused else fault_of(cell, called)
            if fault is not None:
                refused[person] = fault
    return refused


def _is_doubtful(entry: str) -> bool:
    words = set(re.findall(r"\w+", entry))
    return bool(words & DOUBT) or "?" in entry or not entry[0].isalnum() or entry.isdigit()


def _plain(text: str) -> str:
    return in_one_form(text).casefold()
