"""The networks of the paper in PyTorch, each built by a function that spells out every number."""
