"""Packages that only some studies need: an extra of ours each, and a plain word where one is not installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from common.errors import StudyError

EXTRAS: Mapping[str, tuple[str, str]] = {
    "gdcm": ("GDCM", "dicom"),
    "h5py": ("h5py", "reconstruction"),
    "highdicom": ("highdicom", "pacs"),
    "numba": ("Numba", "fast"),
    "onnx": ("ONNX", "onnx"),
    "onnxruntime": ("ONNX Runtime", "onnx"),
    "onnxscript": ("ONNX Script", "onnx"),
    "opacus": ("Opacus", "opacus"),
    "pyarrow": ("PyArrow", "parquet"),
    "pydicom": ("pydicom", "dicom"),
    "pywt": ("PyWavelets", "reconstruction"),
    "ray": ("Ray", "simulation"),
    "skimage": ("scikit-image", "skeletons"),
    "sklearn": ("scikit-learn", "registration"),
    "tenseal": ("TenSEAL", "encrypted"),
    "zuko": ("zuko", "flows"),
}
"""By the name that is imported: the package's own name, and our extra."""


@contextmanager
def needed_by(who: str) -> Iterator[None]:
    """Where the block imports what is not installed, raise a StudyError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS or is_installed(module):
            raise
        raise _lacks(who, module) from error


def demand(who: str, module: str) -> None:
    """Raise StudyError where `module` is not installed; it is not imported."""
    if not is_installed(module):
        raise _lacks(who, module)


def is_installed(module: str) -> bool:
    """Whether `module` could be imported."""
    try:
        return find_spec(module) is not None
    except ValueError:  # it is barred
        return False


def _lacks(who: str, module: str) -> StudyError:
    package, extra = EXTRAS[module]
    return StudyError(f"{who} needs {package}: pip install 'wardround[{extra}]'.")
