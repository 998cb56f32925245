"""Outside systems, simulated: slow, failing, declining or silent as a seed says."""
