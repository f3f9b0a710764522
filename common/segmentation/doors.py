"""What methods and calculators take beside images: limits and whole numbers; anything else is refused."""

from __future__ import annotations

import math

import numpy as np

from common.errors import ImageError, WardroundError


def real_number(name: str, value: object) -> int | float:
    """`value` as a Python number, infinite ones too. Raises ImageError for NaN, bool and what is no number."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, (float, np.floating)) or math.isnan(value):
        raise ImageError(f"{name} must be a number; it is {value!r}.")
    return float(value)


def whole_number(
    name: str, value: object, least: int, most: int | None = None, error: type[WardroundError] = ImageError
) -> int:
    """`value` as a Python int, from any integer of Python or NumPy. Raises `error` for bool, 3.0 and other sizes."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise error(f"{name} must be a whole number; it is {value!r}.")
    if value < least:
        raise error(f"{name} must be {'zero or more' if least == 0 else f'at least {least}'}; it is {value}.")
    if most is not None and value > most:
        raise error(f"{name} must be at most {most}; it is {value}.")
    return int(value)
