"""The engine: primitives, actors and journal make flows that survive."""
