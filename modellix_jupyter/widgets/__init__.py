"""Layer 7: the panel, made of ipywidgets."""
