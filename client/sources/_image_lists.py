"""Which images there are, what each is labelled, and whose it is: by patterns over a folder, or a table of paths."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from client.consent import consent_column, statements
from client.sources._image_files import ENDINGS, Listed, Pattern, all_files
from client.sources._persons import (
    NOBODY,
    is_bids,
    person_column,
    person_named,
    person_of_file,
    refuse_doubtful,
    refuse_several,
)
from client.sources._table_columns import text_of
from client.sources._table_files import read_rows
from common.data.cases import SiteId
from common.data.names import RULE, fault_of, in_one_form
from common.errors import SourceError
from common.study.spelling import unknown

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
UNMATCHED_SHOWN = 3
BY_A_FIELD = "put {person} into source.images, for a whole name if each is somebody"
_WILD = set("{*?")


@dataclass(frozen=True)
class Item:
    """An image. name, mask: files below the folder, as the disk spells them. spacing_mm: of rows, columns, if told.

    label, split: "" for none. problem: why it cannot be used, or "". consent: what all rows of the person say; None
    where no column does. kept: columns that the case hands on, and what the row has there.
    """

    name: str
    person: str
    site: SiteId = ""
    label: str = ""
    mask: str = ""
    split: str = ""
    spacing_mm: tuple[float, float] | None = None
    problem: str = ""
    consent: str | None = None
    kept: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ByPattern:
    """images, masks: patterns below the folder; masks is None where labels are names of folders.

    unlabelled: masks belong to nothing, and only say what is no image.
    """

    images: Pattern
    masks: Pattern | None
    unlabelled: bool = False

    def items(self, folder: Path) -> list[Item]:
        """All that is in the folder, sorted by name; at the end, in one, what no pattern matches."""
        listed = all_files(folder)
        masks = [one for one in listed if self.masks is not None and self.masks.match(one.plain) is not None]
        names = _Names(masks)
        items, used, others = [], set[str](), []
        for one in listed:
            fields = None if one in set(masks) and self.masks else self._fields(one)
            if fields is not None:
                item = self._item(one, fields, names)
                used.add(item.mask)
                items.append(item)
            elif self.masks is None or self.masks.match(one.plain) is None:
                others.append(one)
        left = [one for one in others if one.problem or one.name.lower().endswith(ENDINGS)]
        left += [one for one in masks if one.name not in used and not self.unlabelled]
        if "person" in self.images.fields:
            refuse_doubtful((item.person for item in items), str(folder))
        else:
            refuse_several(_without_endings(items), BY_A_FIELD)
        return items + _unmatched(left, self.images.text)

    def _fields(self, one: Listed) -> dict[str, str] | None:
        return self.images.match(one.plain)

    def _item(self, one: Listed, fields: Mapping[str, str], masks: _Names) -> Item:
        person = person_named(fields["person"]) if "person" in fields else person_of(one.plain)
        item = Item(one.name, person, in_one_form(fields.get("site", "")), in_one_form(fields.get("class", "")))
        try:
            if one.problem:
                raise SourceError(one.problem)
            split = _split(fields["split"]) if "split" in fields else ""
            asked = None if self.unlabelled else self.masks
            mask = masks.only(asked.filled(fields)) if asked is not None else ""
            return replace(item, split=split, mask=mask)
        except SourceError as error:
            return replace(item, problem=str(error))


class _Names:
    """Mask files, found by a pattern without going through all of them."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        self._listed = sorted(listed, key=lambda one: one.plain)
        self._plain = [one.plain for one in self._listed]

    def only(self, pattern: Pattern) -> str:
        """The one that matches. Raises SourceError where there is none, or several."""
        stem = pattern.text[: next((at for at, one in enumerate(pattern.text) if one in _WILD), None)]
        found = []
        for at in range(bisect_left(self._plain, stem), len(self._plain)):
            if not self._plain[at].startswith(stem):
                break
            if pattern.match(self._plain[at]) is not None:
                found.append(self._listed[at])
        if len(found) != 1:
            several = (
                f"has {len(found)} masks, {', '.join(one.name for one in found[:3])}" if found else "has no mask"
            )
            wild = "*" in pattern.text and len(found) > 1
            remedy = "; write a field, such as {view}, for * in source.images and source.masks" if wild else ""
            raise SourceError(f"{several}: {pattern.text} must be one file{remedy}")
        if found[0].problem:
            raise SourceError(f"its mask {found[0].name} {found[0].problem}")
        return found[0].name


@dataclass(frozen=True)
class ByTable:
    """table: a CSV file in the folder. path, label, mask, person, site, split: its columns; "" for none.

    person "" is found by the words of `_persons`, consent "" where a column is called so. spacing: one column, of
    both axes, or those of rows and columns. keep: columns to hand on.
    """

    table: str
    path: str
    label: str
    mask: str
    person: str
    site: str
    split: str
    spacing: tuple[str, ...] = field(default=())
    consent: str = ""
    keep: tuple[str, ...] = ()

    def items(self, folder: Path) -> list[Item]:
        """Every row, in the order of its image's name. Raises SourceError for a table that cannot be used."""
        columns, rows = _rows(folder, self.table)
        named = (self.path, self.label, self.mask, self.person, self.site, self.split, *self.spacing)
        for column in self.keep:
            if column not in columns:
                raise unknown(f"column in {self.table}", column, columns)
        for column in named:
            if column and column not in columns:
                raise unknown(f"column in {self.table}", column, columns)
        others = [column for column in columns if column not in (*named, "")]
        person = self.person or person_column(others, self.path, self.table) or ""
        named_plainly = all(row[column].isascii() for _, row in rows for column in (self.path, self.mask) if column)
        on_disk = {} if named_plainly else {one.plain: one.name for one in all_files(folder)}
        found = [self._item(line, row, person, on_disk) for line, row in rows]
        items = self._with_consent(found, columns, rows)
        seen: dict[str, Item] = {}
        for item in items:
            if seen.setdefault(item.name, item) is not item:
                raise SourceError(f"{self.table} names {item.name} twice: an image is one case; keep one row of it.")
        if person:
            refuse_doubtful((item.person for item in items), self.table)
        else:
            refuse_several(_without_endings(items), f"add a column person to {self.table}")
        return sorted(items, key=lambda item: item.name)

    def _item(self, line: int, row: Mapping[str, str], person_column: str, on_disk: Mapping[str, str]) -> Item:
        path = _spelt(_below(row[self.path]), on_disk)
        name, place = path or f"line {line}", f"line {line} of {self.table}"
        person = person_named(row[person_column]) if person_column else person_of(name)
        site = in_one_form(row[self.site]) if self.site else ""
        unknown_site = bool(self.site) and (not site or site.casefold() in NOBODY)
        kept = tuple((column, row[column]) for column in self.keep)
        item = Item(name, person or f"line {line}", "" if unknown_site else site, kept=kept)
        try:
            if unknown_site:
                raise SourceError(f"{place} has {site!r} for its hospital")
            if not path:
                raise SourceError(f"{place}: {row[self.path][:80]!r} names no file below the folder")
            if not person or (person_column and person in NOBODY):
                raise SourceError(f"{place} names no person in column {person_column!r}")
            if self.label and not row[self.label]:
                raise SourceError(f"{place} names no class in column {self.label!r}")
            mask = _spelt(_below(row[self.mask]), on_disk) if self.mask else ""
            if self.mask and not mask:
                raise SourceError(f"{place}: {row[self.mask][:80]!r} names no mask below the folder")
            return replace(
                item,
                label=in_one_form(row[self.label]) if self.label else "",
                mask=mask,
                split=_split(row[self.split]) if self.split else "",
                spacing_mm=self._spacing_mm(row, place),
            )
        except SourceError as error:
            return replace(item, problem=str(error))

    def _with_consent(
        self, items: list[Item], columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]]
    ) -> list[Item]:
        column = consent_column(columns, self.consent, self.table)
        if not column:
            return items
        said = statements((item.person, row[column]) for item, (_, row) in zip(items, rows, strict=True))
        return [replace(item, consent=said[item.person]) for item in items]

    def _spacing_mm(self, row: Mapping[str, str], place: str) -> tuple[float, float] | None:
        if not self.spacing:
            return None
        found = []
        for column in self.spacing:
            try:
                millimetres = float(row[column].strip().replace(",", "."))
            except ValueError:
                millimetres = 0.0
            if not 0 < millimetres < 1000:
                raise SourceError(f"{place}: {row[column][:40]!r} in column {column!r} is no spacing in millimetres")
            found.append(millimetres)
        return (found[0], found[-1])


def person_of(name: str) -> str:
    """A file's own person: BIDS' `sub-` at the beginning of its last part, or the name without its ending."""
    last = name.rpartition("/")[2]
    return person_of_file(last) if is_bids(last) else str(PurePosixPath(name).with_suffix(""))


def check_sites(items: Iterable[Item]) -> None:
    """Raise SourceError where a hospital's name cannot be used."""
    for site in sorted({item.site for item in items}):
        fault = fault_of(site)
        if fault is not None:
            raise SourceError(f"a hospital's name {fault} ({site[:80]!r}); it is {RULE}.")


def _without_endings(items: Iterable[Item]) -> Iterator[str]:
    """Where they lie, and at one hospital wherever they lie: a left eye may be ill and the right one well."""
    for item in items:
        whole = PurePosixPath(item.name).with_suffix("")
        if not is_bids(whole.name):
            yield str(whole)
            yield f"{item.site}/{whole.name}" if item.site else whole.name


def _unmatched(left: Sequence[Listed], text: str) -> list[Item]:
    """One entry for all: a hospital's folder may hold thousands of pictures that are none of the study's."""
    if not left:
        return []
    shown = ", ".join(one.name + (f" ({one.problem})" if one.problem else "") for one in left[:UNMATCHED_SHOWN])
    more = f" and {len(left) - UNMATCHED_SHOWN} more" if len(left) > UNMATCHED_SHOWN else ""
    reason = f"not used, for they belong to no image by {text!r}: {shown}{more}"
    return [Item(left[0].name, left[0].plain, problem=reason)]


def _split(text: str) -> str:
    word = text.strip().casefold()
    if word not in SPLITS:
        raise SourceError(f"the split {text[:40]!r} is none of train, validation and test")
    return SPLITS[word]


def _spelt(path: str, on_disk: Mapping[str, str]) -> str:
    """A path as the disk spells it: a Mac's names are in another form of Unicode than a table's."""
    return on_disk.get(normalize("NFC", path), path)


def _below(text: str) -> str:
    """A path below the folder as `common.files.access` wants it; "" where it is none."""
    path = PurePosixPath(text.strip().replace("\\", "/"))
    return "" if path.is_absolute() or ".." in path.parts or "\0" in text or not path.parts else path.as_posix()


def _rows(folder: Path, name: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns, and every row with its line. Raises SourceError where it is no table."""
    table = read_rows(folder, name)
    if table.broken:
        row = table.broken[0]
        raise SourceError(
            f"line {row.line} of {name} has {len(row.cells)} cells, and the header {len(table.columns)}."
        )
    texts = (
        (row.line, [cell if isinstance(cell, str) else text_of(cell) for cell in row.cells]) for row in table.rows
    )
    return list(table.columns), [(line, dict(zip(table.columns, cells, strict=True))) for line, cells in texts]
