# How the error falls with the number of training samples: a job for every size and network; only with `learning.sizes`.
rule train_on_samples:
    input:
        **reads("train_on_samples"),
    output:
        model=paths.learning / "samples-{samples}" / "member-{member}" / "model.keras",
        history=paths.learning / "samples-{samples}" / "member-{member}" / "history.csv",
        record=paths.learning / "samples-{samples}" / "member-{member}" / "member.json",
    log:
        log_of("learn", "samples-{samples}-member-{member}"),
    benchmark:
        benchmark_of("learn", "samples-{samples}-member-{member}")
    wildcard_constraints:
        samples=r"\d+",
        member=r"\d{1,2}",
    threads: 2
    resources:
        **memory_of("train_on_samples"),
        runtime=minutes_of("train_on_samples"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("train_on_samples"),
    message:
        "Train network {wildcards.member} on {wildcards.samples} samples of {campaign.name}"
    shell:
        "mechscreen train --config {params.config:q} --member {wildcards.member} --samples {wildcards.samples} "
        "--threads {threads} --time-limit {resources.runtime} 2>&1 | log_to {log:q}"


rule measure_learning:
    input:
        **reads("measure_learning"),
    output:
        summary=paths.learning_summary,
        figure=paths.learning_figure,
    log:
        log_of("learn", "learn"),
    benchmark:
        benchmark_of("learn", "learn")
    threads: 2
    resources:
        **memory_of("measure_learning"),
        runtime=minutes_of("measure_learning"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("measure_learning"),
    message:
        "Measure how the error of {campaign.name} falls with the number of training samples"
    shell:
        "mechscreen learn --config {params.config:q} --threads {threads} 2>&1 | log_to {log:q}"
