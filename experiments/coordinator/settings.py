"""What a coordinator's `server.toml` says of its link and its jobs, and where things lie in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import FileError, StudyError
from common.files.access import is_there, names
from common.study.options import build
from common.study.spelling import unknown
from server.coordinator_folder import NODE_KEYS, SETTINGS, settings_table

FILE = SETTINGS
LINK, QUEUE, RUNS = "link", "queue", "runs"
FRONTS = ("own", "none")
SERVING = ".serving"
"""Held by the one process that serves the folder."""
SUPERVISOR = "link/supervisor.json"
"""What `wardround status` needs to know of it."""
FRONT_LISTENING = "front/listening.json"


@dataclass(frozen=True)
class LinkSettings:
    """Table [link] of `server.toml`. port: of the SuperLink, on loopback; 0: any that is free.

    start_timeout_s: for the SuperLink to listen. front: "own", or "none" where an nginx of the administrator's stands
    before the link, which then needs a port of its own.
    """

    port: int = 0
    start_timeout_s: float = 120.0
    front: str = "own"

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise StudyError(f"{FILE}: link.port must be 0 to 65535; it is {self.port}.")
        if not self.start_timeout_s > 0:
            raise StudyError(f"{FILE}: link.start_timeout_s must be positive; it is {self.start_timeout_s}.")
        if self.front not in FRONTS:
            raise unknown(f"{FILE}: link.front", self.front, FRONTS)
        if self.front == "none" and not self.port:
            raise StudyError(f"{FILE}: with link.front 'none' the link needs a port that its nginx knows: link.port.")


@dataclass(frozen=True)
class JobSettings:
    """Table [jobs] of `server.toml`: when a job that crashes is given up.

    restarts: most within within_s seconds. restarts_without_progress: most with no round finished between them.
    """

    restarts: int = 60
    within_s: float = 3600.0
    restarts_without_progress: int = 5

    def __post_init__(self) -> None:
        for name in ("restarts", "restarts_without_progress"):
            if getattr(self, name) < 0:
                raise StudyError(f"{FILE}: jobs.{name} must be 0 or more; it is {getattr(self, name)}.")
        if not self.within_s > 0:
            raise StudyError(f"{FILE}: jobs.within_s must be positive; it is {self.within_s}.")


def read_link(folder: Path) -> LinkSettings:
    """Of the coordinator whose folder that is. Raises StudyError for a key or value that cannot be."""
    return build(LinkSettings, settings_table(folder, "link"), f"{FILE}, [link]")


def read_jobs(folder: Path) -> JobSettings:
    """Of the coordinator whose folder that is. Raises StudyError for a key or value that cannot be."""
    return build(JobSettings, settings_table(folder, "jobs"), f"{FILE}, [jobs]")


def demand_coordinator(folder: Path) -> None:
    """Raise FileError where it is no coordinator's folder."""
    if not folder.is_dir():
        raise FileError(folder, "is no folder; a coordinator's is made with: wardround consortium create")
    if not is_there(folder, FILE) and not names(folder, NODE_KEYS) and not is_there(folder, "front"):
        raise FileError(
            folder,
            f"is no coordinator's folder: it holds neither {FILE} nor {NODE_KEYS}/ nor front/; one is made with: "
            "wardround consortium create",
        )
