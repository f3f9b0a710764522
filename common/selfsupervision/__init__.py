"""Learning from images without labels: encoders, views of a case, losses, and whether features collapse."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.selfsupervision.augmentation import Augmentation as Augmentation
    from common.selfsupervision.pipeline import Pipeline as Pipeline
else:
    __getattr__ = handed_on(__name__, {"augmentation": ("Augmentation",), "pipeline": ("Pipeline",)})
