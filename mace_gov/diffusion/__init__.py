"""The only door to diffusers: read a model folder, load it, reach its cross-attention, draw with it, write it out.

``manifest`` needs no torch; everything else is imported by those who run models.
"""
