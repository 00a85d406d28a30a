"""Layer 2: values to escaped HTML and plain text; pure."""
