"""Data of the reference set: structures, one file a family, and bond-valence parameters. Holds no code."""
