"""`python -m wardround.testing FILE [--kind KIND]`: what `wardround test` starts, in a process of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from wardround.testing import MODULES
from wardround.testing.of_file import classes_of
from wardround.testing.verdicts import Verdict, Verdicts, shown

COLLECTED = """
from wardround.testing.of_file import classes_of
globals().update(classes_of({reference!r}, {kind!r}))
"""
OWN_SETTINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
"""What else pytest finds on a person's machine has no say in these tests."""


def main(arguments: list[str]) -> int:
    """0 where every law that was tried was kept, else 1."""
    parser = argparse.ArgumentParser("wardround test")
    parser.add_argument("file")
    parser.add_argument("--kind")
    given = parser.parse_args(arguments)
    try:
        verdicts = tried(given.file, given.kind)
    except StudyError as error:
        sys.stderr.write(f"Study: {error}\n")
        return 1
    sys.stdout.write("\n".join(shown(given.file, verdicts)) + "\n")
    return int(any(one.outcome == "BROKEN" for one in verdicts) or not any(one.outcome == "kept" for one in verdicts))


def tried(reference: str, kind: str | None = None) -> list[Verdict]:
    """Every law of every kind that the file binds. It runs the file's code. Raises StudyError where it binds none."""
    file = Path(reference.partition(".py:")[0] + ".py" * (".py:" in reference)).expanduser().absolute()
    verdicts = Verdicts(file)
    with TemporaryDirectory(prefix="wardround-test-") as place, trusting(ANYTHING), _own_settings():
        pytest.register_assert_rewrite(*MODULES)
        classes_of(reference, kind)  # its errors are for whoever wrote the file, not pytest's
        # A name of its own: pytest takes a module that this process has imported by that name, whatever its file.
        collected = Path(place) / f"test_{Path(place).name.replace('-', '_')}.py"
        collected.write_text(COLLECTED.format(reference=str(Path(reference).absolute()), kind=kind), encoding="utf-8")
        options = ["-c", os.devnull, "--rootdir", place, "--import-mode=importlib", "-p", "no:terminal"]
        options += ["-p", "no:unraisableexception"]  # which collects garbage five times at the end: 0.5 s with torch
        options += ["--noconftest"]  # one above the temporary folder, in /tmp, is anybody's
        options += ["-p", "no:cacheprovider", f"--basetemp={Path(place) / 'temporary'}"]
        pytest.main([*options, str(collected)], plugins=[verdicts])
        sys.modules.pop(collected.stem, None)
    if verdicts.failures or not verdicts.found:
        raise StudyError(f"no test could be made for {reference}: {' '.join(verdicts.failures)[-2000:]}")
    return verdicts.found


@contextmanager
def _own_settings() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in OWN_SETTINGS}
    os.environ.update(OWN_SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
