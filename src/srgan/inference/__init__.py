"""Running a network on pictures: the runtimes, tiles, and whole batches of files."""
