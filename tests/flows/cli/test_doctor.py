"""`lihop doctor`: what works and what is missing."""

from __future__ import annotations

import json


class TestDoctor:
    def test_json(self, lihop, database, screened, monkeypatch):
        monkeypatch.setenv("LIHOP_MODEL", str(screened.checkpoint))
        result = lihop("doctor", "--json")
        checks = {row["check"]: row for row in json.loads(result.out)}
        assert all(set(row) == {"check", "ok", "detail", "remedy"} for row in checks.values())
        assert {"python", "packages", "model", "disk", "database", "devi2025"} <= set(checks)
        assert checks["model"]["ok"]
        assert checks["database"]["ok"]
        assert all((row["remedy"] is None) == row["ok"] for row in checks.values())
        assert result.code == int(
            not all(checks[name]["ok"] for name in ("python", "packages", "model", "disk"))
        )

    def test_a_missing_model_is_exit_code_1(self, lihop, monkeypatch):
        monkeypatch.setenv("LIHOP_MODEL", "nothing")
        result = lihop("doctor", "--json")
        checks = {row["check"]: row for row in json.loads(result.out)}
        assert result.code == 1
        assert not checks["model"]["ok"]
        assert "lihop train" in checks["model"]["remedy"]
