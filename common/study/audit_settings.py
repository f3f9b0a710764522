"""`[audit]` of a study: how long attacks may try, and from where on a finding is amber or red."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import StudyError
from common.study.checks import between, positive


@dataclass(frozen=True)
class Audit:
    """Settings of `wardround audit`. They are part of the study, so that they are agreed on before the run.

    seconds: of all attacks together. after_run: audit as soon as the run is over. confidence: that all intervals of
    AUCs hold jointly, and, counted apart, that all bounds of epsilon do; with 0.95 both hold together with 0.9.
    image_amber, image_red: structural similarity (SSIM, brightness and contrast left aside) of a rebuilt image with a
    patient's; for red it must be this patient and nobody else, and who is recognised below is amber.
    auc_amber, auc_red: what the lower confidence limit of a membership attack's area under the curve must not reach.
    epsilon_amber: a promised epsilon above which privacy is weak in the common reading.
    """

    seconds: float = 120.0
    after_run: bool = False
    confidence: float = 0.95
    image_amber: float = 0.3
    image_red: float = 0.4
    auc_amber: float = 0.55
    auc_red: float = 0.65
    epsilon_amber: float = 10.0

    def __post_init__(self) -> None:
        positive("audit", seconds=self.seconds, epsilon_amber=self.epsilon_amber)
        between("audit", 0.5, 0.9999, confidence=self.confidence)
        between("audit", 0, 1, image_amber=self.image_amber, image_red=self.image_red)
        between("audit", 0.5, 1, auc_amber=self.auc_amber, auc_red=self.auc_red)
        if self.image_amber > self.image_red or self.auc_amber > self.auc_red:
            raise StudyError("audit: an amber threshold must not lie above the red one.")
