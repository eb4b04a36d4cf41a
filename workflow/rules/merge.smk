rule merge_shards:
    input:
        shards=SHARDS,
    output:
        manifest=paths.manifest,
    log:
        log_of("merge", "merge"),
    benchmark:
        benchmark_of("merge", "merge")
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        config=paths.campaign,
        fingerprint=campaign.fingerprint("dataset"),
    message:
        "Merge {campaign.simulations.shards} shards of {campaign.name} into a training set"
    shell:
        "mechscreen merge --config {params.config:q} 2>&1 | log_to {log:q}"
