rule evaluate_ensemble:
    input:
        **reads("evaluate_ensemble"),
    output:
        metrics=paths.metrics,
        predictions=paths.predictions,
    log:
        log_of("evaluate", "evaluate"),
    benchmark:
        benchmark_of("evaluate", "evaluate")
    threads: 2
    resources:
        **memory_of("evaluate_ensemble"),
        runtime=minutes_of("evaluate_ensemble"),
    params:
        config=paths.campaign,
        fingerprint=FORECAST["evaluate_ensemble"].rule.identity.fingerprint,
    message:
        "Evaluate the ensemble of {campaign.name} on its test split"
    shell:
        "mechscreen evaluate --config {params.config:q} --threads {threads} 2>&1 | log_to {log:q}"
