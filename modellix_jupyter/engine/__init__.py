"""Layer 4: one event loop in one daemon thread, which drives every task to its end."""
