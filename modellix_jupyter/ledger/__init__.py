"""Layer 3: every task ever paid for, in SQLite or PostgreSQL, and which kernel drives it."""
