-- How often an ion takes each hop at room temperature, by transition state theory in its harmonic form
-- (Vineyard 1957, 10.1016/0022-3697(57)90059-8), nu exp(-E / kT). The attempt frequency is an assumption.
CREATE OR REPLACE VIEW hop_rates AS
SELECT
    assumed.material_id,
    assumed.structure_hash,
    assumed.working_ion,
    assumed.edge_id,
    assumed.distance_ang,
    assumed.barrier_ev,
    assumed.lower_ev,
    assumed.upper_ev,
    assumed.method,
    assumed.in_domain,
    assumed.temperature_k,
    assumed.attempt_frequency_hz,
    assumed.attempt_frequency_hz * exp(-assumed.barrier_ev / assumed.thermal_ev) AS rate_hz,
    assumed.attempt_frequency_hz * exp(-assumed.upper_ev / assumed.thermal_ev) AS rate_lower_hz,
    assumed.attempt_frequency_hz * exp(-assumed.lower_ev / assumed.thermal_ev) AS rate_upper_hz
FROM (
    SELECT
        hop_barriers.*,
        298.15::DOUBLE AS temperature_k,
        1e13::DOUBLE AS attempt_frequency_hz,
        -- The Boltzmann constant of CODATA 2022, eV/K, which is exact but for its digits.
        298.15::DOUBLE * 8.617333262145e-5::DOUBLE AS thermal_ev
    FROM hop_barriers
    WHERE hop_barriers.barrier_ev IS NOT NULL
) AS assumed
ORDER BY rate_hz DESC, assumed.material_id, assumed.structure_hash, assumed.edge_id;
COMMENT ON VIEW hop_rates IS 'How often an ion takes a hop at 298.15 K, nu exp(-E / kT), from the best barrier known. The attempt frequency nu is assumed, the same for all.';
COMMENT ON COLUMN hop_rates.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN hop_rates.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN hop_rates.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN hop_rates.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN hop_rates.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN hop_rates.barrier_ev IS 'migration barrier E, eV';
COMMENT ON COLUMN hop_rates.lower_ev IS 'lower end of its calibrated 90% interval, eV; null for a refinement';
COMMENT ON COLUMN hop_rates.upper_ev IS 'upper end of its calibrated 90% interval, eV; null for a refinement';
COMMENT ON COLUMN hop_rates.method IS 'where the barrier comes from; a converged refinement before a prediction';
COMMENT ON COLUMN hop_rates.in_domain IS 'true when the descriptors lie inside the training domain';
COMMENT ON COLUMN hop_rates.temperature_k IS 'temperature T, K';
COMMENT ON COLUMN hop_rates.attempt_frequency_hz IS 'attempt frequency nu, Hz; an assumption';
COMMENT ON COLUMN hop_rates.rate_hz IS 'hops a second through one open hop, Hz';
COMMENT ON COLUMN hop_rates.rate_lower_hz IS 'the same at upper_ev, Hz';
COMMENT ON COLUMN hop_rates.rate_upper_hz IS 'the same at lower_ev, Hz';
