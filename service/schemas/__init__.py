"""Pydantic models of requests and responses, which validate and describe them."""
