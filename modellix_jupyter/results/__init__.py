"""Layer 5: results, their DataFrame, grid, plots and exports."""
