-- How fast the ions diffuse at room temperature, as an uncorrelated random walk in d dimensions over hops of one
-- length a and one rate G: D = a^2 G / (2 d) (Mehrer, Diffusion in Solids, 2007, 10.1007/978-3-540-71488-0).
CREATE OR REPLACE VIEW diffusivities AS
SELECT
    assumed.material_id,
    assumed.structure_hash,
    assumed.working_ion,
    assumed.dimension,
    assumed.edge_id,
    assumed.distance_ang,
    assumed.barrier_ev,
    assumed.lower_ev,
    assumed.upper_ev,
    assumed.in_domain,
    assumed.temperature_k,
    assumed.attempt_frequency_hz,
    assumed.correlation_factor,
    assumed.vacancy_fraction,
    assumed.prefactor_cm2_s * exp(-assumed.barrier_ev / assumed.thermal_ev) AS diffusivity_cm2_s,
    assumed.prefactor_cm2_s * exp(-assumed.upper_ev / assumed.thermal_ev) AS diffusivity_lower_cm2_s,
    assumed.prefactor_cm2_s * exp(-assumed.lower_ev / assumed.thermal_ev) AS diffusivity_upper_cm2_s,
    assumed.model_digest,
    assumed.run_id
FROM (
    SELECT
        stated.*,
        stated.correlation_factor * stated.vacancy_fraction * stated.attempt_frequency_hz
            * (stated.distance_ang * 1e-8) ** 2 / (2 * stated.dimension) AS prefactor_cm2_s,
        stated.temperature_k * 8.617333262145e-5::DOUBLE AS thermal_ev
    FROM (
        SELECT
            rate_limiting_hops.*,
            298.15::DOUBLE AS temperature_k,
            1e13::DOUBLE AS attempt_frequency_hz,
            1::DOUBLE AS correlation_factor,
            1::DOUBLE AS vacancy_fraction
        FROM rate_limiting_hops
        WHERE rate_limiting_hops.at_percolation_dim
    ) AS stated
) AS assumed
ORDER BY diffusivity_cm2_s DESC, assumed.material_id, assumed.structure_hash;
COMMENT ON VIEW diffusivities IS 'Estimated diffusivity of the working ion at 298.15 K, D = f c a^2 nu exp(-E / kT) / (2 d): a random walk in the d dimensions of percolation, every hop like the rate-limiting one (Mehrer 2007, 10.1007/978-3-540-71488-0). Correlation factor f and share of vacant sites c are taken as 1, and the attempt frequency nu is assumed.';
COMMENT ON COLUMN diffusivities.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN diffusivities.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN diffusivities.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN diffusivities.dimension IS 'dimensions d of percolation at barrier_ev';
COMMENT ON COLUMN diffusivities.edge_id IS 'edge_id of the rate-limiting hop';
COMMENT ON COLUMN diffusivities.distance_ang IS 'length a of the rate-limiting hop, angstrom';
COMMENT ON COLUMN diffusivities.barrier_ev IS 'the minimax barrier E at percolation_dim, eV';
COMMENT ON COLUMN diffusivities.lower_ev IS 'lower end of its 90% interval, eV';
COMMENT ON COLUMN diffusivities.upper_ev IS 'upper end of its 90% interval, eV';
COMMENT ON COLUMN diffusivities.in_domain IS 'true when the rate-limiting hop lies inside the training domain';
COMMENT ON COLUMN diffusivities.temperature_k IS 'temperature T, K';
COMMENT ON COLUMN diffusivities.attempt_frequency_hz IS 'attempt frequency nu, Hz; an assumption';
COMMENT ON COLUMN diffusivities.correlation_factor IS 'correlation factor f; an assumption';
COMMENT ON COLUMN diffusivities.vacancy_fraction IS 'share of sites that are vacant, c; an assumption';
COMMENT ON COLUMN diffusivities.diffusivity_cm2_s IS 'diffusivity D, cm2/s';
COMMENT ON COLUMN diffusivities.diffusivity_lower_cm2_s IS 'the same at upper_ev, cm2/s';
COMMENT ON COLUMN diffusivities.diffusivity_upper_cm2_s IS 'the same at lower_ev, cm2/s';
COMMENT ON COLUMN diffusivities.model_digest IS 'digest of the checkpoint behind the barrier';
COMMENT ON COLUMN diffusivities.run_id IS 'run whose result is shown';
