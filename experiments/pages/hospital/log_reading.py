"""A hospital's log as its page follows it: read whole once, and then only where something was written.

A coordinator may ask as often as it likes, so that a log has millions of lines, and a page is made anew after every
one. Files that were set aside are read once, and again where anything about them changed; the one that grows is
small.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from client import _log_files as files
from client._log_chain import Head, Line
from client.audit_log import Reading
from client.logged_requests import ANSWERED, FAILED, REFUSED
from common.files.access import open_inside
from experiments.pages.hospital.activity import Activity, Served
from server.reporting.values import text

LAST_LINES, LAST_REFUSALS, MOST_RUNS_KEPT = 40, 12, 512
_Stamp = tuple[str, int, int, int]


@dataclass
class _Counted:
    """What lines add up to. runs: those that were asked last."""

    runs: OrderedDict[tuple[str, str], Served] = field(default_factory=OrderedDict)
    refusals: deque[Line] = field(default_factory=lambda: deque(maxlen=LAST_REFUSALS))
    latest: deque[Line] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    refused: int = 0
    rounds_before: int = 0

    def take(self, line: Line) -> None:
        self.latest.append(line)
        event = line.facts.get("event")
        if event in (ANSWERED, REFUSED, FAILED):
            self._serve(line)
        if event in (REFUSED, FAILED):
            self.refused += 1
            self.refusals.append(line)

    def activity(self, reading: Reading) -> Activity:
        newest = tuple(reversed(self.runs.values()))
        rounds = self.rounds_before + sum(len(one.rounds) for one in newest)
        latest, refusals = tuple(reversed(self.latest)), tuple(reversed(self.refusals))
        return Activity(reading.found(), newest, refusals, latest, self.refused, rounds)

    def _serve(self, line: Line) -> None:
        key = text(line.facts.get("study")), text(line.facts.get("run"))
        self.runs.setdefault(key, Served(*key)).take(line.facts)
        self.runs.move_to_end(key)
        if len(self.runs) > MOST_RUNS_KEPT:
            _, gone = self.runs.popitem(last=False)
            self.rounds_before += len(gone.rounds)


@dataclass
class LogReader:
    """folder: the hospital's own."""

    folder: Path
    _lock: Lock = field(default_factory=Lock)
    _before: list[_Stamp] = field(default_factory=list)
    _head: Head = field(default_factory=Head)
    _counted: _Counted = field(default_factory=_Counted)

    def activity(self) -> Activity:
        """As the log is now. Raises FileError where it cannot be read."""
        with self._lock, files.alone(self.folder):
            stamps = [_stamp(self.folder, name) for name in files.older(self.folder)]
            if stamps[: len(self._before)] != self._before:
                self._before, self._head, self._counted = [], Head(), _Counted()
            seal = files.read_seal(self.folder)
            reading = Reading(seal, self._head, self._head if self._head.count == seal.count else Head())
            counted = deepcopy(self._counted)
            for stamp in stamps[len(self._before) :]:
                self._read(stamp[0], reading, counted)
            if reading.fault is None and not reading.left:
                self._before, self._head, self._counted = stamps, reading.head, deepcopy(counted)
            self._read(files.FILE, reading, counted)
            return counted.activity(reading)

    def _read(self, name: str, reading: Reading, counted: _Counted) -> None:
        for raw in files.raw_lines_of(self.folder, name) if reading.fault is None else ():
            line = reading.take(raw)
            if reading.fault is not None:
                return
            if line is not None:
                counted.take(line)


def _stamp(folder: Path, name: str) -> _Stamp:
    """Another one after every change: nobody sets the time of a change of a file."""
    with open_inside(folder, name) as file:
        found = os.fstat(file.fileno())
    return name, found.st_ino, found.st_size, found.st_ctime_ns
