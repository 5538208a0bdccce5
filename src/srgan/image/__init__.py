"""Pictures as arrays: files, colour, resampling and tiles. NumPy and Pillow only."""
