"""The journal: the durable record, its contract and its implementations."""
