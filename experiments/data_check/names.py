"""Names of persons that are probably one: they differ in what a typist or a spreadsheet changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category, normalize

_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_JOINT = re.compile(r"(?<=[^\W\d_])[\s_-]+(?=[0-9])")


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of different names that read the same, sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(bare(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def bare(name: str) -> str:
    """Without capitals, accents, leading zeros, and with one blank for all blanks, dashes and underlines."""
    letters = "".join(one for one in normalize("NFKD", name.casefold()) if not category(one).startswith(("M", "Cf")))
    plain = re.sub(r"[\s_-]+", " ", _JOINT.sub("", letters)).strip()
    return _ZEROS.sub("", plain.replace("ß", "ss"))
