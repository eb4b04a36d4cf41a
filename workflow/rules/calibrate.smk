# Probabilities of classes; only with `calibration.count`.
rule calibrate_ensemble:
    input:
        **reads("calibrate_ensemble"),
    output:
        paths.calibrated,
    log:
        log_of("calibrate", "calibrate"),
    benchmark:
        benchmark_of("calibrate", "calibrate")
    resources:
        **memory_of("calibrate_ensemble"),
        mpi="mpiexec",
        tasks=FORECAST["calibrate_ensemble"].tasks,
        runtime=minutes_of("calibrate_ensemble"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("calibrate_ensemble"),
    message:
        "Calibrate the probabilities of the ensemble of {campaign.name} with the {campaign.model.name} model"
    shell:
        "{resources.mpi} -n {resources.tasks} mechscreen calibrate --config {params.config:q} "
        "--ranks {resources.tasks} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"
