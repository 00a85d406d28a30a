"""Layer 3: the files of results: bounded downloads, file types, thumbnails."""
