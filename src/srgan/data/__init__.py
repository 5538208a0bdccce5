"""Training pictures: a store of decoded photographs, and (lr, hr) patches cut from it."""
