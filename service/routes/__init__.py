"""Routes translate between HTTP and `service.compute`; they touch no array."""
