# Draws of the posterior, given measured data; only with the objective `match`.
rule infer_posterior:
    input:
        **reads("infer_posterior"),
    output:
        draws=paths.posterior,
        table=paths.posterior_table,
        summary=paths.posterior_summary,
    log:
        log_of("infer", "infer"),
    benchmark:
        benchmark_of("infer", "infer")
    resources:
        **memory_of("infer_posterior"),
        mpi="mpiexec",
        tasks=FORECAST["infer_posterior"].tasks,
        runtime=minutes_of("infer_posterior"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("infer_posterior"),
        # More of either lets walkers go on.
        draws=campaign.drawn,
        simulations=campaign.posterior.simulations,
    message:
        "Sample the posterior of {campaign.name}, with the {campaign.model.name} model"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen infer --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
