"""Static dipole polarisabilities of the neutral atoms, as recommended by Schwerdtfeger and Nagle.

References
----------
Schwerdtfeger and Nagle, Mol. Phys. 117, 1200 (2019), 10.1080/00268976.2018.1535143. The figures were read
from the `mendeleev` package (1.3.0), but for Ti and Ho, where it has others than that table.
"""

from __future__ import annotations

ANG3_PER_ATOMIC_UNIT = 0.529177210903**3
"""Cube of the Bohr radius in Å, CODATA 2018."""

POLARISABILITY_AU = (
    4.50711, 1.38375, 164.1125, 37.74, 20.5, 11.3, 7.4, 5.3, 3.74, 2.6611, 162.7, 71.2, 57.8, 37.3, 25.0,
    19.4, 14.6, 11.083, 289.7, 160.8, 97.0, 100.0, 87.0, 83.0, 68.0, 62.0, 55.0, 49.0, 46.5, 38.67, 50.0,
    40.0, 30.0, 28.9, 21.0, 16.78, 319.8, 197.2, 162.0, 112.0, 98.0, 87.0, 79.0, 72.0, 66.0, 26.14, 55.0,
    46.0, 65.0, 53.0, 43.0, 38.0, 32.9, 27.32, 400.9, 272.0, 215.0, 205.0, 216.0, 208.0, 200.0, 192.0,
    184.0, 158.0, 170.0, 163.0, 156.0, 150.0, 144.0, 139.0, 137.0, 103.0, 74.0, 68.0, 62.0, 57.0, 54.0,
    48.0, 36.0, 33.91, 50.0, 47.0, 48.0, 44.0, 42.0, 35.0, 317.8, 246.0, 203.0, 217.0, 154.0, 129.0, 151.0,
    132.0, 131.0, 144.0, 125.0, 122.0, 118.0, 113.0, 109.0, 110.0, 320.0, 112.0, 42.0, 40.0, 38.0, 36.0,
    34.0, 32.0, 32.0, 28.0, 29.0, 31.0, 71.0, 67.0, 76.0, 58.0,
)  # fmt: skip
"""From hydrogen to oganesson, in atomic units (cubic Bohr radii)."""
