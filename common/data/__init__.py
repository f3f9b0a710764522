"""What a hospital holds: cases in named columns, images and where they lie, names and their one form."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.data.cases import Batch as Batch
    from common.data.cases import Cases as Cases
    from common.data.cases import Quarantined as Quarantined
    from common.data.cases import Shape as Shape
    from common.data.cases import concatenate as concatenate
    from common.data.geometry import Geometry as Geometry
    from common.data.image import Image as Image
    from common.data.names import SiteId as SiteId
    from common.data.pooled_statistics import Pooled as Pooled
else:
    __getattr__ = handed_on(
        __name__,
        {
            "cases": ("Batch", "Cases", "Quarantined", "Shape", "concatenate"),
            "geometry": ("Geometry",),
            "image": ("Image",),
            "names": ("SiteId",),
            "pooled_statistics": ("Pooled",),
        },
    )
