"""Layer 2: the files of results: bounded downloads, file types, thumbnails."""
