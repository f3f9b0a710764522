"""Figures that say how good a prediction is. Those of masks and images are handed on from here."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.metrics.images.gradient_energy import laplacian_variance as laplacian_variance
    from common.metrics.images.gradient_energy import sharpness as sharpness
    from common.metrics.images.high_frequencies import hfen as hfen
    from common.metrics.images.mean_absolute import mae as mae
    from common.metrics.images.mean_squared import mse as mse
    from common.metrics.images.mean_squared import nmse as nmse
    from common.metrics.images.peak_signal import psnr as psnr
    from common.metrics.images.structural_similarity import ssim as ssim
    from common.metrics.masks import assd as assd
    from common.metrics.masks import dice as dice
    from common.metrics.masks import hausdorff as hausdorff
    from common.metrics.masks import jaccard as jaccard
    from common.metrics.masks import surface_dice as surface_dice
else:
    __getattr__ = handed_on(
        __name__,
        {
            "images.gradient_energy": ("laplacian_variance", "sharpness"),
            "images.high_frequencies": ("hfen",),
            "images.mean_absolute": ("mae",),
            "images.mean_squared": ("mse", "nmse"),
            "images.peak_signal": ("psnr",),
            "images.structural_similarity": ("ssim",),
            "masks": ("assd", "dice", "hausdorff", "jaccard", "surface_dice"),
        },
    )
