# What another campaign's ensemble selects for simulation; only in campaigns with a section `selection`.
rule select_shard:
    input:
        **reads("select_shard"),
    output:
        selected=paths.selection / "shard-{shard}.h5",
    log:
        log_of("select", "shard-{shard}"),
    benchmark:
        benchmark_of("select", "shard-{shard}")
    wildcard_constraints:
        shard=r"\d{5}",
    resources:
        **memory_of("select_shard"),
        runtime=minutes_of("select_shard"),
    params:
        config=paths.campaign,
        fingerprint=FORECAST["select_shard"].rule.identity.fingerprint,
    message:
        "Select shard {wildcards.shard} of {campaign.name}: {campaign.simulations.shard_size} parameter sets"
    shell:
        "mechscreen select --config {params.config:q} --shard {wildcards.shard} --threads {threads} "
        "2>&1 | log_to {log:q}"


# A part of the campaign, as those in the Snakefile.
localrules:
    selection,


rule selection:
    input:
        made_by("select_shard"),
