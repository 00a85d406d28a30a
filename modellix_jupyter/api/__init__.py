"""Layer 3: the REST client; the one place where HTTP becomes our values and errors."""
