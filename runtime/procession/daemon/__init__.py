"""Doors for people and machines: the command line."""
