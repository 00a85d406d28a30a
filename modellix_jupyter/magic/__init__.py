"""Layer 7: the magics. They parse what is typed into a cell, and the session runs it."""
