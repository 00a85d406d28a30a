"""Layer 4: one event loop in one daemon thread, which submits, polls and downloads every task."""
