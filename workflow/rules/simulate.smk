rule simulate_shard:
    input:
        **reads("simulate_shard", "shard-{shard}"),
    output:
        shard=paths.simulations / "shard-{shard}.h5",
    log:
        log_of("simulate", "shard-{shard}"),
    benchmark:
        benchmark_of("simulate", "shard-{shard}")
    wildcard_constraints:
        shard=r"\d{5}",
    resources:
        **memory_of("simulate_shard"),
        mpi="mpiexec",
        tasks=FORECAST["simulate_shard"].tasks,
        runtime=minutes_of("simulate_shard"),
    params:
        config=paths.campaign,
        fingerprint=FORECAST["simulate_shard"].rule.identity.fingerprint,
    message:
        "Simulate shard {wildcards.shard} of {campaign.name}: {campaign.simulations.shard_size} parameter sets"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen simulate --config {params.config:q} "
        "--shard {wildcards.shard} --ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
