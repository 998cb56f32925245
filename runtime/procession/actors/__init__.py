"""Structured concurrency on trio: mailboxes, actors, supervisors. Knows nothing of events."""
