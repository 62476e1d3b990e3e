"""Bodies of requests that the tests of telemetry send."""

REQUEST = {"query": [[1.0]], "key": [[2.0]], "value": [[3.0]]}

OTHER_MODEL = {"score_model": "gaussian"}

WIDE = [[0.5]] * 64

SLOW = {
    "score_model": {"name": "additive", "query_weight": WIDE, "key_weight": WIDE, "score_vector": [0.5] * 64},
    "query": [[0.5]] * 6000,
    "key": [[0.5]] * 1000,
    "softcap": 3,
    "include": ["logsumexp"],
}
"""A fifth of a second of one core, however fast it is, or more."""

ENDLESS = SLOW | {"query": [[0.5]] * 60_000}
"""Many seconds of one core, however fast it is: a request that its client gives up, and no test waits for."""
