"""Folders or a table of PNG, JPEG and TIFF images, labelled by folder, by column, or pixel by pixel in masks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import Source, gathered
from client.sources._asked import asked_columns, levels_of
from client.sources._folders import existing, inside
from client.sources._image_files import Pattern
from client.sources._image_fitting import Aspect, Colour, Fitting, MaskRescaling, intensities
from client.sources._image_lists import ByPattern, ByTable, Item, check_sites
from client.sources._image_masks import MaskValues, check_classes
from client.sources._image_new import ImagePlace, new_case
from client.sources._image_pixels import Pixels, read_pages
from common.data.cases import Cases, Quarantined, SiteId, no_truth
from common.data.names import in_one_form, refuse_alike
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.checks import between, one_of
from common.study.spelling import unknown

REMEDY = "Name the folder of the images with --set source.folder=..."
CLASSES = Pooled(
    "the list of classes from the labels of all", "source.classes = []", "name them all in source.classes"
)
SPLITS = Pooled(
    "which parts the data set prescribes from the splits of all",
    "source.split, or {split} in source.images",
    "leave it out, so that a person's name and the seed decide",
)
MASKS = Pooled(
    "whose each mask is from the names of all",
    "source.masks with * or ? beside a field",
    "write all that is in a mask's name as text or as a field of source.images",
)
LARGEST_SIDE = 8192
BY_FOLDER, BESIDE_MASKS, EVERYWHERE = "{class}/**/*", "images/{name}.*", "**/*"
OR_NONE = "a task that learns without labels needs none with source.unlabelled = true"
FIELDS = ("site", "class", "person", "split")


@dataclass(frozen=True)
class Images:
    """Images of (1 or 3, *size), intensities in [0, 1] by the file's type; labels from folders, a column or masks.

    images: a pattern of paths below the folder, such as "{site}/{class}/{person}_*.png". Fields with a meaning: site,
    class, person, split (train, val, test); others are the file's own, for masks. Left out: "{class}/**/*", or with
    masks "images/{name}.*". masks: where an image's mask is, by the same fields: "masks/{name}_mask.png".
    table: a CSV file in the folder in the place of images, a row an image; path, label, mask, person, site, split and
    spacing name its columns (spacing: in mm, of both axes or of rows and columns). Persons are found in a column
    person, subject, participant_id or patient where person names none.
    classes: names, in order; with masks needed, background first, and otherwise the labels there are. mask_values: of
    each class, numbers or colours "#ff0000"; left out, 0, 1, 2, ..., or 0 and 255 of two classes.
    size: one length, or rows and columns; 0 leaves images as they are. aspect: how they get there, by "pad", with 0
    and background, "crop", around the centre, or "stretch". mask_rescaling: a pixel is of the class that covers most
    of it, or of the nearest. colour: "luminance" makes grey of images in colour, "grey" leaves those out.
    intensities: what becomes 0 and 1, else 0 and 255 or 65535 by the file's type; floats stay as they are. pages:
    "each" page of a TIFF is a case, or files of several are left out. dpi: whether the files' resolution is the
    pixel spacing. keep: columns of the table that the cases hand on as words; what report.subgroups names is added by
    itself. asked: columns of the table that questions read, and what they hold, as of source "table".

    unlabelled: the images alone, for a task without labels: no class and no mask is looked for, `images` is "**/*"
    where it is left out, and the cases have no truth. What fits the pattern `masks` is still no image.

    folder: where the data are. path, label, mask, person, site, split: columns of `table`. spacing: columns of
    it that hold the size of a pixel, in mm: one, or rows' and columns'. consent_column: the column that says
    which studies a person consents to, as `client.consent` has it; "" for `consent`, where it has one.
    """

    new_kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    sites_by: ClassVar[str] = "{site} in source.images, or source.site, a column of source.table"

    folder: str = ""
    images: str = ""
    masks: str = ""
    table: str = ""
    path: str = "path"
    label: str = ""
    mask: str = ""
    person: str = ""
    site: str = ""
    split: str = ""
    spacing: tuple[str, ...] = ()
    consent_column: str = ""
    keep: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    mask_values: tuple[int | str, ...] = ()
    size: int | tuple[int, ...] = 128
    aspect: Aspect = "pad"
    mask_rescaling: MaskRescaling = "majority"
    colour: Colour = "grey"
    intensities: tuple[float, ...] = ()
    pages: Literal["refuse", "each"] = "refuse"
    dpi: bool = False
    unlabelled: bool = False

    def __post_init__(self) -> None:
        where = "source 'images'"
        one_of(where, ("pad", "crop", "stretch"), aspect=self.aspect)
        one_of(where, ("majority", "nearest"), mask_rescaling=self.mask_rescaling)
        one_of(where, ("grey", "rgb", "luminance"), colour=self.colour)
        one_of(where, ("refuse", "each"), pages=self.pages)
        object.__setattr__(self, "classes", tuple(in_one_form(name) for name in self.classes))
        if len(set(self.classes)) != len(self.classes) or "" in self.classes:
            raise StudyError(f"{where}.classes must be different names; they are {list(self.classes)}.")
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or (min(sides) == 0 and self.size != 0):
            raise StudyError(f"{where}.size must be one length or [rows, columns], or 0; it is {self.size!r}.")
        between(where, 0, LARGEST_SIDE, size=max(sides))
        between(where, 0, LARGEST_SIDE, size=min(sides))
        if self.intensities and (len(self.intensities) != 2 or not self.intensities[0] < self.intensities[1]):
            raise StudyError(f"{where}.intensities must be [low, high], low below high; it is {self.intensities}.")
        if len(self.spacing) > 2 or (self.spacing and self.dpi):
            raise StudyError(f"{where}: spacing is one column or two, of rows and of columns, or else dpi = true.")
        asked_columns(self.asked)
        self._check_table() if self.table else self._check_patterns()
        if self.has_masks and not self.unlabelled:
            check_classes(self.classes)
            MaskValues(self.classes, self.mask_values)
        elif self.mask_values and not self.unlabelled:
            raise StudyError(
                f"{where}.mask_values is for masks: name them by masks, or by a column mask of the table."
            )

    def _check_table(self) -> None:
        if self.images or self.masks:
            raise StudyError("source 'images' takes a table, or the patterns images and masks, and not both.")
        if bool(self.label) == bool(self.mask) and not self.unlabelled:
            raise StudyError(
                "source 'images' with a table needs the name of one column: source.label of each image's class, or "
                f"source.mask of its mask's path; {OR_NONE}."
            )

    def _check_patterns(self) -> None:
        for name in ("label", "mask", "person", "site", "split", "spacing", "consent_column", "keep", "asked"):
            if getattr(self, name):
                raise StudyError(
                    f"source 'images'.{name} names a column of source.table, and there is none; without it fields of "
                    'source.images say it: images = "{site}/{class}/{person}_*.png".'
                )
        self._by_pattern.images.check("source.images")
        fields = self._by_pattern.images.fields
        if not self.masks and "class" not in fields and not self.unlabelled:
            raise StudyError(
                f"source 'images' needs labels: {{class}} in source.images, or masks, or a table; {OR_NONE}."
            )
        if self._by_pattern.masks is not None:
            self._by_pattern.masks.check("source.masks")
            for field in self._by_pattern.masks.fields:
                if field not in fields and not self.unlabelled:
                    raise unknown("field of source.images that source.masks names,", field, fields)

    @property
    def _by_pattern(self) -> ByPattern:
        usual = EVERYWHERE if self.unlabelled else BESIDE_MASKS if self.masks else BY_FOLDER
        return ByPattern(Pattern(self.images or usual), Pattern(self.masks) if self.masks else None, self.unlabelled)

    @property
    def _listing(self) -> ByPattern | ByTable:
        if not self.table:
            return self._by_pattern
        label, mask = ("", "") if self.unlabelled else (self.label, self.mask)
        columns = (self.path, label, mask, self.person, self.site, self.split, self.spacing)
        return ByTable(self.table, *columns, self.consent_column, self._handed_on)

    @property
    def _handed_on(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.keep, *asked_columns(self.asked))))

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """Of `asked`."""
        return levels_of(asked_columns(self.asked))

    @property
    def has_masks(self) -> bool:
        """Whether the target is a class a pixel."""
        return bool(self.masks or self.mask) and not self.unlabelled

    @property
    def has_sites(self) -> bool:
        """Whether a field or a column says which hospital an image is from."""
        return bool(self.site) if self.table else "site" in self._by_pattern.images.fields

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """The list of classes unless it is named, prescribed parts, and masks that could be of two images."""
        masks = None if self.table else self._by_pattern.masks
        found = {
            CLASSES: not self.classes and not self.unlabelled,
            SPLITS: bool(self.split) if self.table else "split" in self._by_pattern.images.fields,
            MASKS: masks is not None and masks.is_open and not self.unlabelled,
        }
        return tuple(one for one, is_so in found.items() if is_so)

    @property
    def persons(self) -> str:
        """By field or column, where there is one."""
        own = "else every file is taken for a person of its own"
        if self.table:
            named = self.person or "person (subject, participant_id, patient)"
            return f"A person is who column {named} of the table names; without it, sub- of a BIDS name, or {own}."
        if "person" in self._by_pattern.images.fields:
            return "A person is who {person} of source.images stands for in a file's path."
        return f"A person is sub- of a BIDS name; {own}: put {{person}} into source.images where one has several."

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals of the paths or the table, sorted. Opens no image."""
        return self._sites(self._items()) if self.has_sites else ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """One hospital's images. inputs: (N, 1 or 3, rows, columns); targets: (N,) or (N, rows, columns)."""
        of_site = "" if site is None else f" of {site!r}"
        absent = f"{self._folder()} holds no usable image{of_site}. {REMEDY}"
        return gathered(self.parts(site, seed), absent)

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        """Images, masks and the table, sorted."""
        items = [item for item in self._of(site, self._items()) if not item.problem]
        names = {name for item in items for name in (item.name, item.mask) if name}
        return tuple(sorted(self._folder() / name for name in (*names, *([self.table] if self.table else []))))

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        """An image at a time, in the order of their names."""
        items = self._items()
        classes = () if self.unlabelled else self.classes or _labels_of(items)
        if not self.has_masks and len(classes) < 2 and not self.unlabelled:
            raise SourceError(
                f"{self._folder()} has images of {len(classes)} classes; at least two are needed; {OR_NONE}. {REMEDY}"
            )
        splits = {item.split for item in items}
        prescribed = tuple(name for name in ("validation", "test") if name in splits)
        for item in self._of(site, items):
            try:
                if item.problem:
                    raise SourceError(item.problem)
                yield replace(self._case(item, classes), prescribed=prescribed)
            except SourceError as error:
                yield Quarantined(item.name, str(error))

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase]:
        """A file, page by page."""
        path = new.paths[0]
        pages = self._pages(path.parent, path.name)
        for number, page in enumerate(pages, start=1):
            shape = (page.values.shape[0], page.values.shape[1])
            values = MaskValues(learned.classes, self.mask_values).values if self.has_masks else ()
            place = ImagePlace(self._fitting, shape, values, page.spacing_mm) if self.has_masks else None
            name = new.name if len(pages) == 1 else f"{new.name}_page{number}"
            yield new_case(name, page, self._fitting, self.colour, self.intensities, place)

    def _pages(self, folder: Path, name: str) -> list[Pixels]:
        pages = read_pages(folder, name)
        if len(pages) > 1 and self.pages == "refuse":
            raise SourceError(
                f"holds {len(pages)} pages: set source.pages = 'each' where each is an image of its own"
            )
        return pages

    def _folder(self) -> Path:
        return existing(self.folder, "images", REMEDY)

    def _items(self) -> list[Item]:
        folder = self._folder()
        if self.table:
            inside(folder, self.table)
        items = self._listing.items(folder)
        if self.has_sites:
            self._sites(items)
        return items

    def _sites(self, items: list[Item]) -> tuple[SiteId, ...]:
        named = [item for item in items if item.site or not item.problem]
        check_sites(named)
        if not named:
            raise SourceError(f"{self._folder()} holds no image that names a hospital. {REMEDY}")
        return tuple(sorted({item.site for item in named}))

    def _of(self, site: SiteId | None, items: list[Item]) -> list[Item]:
        """A hospital's own; what names no hospital is the first one's, so that it is told once."""
        if site is None:
            return items
        sites = self._sites(items)
        if site not in sites:
            raise unknown("hospital", site, sites)
        return [item for item in items if item.site == site or (not item.site and site == sites[0])]

    def _case(self, item: Item, classes: tuple[str, ...]) -> Cases:
        target = 0 if self.has_masks or self.unlabelled else _index(item.label, classes)
        folder = self._folder()
        pages = self._pages(folder, item.name)
        fitting = self._fitting
        images = [fitting.image(intensities(page, self.colour, self.intensities)) for page in pages]
        of_class = np.full(len(pages), target, np.int64)
        columns: dict[str, Any] = {"targets": no_truth(len(pages)) if self.unlabelled else of_class}
        if self.has_masks:
            columns = self._masked(folder, item, pages, classes)
        if self.spacing or self.dpi:
            columns["spacing_mm"] = np.array([self._spacing_mm(item, page) for page in pages])
        if item.split:
            columns["given_split"] = np.full(len(pages), item.split)
        if item.consent is not None:
            columns["consent"] = np.full(len(pages), item.consent)
        columns |= {name: np.full(len(pages), value) for name, value in item.kept}
        patients = np.full(len(pages), item.person)
        return Cases.of(_stacked(images), columns.pop("targets"), patients, classes, **columns)

    @property
    def _fitting(self) -> Fitting:
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return Fitting((sides[0], sides[1]) if sides[0] else None, self.aspect, self.mask_rescaling)

    def _masked(self, folder: Path, item: Item, pages: list[Pixels], classes: tuple[str, ...]) -> dict[str, Any]:
        try:
            masks = read_pages(folder, item.mask)
        except SourceError as error:
            raise SourceError(f"its mask {item.mask} {error}") from error
        if len(masks) != len(pages):
            raise SourceError(f"holds {len(pages)} pages, and its mask {item.mask} {len(masks)}")
        fitted = []
        for page, mask in zip(pages, masks, strict=True):
            labels = MaskValues(classes, self.mask_values).labels(mask)
            if labels.shape != page.values.shape[:2]:
                raise SourceError(
                    f"has {page.values.shape[0]} x {page.values.shape[1]} pixels, and its mask {item.mask} "
                    f"{labels.shape[0]} x {labels.shape[1]}: they must lie one on the other"
                )
            fitted.append(self._fitting.mask(labels, len(classes)))
        return {"targets": _stacked([mask for mask, _ in fitted]), "removed": np.stack([gone for _, gone in fitted])}

    def _spacing_mm(self, item: Item, page: Pixels) -> tuple[float, float]:
        found = item.spacing_mm or page.spacing_mm
        if found is None:
            raise SourceError("says no resolution, which source.dpi = true takes the pixel spacing from")
        return self._fitting.spacing_mm((page.values.shape[0], page.values.shape[1]), found)


def _stacked(arrays: list[NDArray[Any]]) -> Any:
    """One array where shapes agree, as all pages of most files do."""
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else arrays


def _index(label: str, classes: tuple[str, ...]) -> int:
    folded = [name.casefold() for name in classes]
    if label not in classes and folded.count(label.casefold()) == 1:
        return folded.index(label.casefold())
    if label not in classes:
        error = unknown("class", label, classes)
        raise SourceError(f"is of a class that source.classes does not name: {error}")
    return classes.index(label)


def _labels_of(items: list[Item]) -> tuple[str, ...]:
    """All labels there are, numbers in them by their size."""
    found = {item.label for item in items if item.label and not item.problem}
    refuse_alike("classes", found, "name each once in source.classes")
    return tuple(sorted(found, key=_by_size))


def _by_size(text: str) -> list[str | tuple[int, str]]:
    """Alternately of no digits and of digits, so that like is compared with like: numbers by their length first."""
    pieces = re.split(r"([0-9]+)", text)
    return [(len(one.lstrip("0")), one.lstrip("0")) if at % 2 else one for at, one in enumerate(pieces)]


source: type[Source] = Images
