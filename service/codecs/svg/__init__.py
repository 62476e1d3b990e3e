"""Weights as a picture: a labelled heat map, one panel for each leading index."""
