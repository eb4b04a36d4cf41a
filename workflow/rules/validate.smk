rule validate_hits:
    input:
        hits=paths.screen_hits,
        manifest=paths.manifest,
    output:
        hits=paths.validation_hits,
        table=paths.validation_table,
        summary=paths.validation_summary,
    log:
        log_of("validate", "validate"),
    benchmark:
        benchmark_of("validate", "validate")
    resources:
        mpi="mpiexec",
        tasks=2,
        mem_mb_per_cpu=scaled(2000),
        runtime=scaled(120),
    params:
        config=paths.campaign,
        fingerprint=campaign.fingerprint("validation"),
    message:
        "Validate the hits of {campaign.name} with the {campaign.model.name} model"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen validate --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
