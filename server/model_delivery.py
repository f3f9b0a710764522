"""After the last round: the model, signed, to every hospital of the run, and the record of who has it.

Only where the coordinator has a signing key: in simulation all is one party's. A hospital that could not be reached
is asked again whenever the run is resumed; whoever has this very model already is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from common.data.names import SiteId
from common.errors import FileError, StudyError
from common.study.schedule import final_round
from common.study.study import Study
from common.sums.identity import read_key
from common.sums.update import Vector
from common.wire.handed_model import KEPT, LEG, HandedModel, to_payload
from server.exchange import GridExchange
from server.model_card import card_of
from server.problems import Problem
from server.run_folder import RunFolder

FILE, CARD = "handed-out.json", "card.md"
STAGE = "models"


@dataclass(frozen=True)
class HandingOut:
    """signing: the folder with the coordinator's identity key. folder: the run's."""

    signing: Path
    folder: RunFolder

    def check(self) -> None:
        """Raise StudyError where there is no key that could sign: said before the first round, not after the last."""
        try:
            read_key(self.signing)
        except (FileError, ValueError) as error:
            raise StudyError(f"the coordinator has no key to sign the model with: {error}") from error

    def hand_out(
        self, study: Study, about: Mapping[str, Any], parameters: Vector, exchange: GridExchange
    ) -> list[Problem]:
        """Ask every hospital to keep the model; those that did not, and why. `handed-out.json` names both."""
        model = self._model(study, about, parameters, exchange.run)
        kept = self._kept(model, exchange.nodes)
        lacking = [site for site in exchange.nodes if site not in kept]
        exchange.stage = STAGE
        request = to_payload(model, study.json, exchange.run, final_round(study))
        replies = exchange.ask(LEG, dict.fromkeys(lacking, request))
        kept += [site for site, reply in replies.items() if reply.words.get(KEPT) == model.model_sha256]
        reasons = {drop.site: drop.reason for drop in exchange.take_dropped()}
        missing = {site: reasons.get(site, "it kept another model") for site in lacking if site not in kept}
        self.folder.write_json(
            FILE,
            {
                "model_sha256": model.model_sha256,
                "card_sha256": _digest(model.card),
                "have": sorted(kept),
                "lack": missing,
            },
        )
        return [Problem(STAGE, reason, site, exchange.nodes.get(site)) for site, reason in missing.items()]

    def _model(self, study: Study, about: Mapping[str, Any], parameters: Vector, run: str) -> HandedModel:
        final, privacy = self.folder.read_json("final.json") or {}, self.folder.read_json("privacy.json")
        card = card_of(study, about, final, privacy)
        self.folder.write_text(CARD, card)
        unsigned = HandedModel(parameters, card, int(about["model_of_round"] or 0))
        statement = unsigned.statement(_digest(study.json), run)
        return HandedModel(parameters, card, unsigned.of_round, read_key(self.signing).sign(statement))

    def _kept(self, model: HandedModel, sites: Mapping[SiteId, int]) -> list[SiteId]:
        """Who has this very model with this very card."""
        before = self.folder.read_json(FILE) or {}
        same = before.get("model_sha256") == model.model_sha256 and before.get("card_sha256") == _digest(model.card)
        return [site for site in before.get("have", []) if site in sites] if same else []


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
