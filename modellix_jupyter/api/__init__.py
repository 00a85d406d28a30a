"""Layer 2: the REST client; the one place where HTTP becomes our values and errors."""
