"""When a hospital computes: windows of its policy, and rounds that began inside of one.

What began may end: a round, one leg of which was answered in the window, is answered to its end, or its other
hospitals would lose it too. The latest time that was seen is kept, so that a clock that was set back opens nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from client.atomic_write import write_durably
from common.errors import FileError, HospitalError, RefusedError, StudyError
from common.files.access import if_there
from common.files.json_files import read_json

FILE = "hours.json"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_ROUND = timedelta(hours=12)
CLOCK_TOLERANCE = timedelta(minutes=10)
NOTED_EVERY = timedelta(minutes=5)
LARGEST_FILE_BYTES = 1 << 12
FORM = 'such as "22:00-06:00", or "Mon-Fri 20:00-06:00; Sat,Sun 00:00-24:00"'
_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z][A-Za-z, -]*?)\s+)?(?P<begin>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)")
_WHOLE_DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Window:
    """days: on which it begins, 0 is Monday. begin_min, end_min: of the day; one that ends before it begins ends on
    the next day."""

    days: frozenset[int]
    begin_min: int
    end_min: int

    def holds(self, when: datetime) -> bool:
        """Whether a local time is inside."""
        minute, day = when.hour * 60 + when.minute, when.weekday()
        if self.begin_min < self.end_min:
            return day in self.days and self.begin_min <= minute < self.end_min
        begun_yesterday = (day - 1) % 7 in self.days and minute < self.end_min
        return begun_yesterday or (day in self.days and minute >= self.begin_min)


def windows_of(text: str, where: str) -> tuple[Window, ...]:
    """Of a policy's words. Raises StudyError for what is no window."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        raise StudyError(f"{where} must be windows of the day, {FORM}; it is {text[:80]!r}.")
    return tuple(_window(part, where) for part in parts)


def is_open(windows: Sequence[Window], zone: str, now: datetime) -> bool:
    """Whether any window holds `now`. zone: "" for the machine's own."""
    local = now.astimezone(ZoneInfo(zone) if zone else None)
    return any(window.holds(local) for window in windows)


def demand_open(windows: Sequence[Window], zone: str, folder: Path, place: str, now: datetime | None = None) -> None:
    """Raise RefusedError out of hours. place: the round in question: its study, run and number.

    Raises HospitalError where what is kept of earlier rounds cannot be read or written.
    """
    now = datetime.now(UTC) if now is None else now
    latest, begun, at = _kept(folder)
    if latest is not None and now < latest - CLOCK_TOLERANCE:
        raise RefusedError(
            "hours",
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, and was at {latest:%Y-%m-%d %H:%M} before: it was set back. "
            f"Set it right; if it was wrong before, remove {folder / FILE}.",
        )
    if is_open(windows, zone, now):
        if begun != place:
            _keep(folder, now, place, now)
        return
    if begun == place and at is not None and now - at < LONGEST_ROUND:
        return
    if latest is None or now - latest > NOTED_EVERY:
        _keep(folder, now, begun, at)
    raise RefusedError("hours", f"it is {now:%A %H:%M} UTC, which is out of the policy's hours.")


def _kept(folder: Path) -> tuple[datetime | None, str, datetime | None]:
    """The latest time seen, the round that began last, and when."""
    try:
        found = if_there(read_json, folder, FILE, LARGEST_FILE_BYTES)
        if found is None:
            return None, "", None
        at = datetime.fromisoformat(found["at"]) if found["at"] else None
        return datetime.fromisoformat(found["latest"]), str(found["begun"]), at
    except (FileError, ValueError, LookupError, TypeError) as error:
        raise HospitalError(f"{folder / FILE} does not say when rounds began: remove it.") from error


def _keep(folder: Path, latest: datetime, begun: str, at: datetime | None) -> None:
    told = {"latest": latest.isoformat(), "begun": begun, "at": at.isoformat() if at else ""}
    try:
        write_durably(folder / FILE, json.dumps(told).encode())
    except FileError as error:
        raise HospitalError(f"when a round began could not be written down: {error}") from error


def _window(part: str, where: str) -> Window:
    match = _WINDOW.fullmatch(part)
    if match is None:
        raise StudyError(f"{where} must be windows of the day, {FORM}; {part[:80]!r} is none.")
    begin, end = _minute(match["begin"], where), _minute(match["end"], where)
    if begin in (end, _WHOLE_DAY_MIN):
        raise StudyError(f"{where}: {part!r} has no length; the whole day is 00:00-24:00.")
    return Window(_days(match["days"], where), begin, end)


def _minute(text: str, where: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > _WHOLE_DAY_MIN:
        raise StudyError(f"{where}: {text} is no time of the day; they go from 00:00 to 24:00.")
    return hour * 60 + minute


def _days(text: str | None, where: str) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        ends = [_day(one, where) for one in part.split("-")]
        first, last = ends[0], ends[-1]
        found |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(found)


def _day(text: str, where: str) -> int:
    for number, name in enumerate(DAYS):
        if text.strip().lower()[:3] == name.lower():
            return number
    raise StudyError(f"{where}: {text.strip()!r} is no day; they are {', '.join(DAYS)}.")
