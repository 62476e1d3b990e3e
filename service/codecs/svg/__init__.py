"""Weights as a picture: a labelled heat map, one panel for each leading index."""

from service.codecs.svg.heat_map import heat_map, require_drawable

__all__ = ["heat_map", "require_drawable"]
