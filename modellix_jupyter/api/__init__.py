"""Layer 3: the REST client; the only place where HTTP becomes our values and errors."""
