"""Layer 4: results, their DataFrame, grid, plots and exports."""
