"""Layer 5: the panel, made of ipywidgets."""
