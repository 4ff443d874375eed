"""Sites, hop networks, paths and percolation of the working ion."""
