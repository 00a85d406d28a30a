"""Layer 1, pure: values and numbers in, values and numbers out; no clock, no network, no disk."""
