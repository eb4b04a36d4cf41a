rule merge_shards:
    input:
        unpack(
            lambda wildcards: reads_at_last(
                "merge_shards", f"{round_of(wildcards)}merge"
            )
        ),
    output:
        manifest=each_round(FIRST.manifest),
    log:
        each_round(log_of("merge", "merge")),
    benchmark:
        each_round(benchmark_of("merge", "merge"))
    wildcard_constraints:
        round=ROUNDS,
    resources:
        **memory_of("merge_shards"),
        runtime=minutes_of("merge_shards"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("merge_shards"),
    message:
        "Merge the simulations of {campaign.name} into a training set"
    shell:
        "mechscreen merge --config {params.config:q} "
        f"{OF_ROUND}2>&1 | log_to {{log:q}}"
