"""Layer 2: the REST API over httpx; the one place where HTTP becomes our values and errors."""
