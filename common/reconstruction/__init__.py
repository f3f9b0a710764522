"""Images from incomplete, blurred or noisy measurements: operators, classical solvers, what learned ones share."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.reconstruction.imaging_operator import LinearMap as LinearMap
    from common.reconstruction.imaging_operator import Operator as Operator
    from common.reconstruction.packing import Layout as Layout
else:
    __getattr__ = handed_on(__name__, {"imaging_operator": ("LinearMap", "Operator"), "packing": ("Layout",)})
