"""Tests of large calls and large memories on a Ray cluster of three nodes in this machine."""
