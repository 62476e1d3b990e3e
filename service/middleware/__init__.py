"""ASGI middleware: work before and after the route of every request."""
