"""Endpoints translate between HTTP and the centre; they touch no array."""
