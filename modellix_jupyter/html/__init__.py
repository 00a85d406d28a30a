"""Layer 3: values to escaped HTML and plain text; pure."""
