"""Telemetry of requests: the record of an exchange, and the log, the metrics and the traces made from it."""
