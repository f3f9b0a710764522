"""Whether what a hospital agreed to is what it would run today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from client.approvals import approvals
from common.study.program import this_program
from experiments.doctor.finding import Finding, ok, warn


def approved(folder: Path) -> Iterator[Finding]:
    """Studies that stand, and those that were approved for another program, which refuses them."""
    standing = [one for one in approvals(folder) if not one.revoked]
    program = this_program()
    for one in standing:
        if one.program != program.digest:
            said = f"{one.title or one.digest[:12]} was approved for program {one.program[:12]} ({one.version})"
            yield warn(
                "approval",
                f"{said}; this is {program.digest[:12]}",
                f"wardround approve {one.digest[:12]} --folder '{folder}'",
            )
    if all(one.program == program.digest for one in standing):
        yield ok("approvals", f"{len(standing)} studies are approved, for this program")
