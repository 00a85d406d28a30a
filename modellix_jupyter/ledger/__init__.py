"""Layer 3: every task ever paid for, in SQLite; who drives it; and how the table grew."""
