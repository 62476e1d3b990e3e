"""What requests and responses look like: Pydantic models that validate, and that describe themselves."""
