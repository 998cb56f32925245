"""Projections: stores that projectors fold events into, beside the engine, and what is asked of them."""
