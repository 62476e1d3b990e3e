"""What the service says of names and values that have another meaning elsewhere."""
