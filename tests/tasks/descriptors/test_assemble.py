"""Symmetries that descriptors must not see, the registry against the arrays, and the golden values."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from models.specs import GROUP_NAMES
from tasks.datasets import devi2025
from tasks.descriptors.assemble import INPUT_SPEC, STAGE_VERSION, describe, describe_batch, tables_digest
from tasks.descriptors.elements import table_digest
from tasks.descriptors.errors import DescriptorError
from tasks.descriptors.keys import GROUP_VERSIONS, descriptor_table, group_keys
from tasks.hops.path import hop_environment
from tasks.hops.relax import relaxed_environments
from tasks.hops.sites import Charges

GOLDEN = Path(__file__).with_name("golden.json")
NAMES = ("layered", "olivine", "rocksalt")
TOLERANCE = 2e-4
"""What float64 geometry and ripser's float32 leave: values are up to hundreds."""


RELAXED_TOLERANCE = 2e-3
"""The same after relaxations of their own, which end within their tolerance of the path, not upon it."""


def compare(got, expected, tolerance=TOLERANCE):
    for spec in INPUT_SPEC.groups:
        close = np.isclose(
            got[spec.name], expected[spec.name], rtol=tolerance, atol=tolerance, equal_nan=True
        )
        good = close.reshape(len(spec.keys), -1).all(axis=1)
        wrong = [key for key, fine in zip(spec.keys, good, strict=True) if not fine]
        assert not wrong, f"{spec.name}: {wrong[:8]}"


def relocate(hop, structure):
    """The same hop in an equivalent structure: sites are found by where they lie."""

    def find(cart):
        frac = structure.lattice.get_fractional_coords(cart)
        apart = frac - structure.frac_coords
        away = np.linalg.norm((apart - np.round(apart)) @ structure.lattice.matrix, axis=1)
        site = int(away.argmin())
        assert away[site] < 1e-6
        return site, tuple(int(n) for n in np.round(apart[site]))

    frac, image = hop.structure.frac_coords, np.array(hop.image)
    i, first = find(hop.structure.lattice.get_cartesian_coords(frac[hop.i]))
    j, last = find(hop.structure.lattice.get_cartesian_coords(frac[hop.j] + image))
    return replace(hop, structure=structure, i=i, j=j, image=tuple(np.subtract(last, first).tolist()))


@pytest.mark.parametrize("name", NAMES)
def test_a_relaxed_path_is_described_from_its_sites_over_its_saddle(crystal_hops, name):
    straight, relaxed = crystal_hops[name].environment(), crystal_hops[name].relaxed()
    path = relaxed.relaxed
    assert path.converged
    # The ends are the crystal's, wherever the relaxation started.
    np.testing.assert_allclose(relaxed.path_ang[[0, -1]], straight.path_ang[[0, -1]])
    found = describe(relaxed)
    local = dict(zip(group_keys("local"), found["local"], strict=True))
    image = dict(zip(group_keys("profile"), found["profile"], strict=True))
    anions = relaxed.coords_ang[relaxed.charges < 0.0]
    nearest = np.linalg.norm(anions - path.saddle_ang, axis=1).min()
    assert local["saddle_d_min_ang"] == pytest.approx(nearest, rel=1e-5)
    assert local["ends_d_min_ang"] == pytest.approx(
        np.mean([np.linalg.norm(anions - end, axis=1).min() for end in relaxed.path_ang[[0, -1]]]), rel=1e-5
    )
    assert local["bvse_barrier_ev"] == pytest.approx(path.barrier_ev, rel=1e-5)
    np.testing.assert_allclose(image["bvse_ev"], path.energies_ev, atol=1e-5)
    assert image["bvse_ev"].max() <= local["bvse_barrier_ev"] + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_supercell(crystal_hops, name):
    hop = crystal_hops[name]
    big = hop.structure.copy()
    big.make_supercell([[2, 0, 0], [0, 1, 0], [0, 0, 2]], to_unit_cell=False)
    moved = relocate(hop, big)
    compare(describe(moved.environment()), describe(hop.environment()))
    compare(describe(moved.relaxed()), describe(hop.relaxed()), RELAXED_TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_choice_of_lattice_vectors(crystal_hops, name):
    hop = crystal_hops[name]
    skewed = hop.structure.copy()
    skewed.make_supercell([[1, 1, 0], [0, 1, 0], [1, 0, 1]], to_unit_cell=True)
    assert len(skewed) == len(hop.structure)
    moved = relocate(hop, skewed)
    compare(describe(moved.environment()), describe(hop.environment()))
    compare(describe(moved.relaxed()), describe(hop.relaxed()), RELAXED_TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_sites_and_shift_of_origin(crystal_hops, name):
    hop = crystal_hops[name]
    order = np.random.default_rng(7).permutation(len(hop.structure))
    shift = np.array([0.137, -0.312, 0.771])
    species = [hop.structure[int(k)].specie for k in order]
    other = Structure(hop.structure.lattice, species, hop.structure.frac_coords[order] + shift)
    place = {int(old): new for new, old in enumerate(order)}
    moved = replace(hop, structure=other, i=place[hop.i], j=place[hop.j])
    compare(describe(moved.environment()), describe(hop.environment()))
    compare(describe(moved.relaxed()), describe(hop.relaxed()), RELAXED_TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_reversal_keeps_vectors_and_flips_images(crystal_hops, name):
    hop = crystal_hops[name]
    back = replace(hop, i=hop.j, j=hop.i, image=tuple(-n for n in hop.image))
    forward, reverse = describe(hop.environment()), describe(back.environment())
    compare({**reverse, "profile": reverse["profile"][:, ::-1]}, forward)
    forward, reverse = describe(hop.relaxed()), describe(back.relaxed())
    compare({**reverse, "profile": reverse["profile"][:, ::-1]}, forward, RELAXED_TOLERANCE)


def test_reversal_of_a_lopsided_hop(place):
    rng = np.random.default_rng(11)
    anions, cations = rng.uniform(-4.0, 4.0, (16, 3)), rng.uniform(-5.0, 5.0, (9, 3))
    start, end = [-1.4, 0.3, 0.2], [1.6, -0.2, 0.1]
    forward, reverse = (
        describe(place(start, end, anions, cations)),
        describe(place(end, start, anions, cations)),
    )
    assert not np.allclose(forward["profile"], forward["profile"][:, ::-1], equal_nan=True)
    compare({**reverse, "profile": reverse["profile"][:, ::-1]}, forward)


def turned(env, rng):
    """The same surroundings rotated or reflected, shifted, in another order and a little noisy."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shift = rng.normal(size=3) * 10.0
    order = rng.permutation(len(env.numbers))
    noise = rng.uniform(-1e-7, 1e-7, env.coords_ang.shape)
    relaxed = env.relaxed
    if relaxed is not None:
        relaxed = replace(
            relaxed,
            positions_ang=relaxed.positions_ang @ turn + shift,
            saddle_ang=relaxed.saddle_ang @ turn + shift,
            intermediates_ang=relaxed.intermediates_ang @ turn + shift,
        )
    return replace(
        env,
        path_ang=env.path_ang @ turn + shift,
        coords_ang=((env.coords_ang + noise) @ turn + shift)[order],
        numbers=env.numbers[order],
        charges=env.charges[order],
        relaxed=relaxed,
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rotation_reflection_translation_order_and_noise(crystal_hops, seed):
    env = crystal_hops[NAMES[seed % 3]].environment()
    compare(describe(turned(env, np.random.default_rng(seed))), describe(env))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_along_relaxed_paths(relaxed_hops, seed):
    env = relaxed_hops[NAMES[seed % 3]]
    compare(describe(turned(env, np.random.default_rng(seed))), describe(env))


@pytest.mark.data
def test_rounding_and_direction_do_not_matter_on_published_hops(devi2025_dir):
    rng = np.random.default_rng(0)
    rows = devi2025.read_entries(devi2025_dir, "train")
    straight = [devi2025.hop_of(row, "train").environment for row in rows[::40]]
    relaxed = [hop.environment for hop in devi2025.relaxed_hops(rows[20::40], "train")]
    for env in relaxed:
        compare(describe(turned(env, rng)), describe(env))
    for env in straight:
        noise = rng.uniform(-1e-7, 1e-7, env.coords_ang.shape)
        moved = describe(replace(env, path_ang=env.path_ang[::-1], coords_ang=env.coords_ang + noise))
        compare({**moved, "profile": moved["profile"][:, ::-1]}, describe(env))


def test_ends_and_paths_in_planes_of_anions():
    """In lithium nitride sites and whole hops lie in planes of nitrogen, which rounding must not tilt."""
    structure = Structure.from_spacegroup(
        "P6/mmm",
        Lattice.hexagonal(3.648, 3.875),
        ["Li", "Li", "N"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0], [0, 0, 0]],
    )
    rng = np.random.default_rng(5)
    charges = Charges((1.0, 1.0, 1.0, -3.0), "composition")
    for i, j, image in ((1, 0, (0, 0, 0)), (1, 2, (0, 0, 0)), (0, 0, (0, 0, 1)), (1, 1, (0, 0, 1))):
        cut = partial(hop_environment, structure, charges, i, j, image, working_ion="Li")
        for env in (cut(), relaxed_environments([cut])[0]):
            expected = describe(env)
            for _ in range(3):
                compare(describe(turned(env, rng)), expected)


def test_wider_cluster_changes_nothing(crystal_hops):
    hop = crystal_hops["olivine"]
    compare(describe(hop.environment(radius_ang=9.5)), describe(hop.environment()))


def test_nothing_is_written_into_the_environment(crystal_hops):
    env = crystal_hops["olivine"].environment()
    before = {f.name: np.copy(getattr(env, f.name)) for f in fields(env) if f.name.endswith(("_ang", "s"))}
    describe(env)
    for key, value in before.items():
        assert np.array_equal(value, getattr(env, key)), key


def test_batch_equals_single(crystal_hops):
    envs = [crystal_hops[name].environment() for name in NAMES]
    batch = describe_batch(envs)
    for spec in INPUT_SPEC.groups:
        assert batch[spec.name].shape == (3, *spec.shape)
        assert batch[spec.name].dtype == np.float32
        for row, env in zip(batch[spec.name], envs, strict=True):
            assert np.array_equal(row, describe(env)[spec.name], equal_nan=True)
        assert describe_batch([])[spec.name].shape == (0, *spec.shape)


def test_registry_keeps_its_word():
    assert tuple(spec.name for spec in INPUT_SPEC.groups) == GROUP_NAMES
    assert INPUT_SPEC.versions() == GROUP_VERSIONS
    rows = descriptor_table()
    assert len(rows) == sum(len(spec.keys) for spec in INPUT_SPEC.groups)
    for row in rows:
        assert row["meaning"]
        assert row["unit"]
        assert row["shape"] == ((21,) if row["group"] == "profile" else ())
        assert row["reference"] is None or row["reference"].startswith("10.")
    for spec in INPUT_SPEC.groups:
        assert len(set(spec.keys)) == len(spec.keys)
        assert spec.shape == ((len(spec.keys), 21) if spec.name == "profile" else (len(spec.keys),))
    with pytest.raises(DescriptorError, match="local, profile, topology, chemistry"):
        group_keys("geometry")
    assert all(f"{group}{version}" in STAGE_VERSION for group, version in GROUP_VERSIONS.items())
    assert tables_digest() == table_digest()


def test_golden_values(crystal_hops):
    """Values may change only together with their group's version.

    After raising it, write the file anew: LIHOP_WRITE_GOLDEN=1 pytest tests/tasks/descriptors -k golden
    """
    found = {name: describe(crystal_hops[name].environment()) for name in NAMES}
    found |= {f"{name}, relaxed": describe(crystal_hops[name].relaxed()) for name in NAMES}
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if os.environ.get("LIHOP_WRITE_GOLDEN"):
        written = json.loads(golden_text(found))
        for group, version in GROUP_VERSIONS.items():
            same = {name: hop[group] for name, hop in written["hops"].items()} == {
                name: hop[group] for name, hop in stored["hops"].items()
            }
            assert same or version > stored["versions"][group], f"raise the version of {group} first"
        GOLDEN.write_text(golden_text(found), encoding="utf-8")
        stored = written
    assert stored["versions"] == GROUP_VERSIONS, "a version moved: write the golden file anew"
    assert set(stored["hops"]) == set(found)
    for name in found:
        for spec in INPUT_SPEC.groups:
            assert list(stored["hops"][name][spec.name]) == list(spec.keys)
            expected = np.array(list(stored["hops"][name][spec.name].values()), dtype=float)
            got = picked(found[name][spec.name])
            off = ~np.isclose(got, expected, rtol=1e-3, atol=1e-3, equal_nan=True)
            wrong = [key for key, bad in zip(spec.keys, off.reshape(len(off), -1), strict=True) if bad.any()]
            assert not wrong, f"{name}, {spec.name} changed without its version: {wrong[:8]}"


def picked(values):
    """A quarter of an image's positions is enough to notice."""
    return values[:, ::5] if values.ndim == 2 else values


def golden_text(found):
    def plain(values):
        return [None if np.isnan(v) else round(float(v), 4) for v in np.ravel(values)]

    hops = {
        name: {
            spec.name: {
                key: plain(row) if spec.name == "profile" else plain(row)[0]
                for key, row in zip(spec.keys, picked(groups[spec.name]), strict=True)
            }
            for spec in INPUT_SPEC.groups
        }
        for name, groups in found.items()
    }
    return json.dumps({"versions": GROUP_VERSIONS, "hops": hops}, indent=0).replace(",\n", ", ") + "\n"
