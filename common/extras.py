"""Packages that only some studies need: an extra of ours each, and a plain word where one is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from common.errors import StudyError


def demand(who: str, package: str, module: str, extra: str) -> None:
    """Raise StudyError where `module` is not installed; it is not imported."""
    if find_spec(module) is None:
        raise lacks(who, package, extra)


def lacks(who: str, package: str, extra: str) -> StudyError:
    """The error of something that needs a package of an extra."""
    return StudyError(f"{who} needs {package}: pip install 'wardround[{extra}]'.")
