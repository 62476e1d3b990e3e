"""Tests of the files with which a cluster runs the service."""
