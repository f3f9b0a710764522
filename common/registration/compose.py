"""Composition of any number of transforms; neighbours that are linear become one."""

from __future__ import annotations

from common.errors import ImageError
from common.registration.linear import Linear
from common.registration.transform import Composition, Transform


def compose(*transforms: Transform) -> Transform:
    """The first is applied first. Raises ImageError without any, or where dimensions differ."""
    if not transforms:
        raise ImageError("there is no transform to compose.")
    whole = transforms[0]
    for transform in transforms[1:]:
        whole = _pair(whole, transform)
    return whole


def _pair(first: Transform, second: Transform) -> Transform:
    if first.dimensions != second.dimensions:
        return Composition(first, second)
    if isinstance(first, Linear) and isinstance(second, Linear):
        return second.after(first)
    if isinstance(first, Composition) and isinstance(first.second, Linear) and isinstance(second, Linear):
        return Composition(first.first, second.after(first.second))
    return Composition(first, second)
