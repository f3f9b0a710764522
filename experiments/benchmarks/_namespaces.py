"""Hosts on one machine: network namespaces on one bridge, each with an address, a name, and a cable that can be cut.

Linux with iproute2, for root only. What runs in a host is ended with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from common.errors import EngineError

NETS = Path("/etc/netns")
SUBNET = "10.77.0"


@dataclass
class Laboratory:
    """The hosts, by their names. prefix: sets this laboratory's namespaces apart from others'.

    aliases: further names of hosts.
    """

    prefix: str
    addresses: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def built(cls, hosts: Sequence[str], aliases: Mapping[str, str] | None = None) -> Iterator[Laboratory]:
        """All hosts reach each other by name, and nothing else. Raises EngineError where none can be made."""
        prefix = f"w{token_hex(2)}"
        laboratory = cls(prefix, {host: f"{SUBNET}.{number}" for number, host in enumerate(hosts, 1)}, aliases or {})
        try:
            laboratory._build()
            yield laboratory
        finally:
            laboratory._end()

    def start(self, host: str, command: Sequence[str | Path], **named: Any) -> subprocess.Popen[bytes]:
        """A program in a host, in a session of its own."""
        process = subprocess.Popen(self._inside(host, command), start_new_session=True, **named)
        self.processes.append(process)
        return process

    def run(self, host: str, command: Sequence[str | Path], **named: Any) -> subprocess.CompletedProcess[str]:
        """A program in a host, to its end; what it says is text."""
        return subprocess.run(self._inside(host, command), text=True, capture_output=True, **named)

    def cut(self, host: str) -> None:
        """Pull its cable: packets are lost, and no connection is told."""
        _ip("netns", "exec", self._hub, "ip", "link", "set", self._cable(host), "down")

    def mend(self, host: str) -> None:
        """Plug it in again."""
        _ip("netns", "exec", self._hub, "ip", "link", "set", self._cable(host), "up")

    def forbid(self, host: str, other: str) -> None:
        """No way leads from one to the other any more, as behind a firewall."""
        _ip("-n", self._space(host), "route", "add", "prohibit", f"{self.addresses[other]}/32")

    @property
    def _hub(self) -> str:
        return f"{self.prefix}-hub"

    def _space(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def _cable(self, host: str) -> str:
        """Names of interfaces have 15 characters at most."""
        return f"{self.prefix}p{list(self.addresses).index(host)}"

    def _inside(self, host: str, command: Sequence[str | Path]) -> list[str]:
        return ["ip", "netns", "exec", self._space(host), *map(str, command)]

    def _build(self) -> None:
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "bridge", "up")
        for host, address in self.addresses.items():
            space, cable = self._space(host), self._cable(host)
            _ip("netns", "add", space)
            _ip("link", "add", cable, "netns", self._hub, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", self._hub, "link", "set", cable, "master", "bridge", "up")
            _ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
            for interface in ("lo", "eth0"):
                _ip("-n", space, "link", "set", interface, "up")
            self._name_all(space)

    def _name_all(self, space: str) -> None:
        """`ip netns exec` shows a host this file in the place of /etc/hosts."""
        (NETS / space).mkdir(parents=True)
        named = {**self.addresses, **{alias: self.addresses[host] for alias, host in self.aliases.items()}}
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in named.items())]
        (NETS / space / "hosts").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _end(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        for space in (*map(self._space, self.addresses), self._hub):
            self._end_space(space)

    def _end_space(self, space: str) -> None:
        found = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout
        for pid in map(int, found.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", space], capture_output=True)
        shutil.rmtree(NETS / space, ignore_errors=True)


def reason_against() -> str:
    """Why no laboratory can be built here; "" where it can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if os.geteuid() != 0:
        return "network namespaces are made by root"
    space = f"w{token_hex(4)}"
    try:
        _ip("netns", "add", space)
        _ip("-n", space, "link", "add", "probe", "type", "bridge")
    except EngineError as error:
        return str(error)
    finally:
        subprocess.run(["ip", "netns", "delete", space], capture_output=True)
    return ""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
