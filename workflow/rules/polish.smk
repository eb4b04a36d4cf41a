# The best parameter sets; only with the objectives `match` and `maximise`.
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
        "Search for the best sets of {campaign.name}"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen polish --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
