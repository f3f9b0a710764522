"""What every test may use."""

from __future__ import annotations

import compileall
import gc
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

# Before torch and numpy are imported: several workers of pytest share the cores, and so do the processes they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
import typer.main
import typer.testing
from _pytest.assertion import rewrite

torch.set_num_threads(1)

# jsonschema would build 38 grammars of addresses from it, for formats that no schema of ours has: two seconds each.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

# Whoever starts the tests by nohup or in the background of a script has them ignore these, and all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The tree of all commands is the same at every call that a test makes, and takes longer than most calls.
_tree_of = cache(typer.main.get_command)
pytest.MonkeyPatch().setattr(typer.main, "get_command", _tree_of)
pytest.MonkeyPatch().setattr(typer.testing, "_get_command", _tree_of)


def _fsync(file: int) -> None:
    """No power goes while tests run, but where one counts the writes itself; the disk's 8 ms a write add up."""
    os.fstat(file)


os.fsync = _fsync


class _Hasty(sqlite3.Connection):
    """Nor does a ledger of these processes wait for the disk, which takes 40 ms a charge."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(
            "PRAGMA synchronous = OFF" if sql.startswith("PRAGMA synchronous") else sql, *parameters
        )


sqlite3.connect = partial(sqlite3.connect, factory=_Hasty)

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "client", "server", "experiments", "wardround")
LONGEST_REWRITING_S = 120.0
"""Of assertions, before workers start; what is left they rewrite themselves."""
LONGEST = (
    "test_one_file_four_engines",
    "test_matrix",
    "test_engine_nodes",
    "test_story",
    "test_audit",
    "test_collusion",
    "test_power_loss",
    "test_contract_bench",
    "test_packaging",
)
"""Files with a test or a shared fixture of ten seconds and more, the longest first."""
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; the test skips, saying so, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data in ../shared/data, which is not here")
    return SHARED_DATA


@pytest.fixture
def hospitals_read_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hospitals are forked from reads no pool: for another it would start anew, which is seconds of imports."""
    monkeypatch.setattr("experiments.engines._fork_server._pool_of", lambda study: "")


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """`subprocess.Popen`. However the test ends, so does the process, and its pipes are closed.

    A pipe left open by a test that failed would be a second failure, in whichever test the garbage is collected.
    """
    with ExitStack() as ends:

        def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
            process = subprocess.Popen(command, **options)
            ends.callback(_end, process)
            return process

        yield start


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    process.wait()


def pytest_configure(config: pytest.Config) -> None:
    """Compile our modules once: tests start hundreds of processes, and PYTHONDONTWRITEBYTECODE may be set."""
    if not hasattr(config, "workerinput"):
        for package in PACKAGES:
            compileall.compile_dir(ROOT / package, quiet=2)
        if config.getoption("numprocesses", None) and sys.platform == "linux":
            _rewrite_once(config)


def _rewrite_once(config: pytest.Config) -> None:
    """Rewrite the assertions of the tests' modules before workers start, each of which would rewrite them all.

    It is half of what collecting takes. What this pytest does otherwise, its workers do, only later.
    """
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    cores = len(os.sched_getaffinity(0))
    fork = multiprocessing.get_context("fork").Process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are idle, children use files alone
        children = [fork(target=_rewrite_some, args=(config, files[share::cores])) for share in range(cores)]
        for child in children:
            child.start()
    for child in children:
        child.join(LONGEST_REWRITING_S)
        child.kill()


def _rewrite_some(config: pytest.Config, files: list[Path]) -> None:
    with suppress(BaseException):
        for file in files:
            _rewrite(config, file)
    os._exit(0)


def _rewrite(config: pytest.Config, file: Path) -> None:
    compiled = rewrite.get_cache_dir(file) / (file.stem + rewrite.PYC_TAIL)
    if rewrite._read_pyc(file, compiled) is None:
        rewrite.try_makedirs(compiled.parent)
        source, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, compiled)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Hardly anything that collecting makes is garbage: looking for it takes longer than it frees."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, whole: at the end one worker would wait for another, or both would make the same fixture.

    Workers that steal take from the end.
    """
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_collection_finish() -> None:
    """What collecting has made lives as long as the run: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
