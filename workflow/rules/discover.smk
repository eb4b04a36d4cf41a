from typing import get_args

from mechscreen.study import Figure

STUDY = str(study.root / "study.yaml")
SEEDS = {part.name: part.count for table in study.tables for part in study.parts(table)}
PARTS = [str(study.folder / f"{name}.json") for name in SEEDS]
CURVES = [str(study.folder / "actin" / f"{salt}.json") for salt in study.salts]
TABLES = [
    str(study.folder / f"{table}.{suffix}")
    for table in study.table_names
    for suffix in ("csv", "md")
]
FIGURES = [str(study.folder / "figures" / f"{name}.png") for name in get_args(Figure)]


wildcard_constraints:
    table="|".join(study.tables),
    row=r"[^/]+",
    method=r"[^/]+",
    first=r"\d{5}",
    salt="|".join(study.salts),
    figure="|".join(get_args(Figure)),


rule measure_part:
    output:
        part=study.folder / "{table}/{row}/{method}/seeds-{first}.json",
    log:
        log_of("discover", "{table}-{row}-{method}-{first}"),
    benchmark:
        benchmark_of("discover", "{table}-{row}-{method}-{first}")
    resources:
        mem_mb=scaled(3000),
        runtime=scaled(120),
    params:
        study=STUDY,
        part="{table}/{row}/{method}/seeds-{first}",
        seeds=lambda wildcards: SEEDS[
            f"{wildcards.table}/{wildcards.row}/{wildcards.method}/seeds-{wildcards.first}"
        ],
    message:
        "Discover {wildcards.row} by {wildcards.method}, seeds from {wildcards.first}"
    shell:
        "mechscreen discover --study {params.study:q} --part {params.part:q} 2>&1 | log_to {log:q}"


rule measure_actin:
    output:
        part=study.folder / "actin" / "{salt}.json",
    log:
        log_of("discover", "actin-{salt}"),
    benchmark:
        benchmark_of("discover", "actin-{salt}")
    resources:
        mem_mb=scaled(3000),
        runtime=scaled(60),
    params:
        study=STUDY,
        curves=lambda wildcards: study.actin.get(wildcards.salt),
    message:
        "Discover both models of actin with {wildcards.salt}"
    shell:
        "mechscreen discover --study {params.study:q} --part actin/{wildcards.salt:q} 2>&1 | log_to {log:q}"


rule gather_discovery:
    input:
        parts=PARTS,
        curves=CURVES,
    output:
        tables=TABLES,
    log:
        log_of("discover", "gather"),
    benchmark:
        benchmark_of("discover", "gather")
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(30),
    params:
        study=STUDY,
    message:
        "Gather the tables of {study.name}"
    shell:
        "mechscreen discover --study {params.study:q} --gather 2>&1 | log_to {log:q}"


rule draw_discovery:
    input:
        curves=CURVES,
    output:
        figure=study.folder / "figures" / "{figure}.png",
    log:
        log_of("discover", "figure-{figure}"),
    benchmark:
        benchmark_of("discover", "figure-{figure}")
    resources:
        mem_mb=scaled(3000),
        runtime=scaled(30),
    params:
        study=STUDY,
    message:
        "Draw figure {wildcards.figure}"
    shell:
        "mechscreen discover --study {params.study:q} --figure {wildcards.figure:q} 2>&1 | log_to {log:q}"
