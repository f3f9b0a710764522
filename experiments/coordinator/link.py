"""Stock SuperLink and SuperExec on loopback behind the front.

Whoever reaches the port of an open-source SuperLink starts runs at it. So its port demands a certificate that only
this folder's own programs have, in `link/`, which its owner alone can open; the front is one of them. The SuperExec
has a secret beside it. Node keys are those in `node-keys/`, and nobody registers more.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

from cryptography import x509

from common.errors import EngineError
from common.files.access import is_there, private_folder, remove, write
from experiments.coordinator.settings import FRONT_LISTENING, LINK, LinkSettings
from experiments.coordinator.supervision import MARK, Program
from experiments.engines import _flower_program
from experiments.engines._flower_commands import FlowerCommands
from experiments.engines._ports import answers_a_stranger, free_port, listens
from experiments.engines._run_secrets import LOOPBACK, RunSecrets, secrets_in

VALID_S = 10 * 365 * 86400.0
RENEWED_BEFORE = timedelta(days=365)
AUTHORITY, IDENTITY = "ca.crt", "connecting.pem"
"""In `link/`, for the front: whom it trusts behind it, and what it presents there."""
SECRET, DATABASE = "superexec.secret", "state.db"
POLL_S = 0.1
TASK_POLL_S = "0.25"


@dataclass(frozen=True)
class Link:
    """The SuperLink of one start of the coordinator's programs. is_new: whether it has run nothing yet."""

    folder: Path
    settings: LinkSettings
    port: int
    flower: FlowerCommands
    is_new: bool = False

    @classmethod
    def prepared(cls, folder: Path, settings: LinkSettings, plugins: Path | None = None) -> Link:
        """A new secret and new scripts; data base and certificates stay, these until they would soon run out."""
        home = private_folder(folder, LINK)
        shutil.rmtree(home / "programs", ignore_errors=True)
        made = _kept_secrets(home / "secrets") or _new_secrets(home / "secrets")
        write(home, AUTHORITY, made.authority.read_bytes())
        write(home, IDENTITY, made.connecting.read_bytes())
        write(home, SECRET, secrets.token_hex(32))
        programs = _flower_program.install(home / "programs")
        more = ((MARK, str(folder)), ("FLWR_SUPEREXEC_TASK_POLL_INTERVAL", TASK_POLL_S))
        flower = FlowerCommands(programs, home, made, plugins, more)
        link = cls(folder, settings, settings.port or free_port(), flower, not is_there(home, DATABASE))
        flower.command_link(link.port)
        return link

    @property
    def home(self) -> Path:
        """Where its files are."""
        return self.flower.home

    @property
    def address(self) -> str:
        """As the front asks it."""
        return f"https://{LOOPBACK}:{self.port}"

    def programs(self) -> Sequence[Program]:
        """All that are kept running, in the order of their start."""
        fronts = [self._front()] if self.settings.front == "own" else []
        return (self._superlink(), self._superexec(), *fronts)

    def await_listening(self, given_up: Event) -> None:
        """Return once it listens, and to nobody but its own programs. Raises EngineError where it does not."""
        context = _flower_program.connecting_context(self.flower.secrets.authority, self.flower.secrets.connecting)
        deadline = monotonic() + self.settings.start_timeout_s
        while not listens(self.port, context):
            if given_up.wait(POLL_S):
                return
            if monotonic() > deadline:
                raise EngineError(f"the SuperLink did not come up; see {self.home / 'superlink.log'}.")
        if answers_a_stranger(self.port, self.flower.secrets.authority):
            raise EngineError("the SuperLink answers whoever reaches its port; this Flower is not the one of 1.41.")

    def is_up(self) -> bool:
        """Whether it takes connections now."""
        context = _flower_program.connecting_context(self.flower.secrets.authority, self.flower.secrets.connecting)
        return listens(self.port, context)

    def _superlink(self) -> Program:
        made = self.flower.secrets
        return self._flower_program(
            "superlink",
            "flower-superlink",
            *("--host", LOOPBACK, "--port", str(self.port)),
            *("--ssl-ca-certfile", str(made.authority)),
            *("--ssl-certfile", str(made.listening_certificate)),
            *("--ssl-keyfile", str(made.listening_key)),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(self.home / SECRET)),
            *("--database", str(self.home / DATABASE)),
            *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
        )

    def _superexec(self) -> Program:
        return self._flower_program(
            "superexec",
            "flower-superexec",
            *("--runtime-api-address", f"{LOOPBACK}:{self.port}"),
            *("--root-certificates", str(self.flower.secrets.authority)),
            *("--superexec-auth-secret-file", str(self.home / SECRET)),
        )

    def _flower_program(self, name: str, program: str, *arguments: str) -> Program:
        command = [str(self.flower.programs / program), *arguments]
        return Program(name, command, self.flower.environment(self.home), self.home)

    def _front(self) -> Program:
        remove(self.folder, FRONT_LISTENING)
        command = [sys.executable, "-m", "experiments.cli", "server", "front"]
        command += ["--folder", str(self.folder), "--link", self.address]
        return Program("front", command, self.flower.environment(self.home), self.home)


def _kept_secrets(place: Path) -> RunSecrets | None:
    """Of an earlier start, unless they are not whole or would soon run out."""
    made = secrets_in(place)
    named = (made.authority, made.listening_certificate, made.listening_key, made.connecting)
    try:
        ends = [x509.load_pem_x509_certificate(one.read_bytes()).not_valid_after_utc for one in named[:2]]
        whole = all(one.is_file() for one in named)
    except (OSError, ValueError):
        return None
    return made if whole and min(ends) > datetime.now(UTC) + RENEWED_BEFORE else None


def _new_secrets(place: Path) -> RunSecrets:
    shutil.rmtree(place, ignore_errors=True)
    return RunSecrets.create(place, 0, VALID_S)
