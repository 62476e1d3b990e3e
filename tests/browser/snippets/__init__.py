"""Requests as the playground writes them in other languages: what the tests ask for, and how it is run."""
