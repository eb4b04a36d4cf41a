if campaign.emulators.together:

    rule train_ensemble:
        input:
            unpack(
                lambda wildcards: reads_at_last(
                    "train_ensemble", f"{round_of(wildcards)}together"
                )
            ),
        output:
            # Members that are there and whole stay, of which an ensemble that grows is made.
            models=update(of_members("model.keras")),
            histories=update(of_members("history.csv")),
            records=update(of_members("member.json")),
        log:
            each_round(log_of("train", "together")),
        benchmark:
            each_round(benchmark_of("train", "together"))
        wildcard_constraints:
            round=ROUNDS,
        threads: 2
        resources:
            **memory_of("train_ensemble"),
            runtime=minutes_of("train_ensemble"),
        params:
            config=paths.campaign,
            fingerprint=fingerprint_of("train_ensemble"),
        message:
            "Train the {campaign.emulators.members} members of the {campaign.emulators.architecture.network} ensemble of {campaign.name} together"
        shell:
            "mechscreen train --config {params.config:q} --together --threads {threads} "
            "--time-limit {resources.runtime} "
            f"{OF_ROUND}2>&1 | log_to {{log:q}}"

else:

    rule train_member:
        input:
            unpack(
                lambda wildcards: reads_at_last(
                    "train_member",
                    f"{round_of(wildcards)}member-{wildcards.member}",
                )
            ),
        output:
            model=each_round(FIRST.emulators / "member-{member}" / "model.keras"),
            history=each_round(FIRST.emulators / "member-{member}" / "history.csv"),
            record=each_round(FIRST.emulators / "member-{member}" / "member.json"),
        log:
            each_round(log_of("train", "member-{member}")),
        benchmark:
            each_round(benchmark_of("train", "member-{member}"))
        wildcard_constraints:
            member=r"\d{1,2}",
            round=ROUNDS,
        threads: 2
        resources:
            **memory_of("train_member"),
            runtime=minutes_of("train_member"),
        params:
            config=paths.campaign,
            fingerprint=fingerprint_of("train_member"),
        message:
            "Train member {wildcards.member} of the {campaign.emulators.architecture.network} ensemble of {campaign.name}"
        shell:
            "mechscreen train --config {params.config:q} --member {wildcards.member} --threads {threads} "
            "--time-limit {resources.runtime} "
            f"{OF_ROUND}2>&1 | log_to {{log:q}}"
