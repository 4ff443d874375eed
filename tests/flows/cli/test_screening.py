"""`lihop screen`: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.campaigns import GOOD, write_bad, write_good


class TestScreen:
    def test_plain_run(self, lihop, bench):
        write_good(bench.folder, ("lif.cif",))
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        result = lihop("screen", *flags, "--no-prefect", "--workers", "1", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert (found["n_items"], found["n_computed"], found["n_with_result"]) == (1, 1, 1)
        text = lihop("screen", *flags, "--no-prefect", "--workers", "1")
        assert text.code == 0
        assert "1 known already, 1 with a percolation result" in text.out

    def test_nothing_usable(self, lihop, bench):
        (bench.folder / "a.cif").write_text("nothing")
        result = lihop(
            "screen", "--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database,
            "--no-prefect", "--workers", "1",
        )  # fmt: skip
        assert result.code == 1
        assert "1 unreadable_file" in result.out
        assert "no material has a result" in result.err

    def test_empty_folder(self, lihop, bench):
        result = lihop("screen", "--path", bench.folder, "--model", bench.checkpoint, "--no-prefect")
        assert result.code == 1
        assert "no structure file in the folder" in result.err
        assert "CIF" in result.err

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--source", "files", "--path", "nowhere"], ["nowhere", "no such file or folder"]),
            (["--source", "files"], ["needs a path"]),
            (["--source", "reference", "--path", "."], ["'reference'", "'files'"]),
            (["--source", "moon"], ["source", "'moon'", "'reference', 'files', 'mp' or 'optimade'"]),
            (["--limit", "0"], ["limit", "greater than or equal to 1"]),
            (["--max-sites", "1"], ["max_sites", "greater than or equal to 2"]),
            (["--cutoff-ang", "-1"], ["cutoff_ang", "greater than 0"]),
            (["--working-ion", "Xe"], ["working_ion", "'Xe'", "'Li'"]),
            (["--retry", "bad luck"], ["bad luck", "time_limit"]),
            (["--model", "nothing"], ["nothing", "lihop train"]),
            (["--path", "notes.txt"], ["notes.txt", "known are CIF"]),
        ],
    )
    def test_bad_usage(self, lihop, checkpoint, tmp_path, flags, words):
        (tmp_path / "notes.txt").write_text("a note")
        given = flags if "--model" in flags else [*flags, "--model", checkpoint]
        result = lihop("screen", *given, "--no-prefect")
        assert result.code == 2, result.err
        assert "Traceback" not in result.err
        assert all(word in result.err for word in words), result.err
        assert not list(tmp_path.glob("*.duckdb"))

    def test_a_checkpoint_for_other_descriptors(self, lihop, bench):
        write_good(bench.folder, ("lif.cif",))
        folder = shutil.copytree(bench.checkpoint, bench.folder.parent / "old")
        manifest = json.loads((folder / "model.json").read_text())
        manifest["spec"]["groups"][0]["version"] += 1
        (folder / "model.json").write_text(json.dumps(manifest))
        result = lihop(
            "screen", "--path", bench.folder, "--model", folder, "--database", bench.database, "--no-prefect",
            "--workers", "1",
        )  # fmt: skip
        assert result.code == 2
        assert result.is_one_message

    def test_estimate(self, lihop, bench):
        write_good(bench.folder)
        expected = write_bad(bench.folder)
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        flags += ["--max-file-mb", "0.2", "--workers", "1"]
        result = lihop("screen", *flags, "--estimate", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert found["n_items"] == len(GOOD) + len(expected)
        assert found["n_items"] == found["n_candidates"] + found["n_refused"]
        assert found["n_known"] == 0
        assert found["n_hops"] > len(GOOD)
        assert found["seconds"] > 0
        bench.screen(max_file_mb=0.2)
        again = json.loads(lihop("screen", *flags, "--estimate", "--json").out)
        assert (again["n_known"], again["n_hops"]) == (again["n_candidates"], 0)
        text = lihop("screen", *flags, "--estimate")
        assert "hops to describe and predict" in text.out

    def test_estimate_survives_what_a_screening_survives(self, lihop, bench, monkeypatch):
        from flows import estimate

        def fail(*_args, **_named):
            raise ArithmeticError("no luck")

        write_good(bench.folder, ("lif.cif",))
        monkeypatch.setattr(estimate, "find_hops", fail)
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        result = lihop("screen", *flags, "--estimate", "--json", "--workers", "1")
        assert result.code == 0
        assert json.loads(result.out)["n_hops"] == 0
