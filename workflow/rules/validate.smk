rule validate_hits:
    input:
        **reads("validate_hits"),
    output:
        **({"survey": paths.survey} if campaign.surveyed else {}),
        **({"robustness": paths.robustness} if campaign.validation.robustness else {}),
        hits=paths.validation_hits,
        table=paths.validation_table,
        summary=paths.validation_summary,
    log:
        log_of("validate", "validate"),
    benchmark:
        benchmark_of("validate", "validate")
    resources:
        **memory_of("validate_hits"),
        mpi="mpiexec",
        tasks=FORECAST["validate_hits"].tasks,
        runtime=minutes_of("validate_hits"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("validate_hits"),
    message:
        "Validate the hits of {campaign.name} with the {campaign.model.name} model"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen validate --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
