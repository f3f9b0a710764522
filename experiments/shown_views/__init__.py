"""`wardround views`: what augmentations do to a study's own images, as a page of pictures.

cases.py     some cases of its hospitals
pipelines.py which augmentations, their views, and how far pixels alone tell cases apart
page.py      the page
"""
