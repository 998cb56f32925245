"""The vocabulary: events, commands, process managers, gateways. Pure: no clock, no I/O, no threads."""
