"""A million pictures, each exactly once: on one machine, or on a cluster by Ray Data."""
