# The parameter sets that explain measured data best; only with the objective `match`.
rule polish_sets:
    input:
        **reads("polish_sets"),
    output:
        paths.polished,
    log:
        log_of("polish", "polish"),
    benchmark:
        benchmark_of("polish", "polish")
    resources:
        **memory_of("polish_sets"),
        mpi="mpiexec",
        tasks=FORECAST["polish_sets"].tasks,
        runtime=minutes_of("polish_sets"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("polish_sets"),
    message:
        "Search for the sets of {campaign.name} that fit best, with the {campaign.model.name} model"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen polish --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
