"""The hospital's own data, checked for a study while somebody waits: in the background, the finding kept in memory.

The page of a check holds patients' names: nothing of it is written down, and it is gone when the program ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread

from rich.console import Console

from client.node_settings import read_settings
from client.policy import read_policy
from common.errors import StudyError, WardroundError
from common.study.plugins import trusting
from common.study.study import parse_json

LOG = logging.getLogger("wardround.pages")


@dataclass
class Checks:
    """Of every study, by digest: the page, or why there is none; neither while it runs."""

    folder: Path
    pages: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, digest: str, study_json: str) -> None:
        """In a thread of its own; one at a time of each study."""
        with self._lock:
            if digest in self._running:
                return
            self._running.add(digest)
            self.pages.pop(digest, None)
            self.faults.pop(digest, None)
        Thread(target=self._check, args=(digest, study_json), name="data check", daemon=True).start()

    def state_of(self, digest: str) -> str:
        """ "", running, done or failed."""
        if digest in self._running:
            return "running"
        return "done" if digest in self.pages else "failed" if digest in self.faults else ""

    def version(self) -> str:
        """Another one after every change."""
        return f"{sorted(self._running)} {sorted(self.pages)} {sorted(self.faults)}"

    def _check(self, digest: str, study_json: str) -> None:
        try:
            self.pages[digest] = _page(self.folder, study_json)
        except WardroundError as error:
            self.faults[digest] = str(error)
        except Exception as error:
            LOG.exception("the data check of a study")
            self.faults[digest] = f"The check failed ({type(error).__name__}); this program's terminal says where."
        finally:
            self._running.discard(digest)


def _page(folder: Path, study_json: str) -> str:
    from experiments.data_check.command import check
    from experiments.data_check.page import page_of
    from experiments.data_check.reading import reading_of

    settings = read_settings(folder)
    if not settings.data_folder:
        raise StudyError("node.toml names no data_folder: there is nothing to check.")
    place = (folder / settings.data_folder).expanduser().absolute()
    with trusting(read_policy(folder).trust):
        study = parse_json(study_json)
        return page_of(check(reading_of(study, str(place), None), settings.site, Console(quiet=True)))
