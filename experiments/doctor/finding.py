"""A line of `wardround doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from common.errors import LASTING, WardroundError, first_line

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """what: the thing that was looked at. said: what was found. remedy: a sentence, "" where nothing is wrong.

    lasting: whether trying again later, with nothing else done, cannot mend it.
    """

    status: Status
    what: str
    said: str
    remedy: str = ""
    lasting: bool = True

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.status:4}  {self.what}: {self.said}" + (f" -> {self.remedy}" if self.remedy else "")

    @property
    def table(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def ok(what: str, said: str) -> Finding:
    """Nothing is to be done."""
    return Finding("ok", what, said)


def warn(what: str, said: str, remedy: str) -> Finding:
    """It works, and something should be done."""
    return Finding("warn", what, said, remedy)


def fail(what: str, said: str, remedy: str, lasting: bool = True) -> Finding:
    """It does not work."""
    return Finding("fail", what, said, remedy, lasting)


def looked(what: str, remedy: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `look` finds; a failure where it cannot look, since the rest is to be looked at all the same."""
    try:
        yield from look()
    except WardroundError as error:
        yield fail(what, first_line(error), remedy)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where all is well, 78 where something will not mend by itself, else 1."""
    failed = [one for one in findings if one.status == "fail"]
    return LASTING if any(one.lasting for one in failed) else 1 if failed else 0
