# What the ensemble of the round before, or of another campaign, selects for simulation; only with a section `selection`.
rule select_shard:
    input:
        *in_round("select_shard"),
        **in_first_round("select_shard"),
    output:
        selected=each_round(FIRST.selection / "shard-{shard}.h5"),
    log:
        each_round(log_of("select", "shard-{shard}")),
    benchmark:
        each_round(benchmark_of("select", "shard-{shard}"))
    wildcard_constraints:
        shard=r"\d{5}",
        round=ROUNDS,
    resources:
        **memory_of("select_shard"),
        runtime=minutes_of("select_shard"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("select_shard"),
    message:
        "Select shard {wildcards.shard} of {campaign.name}: {campaign.simulations.shard_size} parameter sets"
    shell:
        "mechscreen select --config {params.config:q} --shard {wildcards.shard} --threads {threads} "
        f"{OF_ROUND}2>&1 | log_to {{log:q}}"


# A part of the campaign, as those in the Snakefile.
localrules:
    selection,


rule selection:
    input:
        made_by("select_shard"),
