"""Items of a map-style Dataset as arrays: whatever one raises, or gives that is no case, is said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.data.cases import no_truth
from common.errors import SourceError
from common.study.spelling import unknown

INPUT_WORDS = ("input", "inputs", "image", "img", "x", "data", "features")
TARGET_WORDS = ("target", "targets", "label", "labels", "mask", "y")
READ_TWICE = 3
"""Items that are read twice: a random transform may leave one as it is."""
LARGEST_LABEL = 4095


@dataclass(frozen=True)
class Item:
    """target: a number, a word, or an array of whole or of real numbers."""

    input: NDArray[np.float32]
    target: NDArray[Any]


@dataclass(frozen=True)
class Labels:
    """classes: their names; () where targets are real numbers."""

    classes: tuple[str, ...]

    def target(self, item: Item) -> NDArray[Any]:
        """The item's target: class indices (int64, or uint8 where there is one a pixel) or float32."""
        target = item.target
        if target.dtype.kind == "U":
            if str(target) not in self.classes:
                raise SourceError(str(unknown("class", str(target), self.classes)))
            return np.array(self.classes.index(str(target)), np.int64)
        whole = target.dtype.kind in "iub"
        if not self.classes or (not whole and not (target.ndim and (target == np.rint(target)).all())):
            return target.astype(np.float32)
        if target.min() < 0 or target.max() >= len(self.classes):
            raise SourceError(
                f"has a target from {target.min():g} to {target.max():g}, and there are {len(self.classes)} classes, "
                f"0 to {len(self.classes) - 1}: name them in source.classes"
            )
        return target.astype(np.uint8 if target.ndim and len(self.classes) <= 256 else np.int64)


@dataclass(frozen=True)
class Reading:
    """A dataset of `count` items. input_key, target_key: of items that are dicts; "" for the usual words."""

    dataset: Any
    count: int
    input_key: str
    target_key: str

    def __post_init__(self) -> None:
        if self.count == 0:
            raise SourceError("the dataset has no item: its length is 0.")

    def __len__(self) -> int:
        return self.count

    def item(self, index: int) -> Item:
        """Item `index`. Raises SourceError with the reason where it is no case."""
        given = self._given(index)
        if isinstance(given, Mapping):
            pair: Sequence[Any] = [
                given[_key(given, self.input_key, INPUT_WORDS, "input_key")],
                given[_key(given, self.target_key, TARGET_WORDS, "target_key")],
            ]
        elif isinstance(given, (tuple, list)) and len(given) == 2:
            pair = given
        else:
            kind = (
                f"{type(given).__name__} of {len(given)}"
                if isinstance(given, (tuple, list))
                else type(given).__name__
            )
            raise SourceError(f"is {kind}; an item is (input, target), or a dict of them")
        inputs = _input(pair[0])
        return Item(inputs, _target(pair[1], inputs.ndim))

    def input_alone(self, index: int) -> Item:
        """Item `index` without a truth, whether or not it has a target. Raises SourceError as `item` does."""
        given = self._given(index)
        if isinstance(given, Mapping):
            given = given[_key(given, self.input_key, INPUT_WORDS, "input_key")]
        elif isinstance(given, (tuple, list)) and given:
            given = given[0]
        return Item(_input(given), no_truth(1)[0])

    def words(self, name: str, must: bool) -> list[str] | None:
        """One word an item, from an attribute, a method or a key. None where there is none and it need not be."""
        found = getattr(self.dataset, name, None)
        if found is None:
            return self._by_key(name, must)
        if callable(found):
            found = found() if not signature(found).parameters else [found(index) for index in range(self.count)]
        words = [str(one.item() if hasattr(one, "item") else one) for one in found]
        if len(words) != self.count:
            raise SourceError(f"the dataset has {self.count} items, and {name!r} of it names {len(words)}.")
        return words

    def _by_key(self, name: str, must: bool) -> list[str] | None:
        """An item that cannot be read, or does not say it, has the word "": it is told of where it is read."""
        first = next((one for one in map(self._quietly, range(self.count)) if one is not None), None)
        if not isinstance(first, Mapping) or name not in first:
            if not must:
                return None
            keys = map(str, first) if isinstance(first, Mapping) else ()
            public = [one for one in getattr(self.dataset, "__dict__", {}) if not one.startswith("_")]
            raise unknown("attribute of the dataset or key of its items", name, [*public, *keys])
        items = [first if index == 0 else self._quietly(index) for index in range(self.count)]
        words = [item.get(name, "") if isinstance(item, Mapping) else "" for item in items]
        return [str(word.item() if hasattr(word, "item") else word) for word in words]

    def own_classes(self) -> tuple[str, ...]:
        """The dataset's own `classes`, as torchvision's have them."""
        found = getattr(self.dataset, "classes", None)
        listed = isinstance(found, (list, tuple)) and all(isinstance(name, str) for name in found)
        return tuple(found) if found and listed else ()

    def largest_label(self) -> int | None:
        """Of all items; None where targets are real numbers."""
        largest = None
        for index in range(self.count):
            try:
                target = self.item(index).target
            except SourceError:
                continue
            if target.dtype.kind == "U":
                raise SourceError(f"item {index} has the class {str(target)!r}: name all classes in source.classes.")
            if target.dtype.kind not in "iub":
                return None
            largest = max(largest or 0, int(target.max(initial=0)))
        if largest is not None and largest > LARGEST_LABEL:
            raise SourceError(f"a target is {largest}, more than any class: real numbers must be floats.")
        return largest

    def refuse_randomness(self, unlabelled: bool = False) -> None:
        """Raise SourceError where two reads of an item differ."""
        for index in range(min(READ_TWICE, self.count)):
            try:
                read = self.input_alone if unlabelled else self.item
                first, second = read(index), read(index)
            except SourceError:
                continue
            same = first.input.shape == second.input.shape and first.target.shape == second.target.shape
            if not same or first.input.tobytes() != second.input.tobytes() or (first.target != second.target).any():
                raise SourceError(
                    f"two reads of item {index} of the dataset differ: it draws something, and items are read once "
                    "and kept. Leave random transforms out; a task's `augmentation` draws anew in every step."
                )

    def _given(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            raise SourceError(f"cannot be read: {type(error).__name__}: {error}") from error

    def _quietly(self, index: int) -> Any:
        try:
            return self._given(index)
        except SourceError:
            return None


def _key(given: Mapping[str, Any], chosen: str, words: Sequence[str], option: str) -> str:
    found = [chosen] if chosen else [word for word in words if word in given]
    if len(found) != 1 or found[0] not in given:
        raise SourceError(f"is a dict of {', '.join(map(str, given))}: name the one that is meant in source.{option}")
    return found[0]


def _array(value: Any) -> NDArray[Any]:
    try:
        found = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    except Exception as error:
        raise SourceError(f"holds {type(value).__name__}, which is no array: {error}") from error
    if found.dtype.kind not in "iufbU" or (found.dtype.kind == "U" and found.ndim):
        raise SourceError(f"holds {type(value).__name__} of {found.dtype}, where numbers must be")
    return found


def _input(value: Any) -> NDArray[np.float32]:
    if isinstance(value, Image.Image):
        grey = value.mode in ("L", "I", "F", "I;16", "1")
        pixels = np.asarray(value if grey else value.convert("RGB"))
        scale = 255.0 if pixels.dtype == np.uint8 else 65535.0 if pixels.dtype == np.uint16 else 1.0
        channels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        return np.ascontiguousarray(channels, np.float32) / np.float32(scale)
    found = _array(value)
    if found.dtype.kind == "U" or found.size == 0:
        raise SourceError("has an input that is a word or has no element")
    found = found.reshape(1) if found.ndim == 0 else found[None] if found.ndim == 2 else found
    inputs = np.ascontiguousarray(found, np.float32)
    if not np.isfinite(inputs).all():
        raise SourceError("has an input with values that are not finite (NaN or infinity)")
    return inputs


def _target(value: Any, input_axes: int) -> NDArray[Any]:
    found = _array(np.asarray(value) if isinstance(value, Image.Image) else value)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise SourceError("has a target that is not finite (NaN or infinity)")
    if found.size == 0:
        raise SourceError("has a target without an element")
    if found.shape == (1,):
        return found.reshape(())
    return found[0] if found.ndim == input_axes > 1 and found.shape[0] == 1 and found.dtype.kind in "iub" else found
