rule screen_block:
    input:
        **reads("screen_block", "block-{block}"),
    output:
        block=paths.screen / "block-{block}.h5",
    log:
        log_of("screen", "block-{block}"),
    benchmark:
        benchmark_of("screen", "block-{block}")
    wildcard_constraints:
        block=r"\d{5}",
    resources:
        **memory_of("screen_block"),
        mpi="mpiexec",
        tasks=FORECAST["screen_block"].tasks,
        runtime=minutes_of("screen_block"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("screen_block"),
    message:
        "Screen block {wildcards.block} of {campaign.name}: {campaign.screen.block_size} parameter sets"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen screen --config {params.config:q} "
        "--block {wildcards.block} --ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"


rule gather_screen:
    input:
        unpack(lambda wildcards: reads_at_last("gather_screen", "gather")),
    output:
        summary=paths.screen_summary,
        hits=paths.screen_hits,
    log:
        log_of("screen", "gather"),
    benchmark:
        benchmark_of("screen", "gather")
    resources:
        **memory_of("gather_screen"),
        runtime=minutes_of("gather_screen"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("gather_screen"),
    message:
        "Gather {campaign.screen.blocks} blocks of the screen of {campaign.name}"
    shell:
        "mechscreen screen --config {params.config:q} --gather 2>&1 | log_to {log:q}"
