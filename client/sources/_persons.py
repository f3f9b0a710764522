"""Who a file or a row is of: the person's name, written in one way however a table or a file writes it.

A person is what a table's column says. Where there is none, `sub-04` of a BIDS name (`sub-04_ses-1.nii.gz`, or a
folder `sub-04/`) is the person. Failing both, nothing says that two files are of one person, and each is taken for
a person of its own.

Written alike are: upper and lower case, forms of Unicode (NFKC), white space at the ends and how much of it there is
inside, characters that take no room, kinds of dashes, and a leading `sub-`; so "sub-04", "04", " 04 " and "SUB-04"
are one person, at one hospital or at several. "04" and "4" are not one: where a table has both it is refused, for
spreadsheets drop zeros. A name taken from a file that is no BIDS name stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from unicodedata import category, normalize

from common.errors import SourceError

FILE_COLUMNS = ("file", "patient")
"""The first that is there names the file; where "file" does, "patient" is free to name the person."""
PERSON_COLUMNS = ("person", "subject", "participant_id", "patient")
NOBODY = ("n/a", "na", "nan", "none", "null", "?", "-9", "-99", "-999", "-9999")
"""What tables write where nothing is known: it names no person and no hospital."""
OTHER_COLUMNS = ("site", "institution", "session", "sex", "age")
"""Not misspelt words for a person, however near."""
_OF_ONE = re.compile(
    r"(?P<stem>.+?)[_\- ./]+(?:left|right|links|rechts|[lr]|o[ds]|pre|post|baseline|follow-?up|"
    r"(?:ses|session|scan|visit|time|run|echo|[vt])[_\- ]?[0-9]+)",
    re.IGNORECASE,
)
"""Names whose ends say a side or a time: p7_left and p7_right, p7_t0 and p7_t1."""
_BIDS = re.compile(r"sub-([0-9A-Za-z]+)(?:[_/]|$)")


def person_named(text: str) -> str:
    """The name of a person as a table writes it, in the one form that stands for all ways of writing it."""
    seen = text if text.isascii() else _seen(normalize("NFKC", text))
    return normalize("NFKC", " ".join(seen.casefold().split())).removeprefix("sub-").strip()


def _seen(text: str) -> str:
    """Without characters that take no room, as spreadsheets and copied text carry them; every dash is a hyphen."""
    kinds = ((one, category(one)) for one in text)
    return "".join("-" if kind == "Pd" or one == "\u2212" else one for one, kind in kinds if kind != "Cf")


def person_of_file(name: str) -> str:
    """The person a file's name or path (without its ending) is of: BIDS' `sub-`, or else the name itself."""
    found = _BIDS.match(name)
    return person_named(found.group(1)) if found else name


def refuse_several(names: Iterable[str], remedy: str) -> None:
    """Raise SourceError where names of files, without endings, look like two of one person, and nothing says whose.

    remedy: how a study says it, either way.
    """
    seen: dict[str, str] = {}
    for name in names:
        found = _OF_ONE.fullmatch(name)
        other = seen.setdefault(found["stem"], name) if found else name
        if other != name:
            raise SourceError(
                f"{other} and {name} look like two of one person, and nothing says whose they are: {remedy}."
            )


def is_bids(name: str) -> bool:
    """Whether a file's name or path begins with BIDS' `sub-`."""
    return _BIDS.match(name) is not None


def person_column(columns: Iterable[str], file_column: str, table: str) -> str | None:
    """The column that names persons; None where there is none.

    Raises SourceError where two columns do, or where one is all but a word for it: a promise depends on it.
    """
    found = [name for name in columns if name and name != file_column]
    named = [name for name in found if name in PERSON_COLUMNS]
    if len(named) > 1:
        raise SourceError(f"{table} names persons in {' and in '.join(named)}: keep one of these columns.")
    if named:
        return named[0]
    for name in found:
        word = re.sub(r"[\s-]+", "_", name.strip().casefold())
        near = get_close_matches(word, PERSON_COLUMNS, n=1, cutoff=0.8)
        if near and name not in OTHER_COLUMNS:
            raise SourceError(
                f"{table} has a column {name!r}; did you mean {near[0]!r}? Files of one person are known by it. "
                f"Rename it to one of {', '.join(PERSON_COLUMNS[:3])}, or to something else if it names no person."
            )
    return None


def refuse_doubtful(persons: Iterable[str], table: str) -> None:
    """Raise SourceError, naming both, where two persons differ in leading zeros alone."""
    seen: dict[str, str] = {}
    for person in persons:
        bare = re.sub(r"(?<![0-9])0+(?=[0-9])", "", person)
        other = seen.setdefault(bare, person)
        if other != person:
            raise SourceError(
                f"{table} names persons {other!r} and {person!r}: one person or two? Write one in one way, and two "
                "so that they differ in more than zeros."
            )
