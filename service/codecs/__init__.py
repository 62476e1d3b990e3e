"""Bytes to documents with arrays, and back.  Codecs know nothing of FastAPI, and routes nothing of NumPy."""
