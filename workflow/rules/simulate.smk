rule simulate_shard:
    input:
        *in_round("simulate_shard", "shard-{shard}"),
        **in_first_round("simulate_shard", "shard-{shard}"),
    output:
        shard=each_round(FIRST.simulations / "shard-{shard}.h5"),
    log:
        each_round(log_of("simulate", "shard-{shard}")),
    benchmark:
        each_round(benchmark_of("simulate", "shard-{shard}"))
    wildcard_constraints:
        shard=r"\d{5}",
        round=ROUNDS,
    resources:
        **memory_of("simulate_shard"),
        mpi="mpiexec",
        tasks=FORECAST["simulate_shard"].tasks,
        runtime=minutes_of("simulate_shard"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("simulate_shard"),
    message:
        "Simulate shard {wildcards.shard} of {campaign.name}: {campaign.simulations.shard_size} parameter sets"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen simulate --config {params.config:q} "
        "--shard {wildcards.shard} --ranks {resources.tasks} --time-limit {resources.runtime} "
        f"{OF_ROUND}2>&1 | log_to {{log:q}}"
