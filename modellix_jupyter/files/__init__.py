"""Layer 2: bounded, atomic downloads, safe names and thumbnails."""
