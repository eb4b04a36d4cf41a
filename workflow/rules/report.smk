from mechscreen.figures import figure_names, get_figure


rule draw_figure:
    input:
        unpack(lambda wildcards: reads("draw_figure", wildcards.figure)),
    output:
        figure=report(
            paths.figures / "{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_of("report", "{figure}"),
    benchmark:
        benchmark_of("report", "{figure}")
    wildcard_constraints:
        figure="|".join(figure_names(campaign)),
    resources:
        **memory_of("draw_figure"),
        runtime=minutes_of("draw_figure"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("draw_figure"),
        caption=lambda wildcards: get_figure(campaign, wildcards.figure).text,
    message:
        "Draw figure {wildcards.figure} of {campaign.name}"
    shell:
        "mechscreen report --config {params.config:q} --figure {wildcards.figure} 2>&1 | log_to {log:q}"


rule write_report:
    input:
        **reads("write_report"),
    output:
        report=report(
            paths.report,
            caption="../report/report.rst",
            category="Report",
            labels={"figure": "all, with numbers and tables"},
        ),
        summary=paths.summary,
    log:
        log_of("report", "report"),
    benchmark:
        benchmark_of("report", "report")
    resources:
        **memory_of("write_report"),
        runtime=minutes_of("write_report"),
    params:
        config=paths.campaign,
        fingerprint=fingerprint_of("write_report"),
    message:
        "Write the report of {campaign.name}"
    shell:
        "mechscreen report --config {params.config:q} 2>&1 | log_to {log:q}"
