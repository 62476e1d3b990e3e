"""What a request did and cost: its exchange, and the log, metrics and traces that are told of it."""
