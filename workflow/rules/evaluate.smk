rule evaluate_ensemble:
    input:
        *in_round("evaluate_ensemble"),
        **in_first_round("evaluate_ensemble"),
    output:
        metrics=each_round(FIRST.metrics),
        predictions=each_round(FIRST.predictions),
    log:
        each_round(log_of("evaluate", "evaluate")),
    benchmark:
        each_round(benchmark_of("evaluate", "evaluate"))
    wildcard_constraints:
        round=ROUNDS,
    threads: 2
    resources:
        **memory_of("evaluate_ensemble"),
        runtime=minutes_of("evaluate_ensemble"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("evaluate_ensemble"),
    message:
        "Evaluate the ensemble of {campaign.name} on its test split"
    shell:
        "mechscreen evaluate --config {params.config:q} --threads {threads} "
        f"{OF_ROUND}2>&1 | log_to {{log:q}}"
