"""Tests of the application of Ray Serve."""
