-- The newest results as they were when this copy was published, kept as a table that is filled by publishing
-- (storage/published.py) and empty until then: what is asked about one material starts from its row here, by its
-- structure or by its identifier, and finds hops and predictions by the number of the structure.
CREATE OR REPLACE TABLE published_results AS SELECT * FROM live_results LIMIT 0;
COMMENT ON TABLE published_results IS 'What latest_results says, as it was worked out when this copy was published.';
CREATE INDEX published_results_by_structure ON published_results (structure_hash);
CREATE INDEX published_results_by_material ON published_results (material_id);

CREATE OR REPLACE VIEW latest_results AS SELECT * FROM published_results;
COMMENT ON VIEW latest_results IS 'The newest run that has results for each structure.';
COMMENT ON COLUMN latest_results.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN latest_results.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN latest_results.material_id IS 'identifier under which it took part';
COMMENT ON COLUMN latest_results.run_id IS 'newest run with a percolation result, or the newest run when none has one';
COMMENT ON COLUMN latest_results.started_at IS 'when that run started, UTC';
COMMENT ON COLUMN latest_results.hops_stage_key IS 'stage_key of its rows in hops';
COMMENT ON COLUMN latest_results.prediction_stage_key IS 'stage_key of its rows in predictions';
COMMENT ON COLUMN latest_results.percolation_stage_key IS 'stage_key of its row in percolation';
COMMENT ON COLUMN latest_results.has_percolation IS 'true when that row exists';
COMMENT ON COLUMN latest_results.structure_no IS 'number of the structure in this file, by which its hops and predictions are found fast';
