"""A score model and a normalizer that tests add to a copy of the project."""
