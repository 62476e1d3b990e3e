"""Attention weights as a picture: a labelled heat map in SVG, and a result as HTML for notebooks.

The service answers with the picture; results of the core and of the client show themselves with it.  Imports NumPy and
the standard library.
"""
