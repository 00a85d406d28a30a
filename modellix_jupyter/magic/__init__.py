"""Layer 7: what people type into a cell, read purely and then run by the session."""
