"""The SuperLink knows the keys in `node-keys/`, and no others: whoever joins is let in, whoever left is out."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import EngineError
from common.files.access import names, read
from common.files.json_files import readable_table, write_json
from experiments.engines._flower_commands import FEDERATION, FlowerCommands
from server.coordinator_folder import NODE_KEYS

LOG = logging.getLogger("wardround.supervisor")
REGISTERED = "link/nodes.json"
"""Of each member: Flower's number of its node, and the SHA-256 of the key's file."""
LARGEST_KEY_BYTES = 1 << 12
LONGEST_S = 120.0
GONE = ("unregistered", "deleted")


def names_of_nodes(folder: Path) -> dict[str, str]:
    """Hospitals' names by Flower's numbers of their nodes, as far as keys are registered."""
    table = readable_table(folder, REGISTERED)
    return {str(one.get("node")): name for name, one in table.items() if isinstance(one, dict)}


@dataclass
class NodeKeys:
    """Compares the folder with what the SuperLink knows; once with it, then with what was said last."""

    folder: Path
    flower: FlowerCommands
    _known: dict[str, dict[str, str]] | None = None
    _refused: dict[str, str] = field(default_factory=dict)

    def bring_in_line(self) -> None:
        """Register and unregister. Raises EngineError where the SuperLink cannot be asked."""
        wanted = self._wanted()
        known = self._at_the_superlink() if self._known is None else self._known
        gone = [name for name, one in known.items() if wanted.get(name) != one["key"]]
        new = [name for name in wanted if known.get(name, {}).get("key") != wanted[name] != self._refused.get(name)]
        if self._known is not None and not gone and not new:
            return
        left = {name: one for name, one in known.items() if name not in gone}
        commands = [("supernode", "unregister", known[name]["node"], FEDERATION) for name in gone]
        commands += [
            ("supernode", "register", str(self.folder / NODE_KEYS / f"{name}.pub"), FEDERATION) for name in new
        ]
        said = self.flower.say_each(commands, LONGEST_S) if commands else []
        for name, answer in zip(new, said[len(gone) :], strict=True):
            self._note(name, wanted[name], answer, left)
        self._known = left
        write_json(self.folder, REGISTERED, left, durable=True)

    def _note(self, name: str, key: str, answer: dict[str, Any], known: dict[str, dict[str, str]]) -> None:
        if "node-id" in answer:
            known[name] = {"node": str(answer["node-id"]), "key": key}
            LOG.info("the node key of %s is registered", name)
        else:
            self._refused[name] = key
            LOG.warning("the node key of %s was not registered: %s", name, answer or "see the SuperLink's log")

    def _wanted(self) -> dict[str, str]:
        found = [one.removesuffix(".pub") for one in names(self.folder, NODE_KEYS) if one.endswith(".pub")]
        return {name: self._digest(name) for name in found}

    def _digest(self, name: str) -> str:
        return hashlib.sha256(read(self.folder, f"{NODE_KEYS}/{name}.pub", LARGEST_KEY_BYTES)).hexdigest()

    def _at_the_superlink(self) -> dict[str, dict[str, str]]:
        """What was registered before, as far as the SuperLink's data base still holds it."""
        before = readable_table(self.folder, REGISTERED)
        if not before:
            return {}
        said = self.flower.say("supernode", "list", FEDERATION, longest_s=LONGEST_S)
        if not isinstance(said.get("nodes"), list):
            raise EngineError(f"the SuperLink did not say what nodes it knows: {str(said)[:300]}")
        there = {str(one.get("node-id")) for one in said["nodes"] if one.get("status") not in GONE}
        whole = {name: one for name, one in before.items() if isinstance(one, dict) and {"node", "key"} <= one.keys()}
        return {name: one for name, one in whole.items() if one["node"] in there}
