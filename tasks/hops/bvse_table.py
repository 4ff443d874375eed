"""The softBV parameters of the moving ions: the Morse term with each anion.

Figures are those of Adams' softBV set, as version 0.5.1 of the package `ions` (MIT licence) carries them; a
test compares every one.

References
----------
Chen, Wong and Adams, Acta Cryst. B 75, 18 (2019), doi:10.1107/S2052520618015718; Dembitskiy et al., `ions`,
https://github.com/dembart/ions.
"""

from __future__ import annotations

ION_CHARGES = {"Li": 1, "Na": 1, "K": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
"""Charge of each moving ion in the set."""

# Moving ion, anion, its charge; r_min in Å, alpha in 1/Å, d0 in eV.
_TEXT = """
    Li Br -1  2.58255   1.481481  0.4491
    Li Cl -1  2.39647   1.577287  0.49302
    Li F  -1  1.87265   1.968504  0.49611
    Li I  -1  2.78807   1.360544  0.44117
    Li N  -3  2.132557  1.569859  2.054953
    Li O  -2  1.940013  1.937984  0.98816
    Li S  -2  2.40971   1.531394  1.04027
    Li Se -2  2.68386   1.461988  0.8875
    Li Te -2  2.73313   1.371742  0.88544
    Na Br -1  2.915883  1.560062  0.292879
    Na Cl -1  2.748011  1.663894  0.315458
    Na F  -1  2.232158  2.109705  0.295862
    Na I  -1  3.198502  1.426534  0.285612
    Na O  -2  2.374335  2.074689  0.575227
    Na S  -2  2.916205  1.615509  0.630673
    Na Se -2  3.046979  1.538462  0.576407
    Na Te -2  3.269608  1.438849  0.549276
    K  Br -1  3.373219  1.680672  0.188913
    K  Cl -1  3.184081  1.801802  0.201068
    K  F  -1  2.645968  2.336449  0.176234
    K  I  -1  3.633321  1.526718  0.190106
    K  O  -2  2.766359  2.293578  0.34985
    K  S  -2  3.315285  1.745201  0.41168
    K  Se -2  3.51499   1.655629  0.373639
    K  Te -2  3.742871  1.540832  0.362353
    Mg Br -1  2.551036  1.490313  0.733669
    Mg Cl -1  2.393298  1.587302  0.796023
    Mg F  -1  1.875696  1.984127  0.796133
    Mg N  -3  2.215919  1.663894  2.874771
    Mg O  -2  1.956265  1.953125  1.575539
    Mg S  -2  2.457529  1.540832  1.645364
    Ca Cl -1  2.759777  1.683502  0.53146
    Ca F  -1  2.226693  2.141328  0.498644
    Ca O  -2  2.32032   2.10084   0.994291
    Ca S  -2  2.835405  1.633987  1.098221
    Ca Se -2  2.972826  1.55521   1.001348
    Zn Br -1  2.373518  1.779359  0.958104
    Zn Cl -1  2.228172  1.919386  1.012812
    Zn F  -1  1.812843  2.463054  0.925848
    Zn I  -1  2.597824  1.607717  0.959066
    Zn O  -2  1.885568  2.48139   1.24031
    Zn S  -2  2.307582  1.851852  1.485755
    Zn Se -2  2.396213  1.751313  1.385461
    Zn Te -2  2.590758  1.623377  1.333912
    Al Br -1  2.36878   1.455604  1.242373
    Al Cl -1  2.197469  1.547988  1.367335
    Al F  -1  1.64117   1.926782  1.447303
    Al I  -1  2.619974  1.338688  1.187824
    Al O  -2  1.758058  2.358491  1.803461
    Al S  -2  2.302878  1.818182  1.891546
    Al Se -2  2.440109  1.718213  1.73113
    Al Te -2  2.688729  1.582278  1.657011
"""


def _read(text: str) -> dict[tuple[str, str], tuple[float, float, float, float]]:
    """Return the table by moving ion and anion."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {
        (ion, anion): (float(charge), float(r_min), float(alpha), float(depth))
        for ion, anion, charge, r_min, alpha, depth in rows
    }


MORSE = _read(_TEXT)
"""By moving ion and anion: the anion's charge, r_min in Å, alpha in 1/Å, d0 in eV."""
