"""Layer 4: the composition root, the results, and how a notebook waits for them."""
