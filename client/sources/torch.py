"""Any map-style PyTorch Dataset, named by module or file, with its own transforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from inspect import Parameter, signature
from typing import Any, ClassVar

from client.source import Source, gathered
from client.sources._dataset_items import Item, Labels, Reading
from client.sources._folders import existing
from client.sources._persons import NOBODY, person_named, refuse_doubtful
from common.data.cases import Cases, Quarantined, SiteId
from common.data.names import RULE, fault_of, in_one_form
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.plugins import Reference
from common.study.spelling import unknown

UNREAD = Pooled(
    "whatever the code of the dataset computes from several persons, such as their mean",
    "source.pooled = true",
    "set source.pooled = false if it computes nothing from several persons",
)
CLASSES = Pooled(
    "the number of classes from the largest label of all", "source.classes = []", "name them all in source.classes"
)
FOLDER_WORDS = ("folder", "root", "root_dir", "data_dir", "directory", "path")
REMEDY = "Name the folder that the dataset reads with --set source.folder=..., or leave it out."
DIGITS_OF_NAME = 16


@dataclass(frozen=True)
class Torch:
    """dataset: `package.module:Class` or `file.py:Class` with `__len__` and `__getitem__`.

    An item is (input, target) or a dict, of which input_key and target_key name them if not the usual words do.
    options: for its constructor. folder: handed to it as folder, root, root_dir, data_dir, directory or path, the
    first that it takes.
    persons_in, sites_in: where the dataset says whose an item is, and which hospital's: an attribute with one name
    an item, a method that gives them or takes an index, or a key of items that are dicts. Persons are looked for in
    `persons` where it is left out; without sites_in a study divides the items.
    classes: their names, else the dataset's own `classes`, else numbers up to the largest label; targets that are
    real numbers have none. pooled: whether the dataset may compute something from several persons; privacy for
    patients needs false.
    unlabelled: the inputs alone, for a task without labels: an item is an input, or whatever else has one, and its
    target is not looked at.
    Inputs are (channels, ...) or (features,) as the dataset's transforms leave them; images of Pillow become [0, 1].
    Each item is read once and kept, so that a random transform would show one draw of it for ever: it is refused.
    """

    sites_by: ClassVar[str] = "source.sites_in, an attribute, method or key of the dataset"

    dataset: str
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    persons_in: str = ""
    sites_in: str = ""
    input_key: str = ""
    target_key: str = ""
    classes: tuple[str, ...] = ()
    pooled: bool = True
    unlabelled: bool = False

    def __post_init__(self) -> None:
        if not self._reference.attribute:
            raise StudyError(
                f"source 'torch'.dataset needs a class: {self.dataset + ':MyDataset'!r} if that is its name."
            )
        self._reference.digest()

    @property
    def has_sites(self) -> bool:
        """Whether the dataset says which hospital an item is from."""
        return bool(self.sites_in)

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """Nobody here has read the dataset's code: it may compute something, until a study says that it does not."""
        return (UNREAD,) * self.pooled + (CLASSES,) * (not self.classes and not self.unlabelled)

    @property
    def persons(self) -> str:
        """By `persons_in`."""
        return (
            f"A person is who {self.persons_in or 'persons'!r} of the dataset names; without it every item is taken "
            "for a person of its own."
        )

    @property
    def _reference(self) -> Reference:
        found = Reference.of(self.dataset)
        if found is None:
            raise StudyError(
                "source 'torch'.dataset names a class by module or file, 'my_package.data:MyDataset' or "
                f"'my_data.py:MyDataset'; it is {self.dataset!r}."
            )
        return found

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals of the dataset, sorted."""
        return _checked(self._sites(self._reading())) if self.sites_in else ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """One hospital's items, or all, in the dataset's order."""
        reading = self._reading()
        reading.refuse_randomness(self.unlabelled)
        sites = self._sites(reading) if site is not None else [""] * len(reading)
        if site is not None and site not in _checked(sites):
            raise unknown("hospital", site, _checked(sites))
        labels = Labels(()) if self.unlabelled else self._labels(reading)
        persons = reading.words(self.persons_in or "persons", must=bool(self.persons_in))
        own = [index for index, one in enumerate(sites) if site is None or one == site]
        parts = [self._part(reading, index, labels, None if persons is None else persons[index]) for index in own]
        if persons is not None:
            named = (word for part in parts if isinstance(part, Cases) for word in part.patients.tolist())
            refuse_doubtful(named, f"the dataset {self.dataset}")
        return gathered(parts, f"the dataset {self.dataset} has no usable item{f' of {site!r}' if site else ''}.")

    def _part(self, reading: Reading, index: int, labels: Labels, person: str | None) -> Cases | Quarantined:
        try:
            item = reading.input_alone(index) if self.unlabelled else reading.item(index)
            named = _own_name(item) if person is None else person_named(person)
            if not named or named in NOBODY:
                raise SourceError(f"names no person in {self.persons_in or 'persons'!r}")
            target = labels.target(item)
            return Cases.of(item.input[None], target[None], [named], labels.classes)
        except SourceError as error:
            return Quarantined(f"item {index}", str(error))

    def _sites(self, reading: Reading) -> list[str]:
        return [in_one_form(word) for word in reading.words(self.sites_in, must=True) or []]

    def _labels(self, reading: Reading) -> Labels:
        named = self.classes or reading.own_classes()
        if named:
            return Labels(tuple(named))
        largest = reading.largest_label()
        return Labels(() if largest is None else tuple(f"class {index}" for index in range(max(largest + 1, 2))))

    def _reading(self) -> Reading:
        folder = existing(self.folder, "", REMEDY) if self.folder else None
        loaded = self._reference.value("dataset")
        if not isinstance(loaded, type) or not all(hasattr(loaded, name) for name in ("__len__", "__getitem__")):
            raise StudyError(
                f"{self.dataset} is no map-style Dataset: it needs a class with __len__ and __getitem__."
            )
        given = dict(self.options)
        if folder is not None:
            given[self._folder_word(loaded)] = str(folder)
        try:
            built = loaded(**given)
            return Reading(built, len(built), self.input_key, self.target_key)
        except Exception as error:
            raise SourceError(f"{self.dataset} cannot be built: {type(error).__name__}: {error}") from error

    def _folder_word(self, loaded: type) -> str:
        parameters = signature(loaded).parameters
        found = next((word for word in FOLDER_WORDS if word in parameters), None)
        if found is None and any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values()):
            return "root"
        if found is None:
            raise StudyError(
                f"{self.dataset} takes no {', '.join(FOLDER_WORDS)}: leave source.folder out and name its options "
                f"in source.options; it takes {', '.join(parameters) or 'none'}."
            )
        return found


def _own_name(item: Item) -> str:
    """By what the item holds, not by where it stands: nobody's name follows from who else is there."""
    shape = ",".join(map(str, item.input.shape))
    return f"item-{sha256(shape.encode() + item.input.tobytes()).hexdigest()[:DIGITS_OF_NAME]}"


def _checked(sites: list[str]) -> tuple[SiteId, ...]:
    found = tuple(sorted(set(sites)))
    for site in found:
        fault = fault_of(site)
        if fault is not None:
            raise SourceError(f"a hospital's name {fault} ({site[:80]!r}); it is {RULE}.")
    return found


source: type[Source] = Torch
