"""Local, profile, topological and chemical descriptors of a hop."""
