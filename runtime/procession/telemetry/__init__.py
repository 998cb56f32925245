"""What is counted and traced, and how it leaves the process."""
