"""Layer 6: the session, and how a notebook waits, shows and recovers."""
