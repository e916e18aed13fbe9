"""Pictures a browser shows: masks as index PNGs, error maps, thumbnails. Pillow and NumPy only."""
