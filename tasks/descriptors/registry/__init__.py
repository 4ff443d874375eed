"""The registry of descriptors, a file a group: keys, units, meanings and references."""
