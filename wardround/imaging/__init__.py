"""Images without any federation: measure segmentations and images, register, resample; arrays and four libraries.

    from wardround import imaging

    imaging.dice(prediction, truth)                              # {1: 0.91, 2: 0.84}
    imaging.measure(prediction, truth, spacing_mm=(1, 1, 3))     # a row a label: overlap and distances in mm
    imaging.psnr(image, truth, data_range=1.0)                   # and ssim, and quality: all figures of an image
    aligned = imaging.register(moving, fixed, "rigid")           # .image is what `fixed` is: SimpleITK, MONAI, ...
    aligned.apply(labels, labels=True)
    imaging.resample(image, spacing_mm=2.0)
    imaging.segment(image, "grow", seeds=[(40, 52, 20)], tolerance=30)    # or threshold, otsu, atlas; the same kind

An image is a NumPy array or a torch tensor (X, Y) or (X, Y, Z) with `spacing_mm`, an image of SimpleITK or nibabel,
MONAI's MetaTensor (one channel first), our own `Image`, or the path of a NIfTI file. What comes back is of the same
kind. Places are in mm, RAS within, whatever the library's own convention.
"""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.data.image import Image as Image
    from wardround.imaging.images import as_given as as_given
    from wardround.imaging.images import as_image as as_image
    from wardround.imaging.measures import dice as dice
    from wardround.imaging.measures import hausdorff as hausdorff
    from wardround.imaging.measures import measure as measure
    from wardround.imaging.measures import surface_dice as surface_dice
    from wardround.imaging.quality import psnr as psnr
    from wardround.imaging.quality import quality as quality
    from wardround.imaging.quality import ssim as ssim
    from wardround.imaging.registering import Aligned as Aligned
    from wardround.imaging.registering import register as register
    from wardround.imaging.registering import resample as resample
    from wardround.imaging.segmenting import segment as segment
else:
    __getattr__ = handed_on(
        __name__,
        {
            "images": ("Image", "as_given", "as_image"),
            "measures": ("dice", "hausdorff", "measure", "surface_dice"),
            "quality": ("psnr", "quality", "ssim"),
            "registering": ("Aligned", "register", "resample"),
            "segmenting": ("segment",),
        },
    )
