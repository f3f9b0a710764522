"""Names of hospitals and persons in one form, however a table, a study or a message writes them.

"Köln" typed on two machines can be two sequences of code points, a cell can end in a blank, and copied text carries
marks that take no room: all are one name. Names become folders and files, so that whatever a path takes for more
than a letter is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import category, normalize

from common.errors import SourceError

SiteId = str
LONGEST_NAME = 64
LARGEST_NAME_BYTES = 192
"""In UTF-8: a file's name holds 255 bytes, and some are for its ending."""
NO_FILE_NAME = frozenset('/\\:*?"<>|')
RULE = (
    f"1 to {LONGEST_NAME} letters, digits, blanks or marks such as . - _ ( ) &, in any script, the first a letter or "
    'a digit, none of / \\ : * ? " < > |'
)


def in_one_form(text: str) -> str:
    """Unicode NFC, without characters that take no room, trimmed, every run of blanks one space."""
    seen = "".join(one for one in text if category(one) != "Cf")
    return " ".join(normalize("NFC", seen).split())


def fault_of(name: str) -> str | None:
    """What is wrong with a hospital's name, without quoting it; None where it can be used as it stands."""
    if not name:
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; at most {LONGEST_NAME} are taken"
    if not name.isprintable():
        return "holds a control character, or one that cannot be printed"
    if len(name.encode()) > LARGEST_NAME_BYTES:
        return f"takes {len(name.encode())} bytes in UTF-8; at most {LARGEST_NAME_BYTES} are taken"
    if NO_FILE_NAME & set(name):
        return f"holds {' '.join(sorted(NO_FILE_NAME & set(name)))}, which names of files may not"
    if not name[0].isalnum():
        return "begins with neither a letter nor a digit"
    if name != in_one_form(name):
        return "is not in one form: Unicode NFC, no blank at its ends, none twice in a row"
    return None


def refuse_alike(what: str, names: Iterable[str], remedy: str = "write one in one way") -> None:
    """Raise SourceError where two of these names differ in capitals alone: nobody knows whether they are one."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise SourceError(f"{what} are called {other!r} and {name!r}: one or two? If one, {remedy}.")
