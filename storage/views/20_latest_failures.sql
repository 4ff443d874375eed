-- What stands in the way of each candidate: the failures of the newest run that had any for it.
CREATE OR REPLACE VIEW latest_failures AS
SELECT
    ranked.structure_hash,
    ranked.working_ion,
    ranked.run_id,
    ranked.stage,
    ranked.reason,
    ranked.message,
    ranked.n_failures
FROM (
    SELECT
        failures.structure_hash,
        failures.working_ion,
        part.run_id,
        failures.stage,
        failures.reason,
        failures.message,
        count(*) OVER (
            PARTITION BY failures.structure_hash, failures.working_ion, part.run_id
        ) AS n_failures,
        row_number() OVER (
            PARTITION BY failures.structure_hash, failures.working_ion
            ORDER BY runs.started_at DESC NULLS LAST, runs.run_id DESC NULLS LAST,
                failures.stage, failures.reason, failures.stage_key
        ) AS newest_first
    FROM failures
    LEFT JOIN run_failures AS part
        ON part.material_id = failures.material_id
        AND part.source = failures.source
        AND part.working_ion = failures.working_ion
        AND part.stage = failures.stage
        AND part.reason = failures.reason
        AND part.stage_key = failures.stage_key
    LEFT JOIN runs ON runs.run_id = part.run_id
    -- A duplicate may share the hash of the structure that it was merged into, which has its result.
    WHERE failures.structure_hash IS NOT NULL AND failures.reason <> 'duplicate'
) AS ranked
WHERE ranked.newest_first = 1;
COMMENT ON VIEW latest_failures IS 'The failure of the newest run that had one, a row a structure.';
COMMENT ON COLUMN latest_failures.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN latest_failures.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN latest_failures.run_id IS 'newest run in which it failed';
COMMENT ON COLUMN latest_failures.stage IS 'stage at which it failed';
COMMENT ON COLUMN latest_failures.reason IS 'why, in one word to group by';
COMMENT ON COLUMN latest_failures.message IS 'why, in a sentence';
COMMENT ON COLUMN latest_failures.n_failures IS 'failures of that structure in that run';
