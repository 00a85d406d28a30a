"""Layer 1: the settings, the key, and where each came from."""
