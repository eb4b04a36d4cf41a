rule merge_shards:
    input:
        unpack(lambda wildcards: reads_at_last("merge_shards", "merge")),
    output:
        manifest=paths.manifest,
    log:
        log_of("merge", "merge"),
    benchmark:
        benchmark_of("merge", "merge")
    resources:
        **memory_of("merge_shards"),
        runtime=minutes_of("merge_shards"),
    params:
        config=paths.campaign,
        fingerprint=FORECAST["merge_shards"].rule.identity.fingerprint,
    message:
        "Merge {campaign.simulations.shards} shards of {campaign.name} into a training set"
    shell:
        "mechscreen merge --config {params.config:q} 2>&1 | log_to {log:q}"
