"""Each figure that the docs give of speed, measured: `python -m benchmarks.run`."""
