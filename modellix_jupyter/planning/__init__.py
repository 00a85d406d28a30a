"""Layer 3: from what was typed or clicked to a checked and priced plan; pure."""
