"""The HTTP facade: a runtime for whoever speaks HTTP, on Starlette and Hypercorn."""
