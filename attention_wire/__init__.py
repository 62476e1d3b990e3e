"""Tensors as bytes: number types, the binary frames of the Open Inference Protocol V2 and safetensors files.

Beside them stands how documents of /v1 spell names and numbers.  The service and its client both write and read all
of this, so each format is described here once.  Imports NumPy and
the standard library.  Callers decide what a tensor means and which error a wrong one raises.
"""
