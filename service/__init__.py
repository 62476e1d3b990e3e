"""Attention over HTTP."""
