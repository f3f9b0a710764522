"""Linear transforms of ITK: its kinds, their parameters, and the matrix that each stands for, in LPS.

Parameters are in the order of ITK's own files (ITK Software Guide 2, chapter 3, "Transforms"); the fixed ones are the
centre of rotation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from common.errors import ImageError

Numbers = NDArray[np.float64]
LONGEST_NAME = 40


def linear_parts(kind: str, size: int, parameters: Numbers, fixed: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Matrix (D, D), translation (D,) and centre (D,) of one transform.

    Raises ImageError for another kind, ValueError for another number of parameters.
    """
    if (kind, size) not in KINDS:
        known = ", ".join(sorted({name for name, _ in KINDS}))
        raise ImageError(f"no transform of the kind {kind[:LONGEST_NAME]!r} is read here; there are: {known}.")
    count, parts = KINDS[kind, size]
    without_centre = kind in ("TranslationTransform", "IdentityTransform")
    if len(parameters) != count or (not without_centre and len(fixed) < size):
        raise ValueError("another number of parameters")
    matrix, translation = parts(parameters, fixed)
    return matrix, translation, np.zeros(size) if without_centre else fixed[:size]


def _matrix(size: int) -> Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]:
    return lambda given, _: (given[: size * size].reshape(size, size), given[size * size :])


def _euler(given: Numbers, fixed: Numbers) -> tuple[Numbers, Numbers]:
    """About y first, then x, then z; the last fixed parameter asks for x, then y, then z instead."""
    order = "xyz" if len(fixed) > 3 and fixed[3] else "yxz"
    angles = dict(zip("xyz", given[:3], strict=True))
    turn = Rotation.from_euler(order, [angles[axis] for axis in order])
    return np.asarray(turn.as_matrix()), given[3:]


def _plane(angle: float, scale: float = 1.0) -> Numbers:
    return scale * np.asarray(Rotation.from_euler("z", angle).as_matrix()[:2, :2])


def _versor(given: Numbers) -> Numbers:
    """From the vector part of a unit quaternion; one longer than 1 is brought back to it, as ITK does."""
    part = given[:3] / max(1.0, float(np.linalg.norm(given[:3])))
    scalar = np.sqrt(max(0.0, 1.0 - float(part @ part)))
    return np.asarray(Rotation.from_quat([*part, scalar]).as_matrix())


KINDS: dict[tuple[str, int], tuple[int, Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]]] = {
    **{(name, size): (size * size + size, _matrix(size))
       for name in ("AffineTransform", "MatrixOffsetTransformBase") for size in (2, 3)},
    **{("TranslationTransform", size): (size, lambda given, _: (np.eye(len(given)), given)) for size in (2, 3)},
    **{("ScaleTransform", size): (size, lambda given, _: (np.diag(given), np.zeros(len(given)))) for size in (2, 3)},
    ("IdentityTransform", 2): (0, lambda _, __: (np.eye(2), np.zeros(2))),
    ("IdentityTransform", 3): (0, lambda _, __: (np.eye(3), np.zeros(3))),
    ("Euler2DTransform", 2): (3, lambda given, _: (_plane(given[0]), given[1:])),
    ("Similarity2DTransform", 2): (4, lambda given, _: (_plane(given[1], given[0]), given[2:])),
    ("Euler3DTransform", 3): (6, _euler),
    ("VersorTransform", 3): (3, lambda given, _: (_versor(given), np.zeros(3))),
    ("VersorRigid3DTransform", 3): (6, lambda given, _: (_versor(given), given[3:])),
    ("Similarity3DTransform", 3): (7, lambda given, _: (given[6] * _versor(given), given[3:6])),
}  # fmt: skip
"""By ITK's name and the number of dimensions: how many parameters, and their matrix and translation."""
