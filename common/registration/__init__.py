"""Registration: similarities, transforms, pyramids, optimisers, and one function that puts them together.

A transform maps world points of the fixed image to world points of the moving image, in mm, in the RAS
convention of `common.data.geometry`.
"""
