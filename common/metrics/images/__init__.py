"""How near an image comes to the true one: of single pairs, and of the cases of a batch as means that merge.

    from common.metrics import psnr, ssim

    psnr(image, truth, data_range=1.0)          # dB
    ssim(image, truth, data_range=1.0)          # 2D or 3D

Images are arrays or tensors of any axes; complex ones are compared by magnitude. The data range is what an image's
values may span, a constant that is stated: read off an image, it would differ from case to case and make scores of
two hospitals, or of two papers, no longer comparable.
"""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.metrics.images.gradient_energy import laplacian_variance as laplacian_variance
    from common.metrics.images.gradient_energy import sharpness as sharpness
    from common.metrics.images.high_frequencies import hfen as hfen
    from common.metrics.images.mean_absolute import mae as mae
    from common.metrics.images.mean_squared import mse as mse
    from common.metrics.images.mean_squared import nmse as nmse
    from common.metrics.images.of_cases import scores_of_each as scores_of_each
    from common.metrics.images.peak_signal import psnr as psnr
    from common.metrics.images.structural_similarity import ssim as ssim
else:
    __getattr__ = handed_on(
        __name__,
        {
            "gradient_energy": ("laplacian_variance", "sharpness"),
            "high_frequencies": ("hfen",),
            "mean_absolute": ("mae",),
            "mean_squared": ("mse", "nmse"),
            "of_cases": ("scores_of_each",),
            "peak_signal": ("psnr",),
            "structural_similarity": ("ssim",),
        },
    )
