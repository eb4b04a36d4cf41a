"""The figures of a campaign's report: what each shows, what it is drawn from, and how its arrays come from the results.

Imports nothing heavy; the modules that draw are imported when they are needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen.figures import CampaignFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mechscreen.campaign import Campaign
    from mechscreen.reports.results import Results


class _OfEmulators(CampaignFigure):
    """A figure that tells of emulators."""

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether the campaign has any."""
        return not campaign.by_model


class Hits(_OfEmulators):
    """Hits and what the model makes of them."""

    title = "Hits and what the model makes of them"
    text = (
        "Emulated profiles of hits (orange, dashed) and the model's own simulations of the same parameters (black); "
        "bands, where they are drawn, are to hold 90 % of the model's values. "
        "They are taken at equal steps from the least to the largest error of all validated hits, so that the last "
        "are the worst. Ticked: the model confirms the hit, with the class that was emulated; all others "
        "have a cross and a red title. Where a profile runs along a radius, the disc beside it shows it from above: "
        "left half emulated, right half simulated, bright where the value is high. Fields stand side by side, in the "
        "same colours; of numbers, the ring is emulated and the dot in it, or beside it, simulated."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the validated hits, and what has the bands of emulators."""
        found: dict[str, Path | list[Path]] = {"hits": campaign.paths.validation_hits}
        return found if campaign.by_model else found | {"metrics": campaign.paths.metrics}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import hits

        found, shown = results.hits, results.hit_pairs()
        error, stands = found.rmse, found.stands
        figure = hits.draw(shown, error, results.verdicts, stands)
        return figure, hits.caption(error, stands, shown)


class Again(Hits):
    """Hits of a screen by the model, simulated again."""

    title = "Hits, simulated again with other seeds"
    text = (
        "Hits as the screen simulated them (orange, dashed), and as the model simulates them again with other seeds "
        "(black). They are taken at equal steps from the least to the largest difference, so that the last are those "
        "that chance decides most. Ticked: the difference is within the limit and the class is the same. Of a model "
        "that takes no account of seeds the two are one. Where a profile runs along a radius, the disc beside it shows "
        "it from above: left half in the screen, right half again."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether the screen is by the model."""
        return campaign.by_model


class Corner(CampaignFigure):
    """Hits over the parameters that matter most."""

    title = "Hits over the parameters that matter most"
    text = (
        "Diagonal: the share of the hits in each step along a parameter (blue), and of all screened sets (dashed). "
        "Below: the hits over every two parameters, dark where there are many. Above: how two parameters go together "
        "among the hits (Spearman's rank correlation; blue is negative, red positive). Parameters over decades have "
        "logarithmic axes. First stands what matters most: along which the hits differ most from all that was "
        "screened, or that is tied most to another parameter."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether there are parameters that can go together."""
        return len(campaign.screen_space.varied) > 1

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the hits of the screen, and its summary, which has where all samples lie."""
        return {"hits": campaign.paths.screen_hits, "summary": campaign.paths.screen_summary}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import corner, planes

        some, varied = results.sampled, results.varied
        values = some.parameters[:, list(results.campaign.screen_space.varied)]
        priors = planes.along(results.target_planes[1], len(varied))
        figure = corner.draw(varied, values, priors)
        return figure, corner.caption(varied, values, priors, some.found)


class Planes(CampaignFigure):
    """Where the target lies in parameter space."""

    title = "Where the target lies in parameter space"
    text = (
        "A panel for every two parameters. The colour is the density of the target relative to all samples of the "
        "screen: 1 is as frequent as on the whole, 3 is three times as frequent, 0 is absent. The diagonal shows "
        "the same for each parameter alone, with a dashed line at 1. Axes run over the campaign's range of a "
        "parameter, whose ends are marked."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether the screen varies another number of parameters than two."""
        return len(campaign.screen_space.varied) != 2

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the summary of the screen."""
        return {"summary": campaign.paths.screen_summary}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import planes

        target, total = results.target_planes
        arguments = (results.varied, target, total, results.target)
        return planes.draw(*arguments), planes.caption(*arguments)


class Plane(CampaignFigure):
    """The classes over the two parameters that vary."""

    title = "The classes over the two parameters that vary"
    text = (
        "Colour: the class that most samples of a cell have; white: no sample. The legend has their shares of all "
        "samples. Dashed: a least-squares line through the target's samples; of four (either parameter over the other, "
        "or over its inverse) the one that explains the means in the bins best."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether the screen varies two parameters alone."""
        return len(campaign.screen_space.varied) == 2

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the summary of the screen."""
        return {"summary": campaign.paths.screen_summary}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import plane
        from mechscreen.figures.text import number

        counts = results.screen.planes[:, 0]
        x, y = results.varied
        relation = None
        if results.relations:
            x, y, relation = results.relations[0]
            counts = counts if x is results.varied[0] else counts.swapaxes(1, 2)
        held = ", ".join(f"{p.name} {number(p.low)}" for p in results.campaign.screen_space if p.fixed)
        figure = plane.draw(x, y, counts, results.classes, relation)
        return figure, plane.caption(x, y, counts, results.target, relation, held)


class Marginals(CampaignFigure):
    """The classes along each parameter."""

    title = "The classes along each parameter"
    text = (
        "Frequency of each class along each parameter, relative to its frequency on the whole (dashed: 1). A class "
        "that does not depend on a parameter stays on the dashed line."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the summary of the screen."""
        return {"summary": campaign.paths.screen_summary}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import planes

        counts, names = results.screen.planes, results.class_names
        figure = planes.draw_marginals(results.varied, counts, names, results.objective)
        return figure, planes.marginals_caption(counts, names)


class Features(_OfEmulators):
    """Features of the hits over parameter space."""

    title = "Features of the hits over parameter space"
    text = (
        "A row for each feature, with the planes of two parameters over which it varies most. Colour: the median of "
        "what the emulators say of the hits of a cell; pink: most of them do not have the feature; white: fewer than "
        "three hits. Where one parameter varies alone, every hit is a point."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether there are features."""
        return super().suits(campaign) and len(campaign.features) > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the hits of the screen, and their numbers."""
        return {"hits": campaign.paths.screen_hits, "summary": campaign.paths.screen_summary}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import features

        some = results.sampled
        parameters = some.parameters[:, list(results.campaign.screen_space.varied)]
        values = dict(zip(results.campaign.features.labels, some.features.values(), strict=True))
        figure = features.draw(results.varied, parameters, values)
        return figure, features.caption(values, len(some), some.found, results.target)


class FeatureAccuracy(_OfEmulators):
    """Features of the hits, emulated against simulated."""

    section = "sure"
    title = "Features of the hits, emulated against simulated"
    text = (
        "Every validated hit that has the feature both ways: blue where the model confirms it with the class that was "
        "emulated, else a red cross. Between the dotted lines the emulators are off by 10 % of the simulated value at "
        "most."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether there are features."""
        return super().suits(campaign) and len(campaign.features) > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the validated hits."""
        return {"hits": campaign.paths.validation_hits}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import features

        both = dict(zip(results.campaign.features.labels, results.hit_features.values(), strict=True))
        return features.draw_pairs(both, results.hits.stands), features.pairs_caption(both)


class Accuracy(_OfEmulators):
    """Emulated against simulated values."""

    section = "sure"
    title = "Emulated against simulated values"
    text = (
        "Test split, which no network has seen. Of profiles, left: every point of every profile, each profile divided"
        " by its own maximum; the colour counts the points of a cell; right: the logarithm of those maxima. Of other "
        "outputs, a panel for each, every value; R² is about the mean at each point. A perfect emulator stays on the "
        "line."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the predictions of the test split, and the figures on them."""
        return {"predictions": campaign.paths.predictions, "metrics": campaign.paths.metrics}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import accuracy

        test, outputs = results.predictions, results.outputs
        if outputs.are_profiles:
            arrays = (test.profiles, test.predicted_profiles, test.log_peaks, test.predicted_log_peaks)
            return accuracy.draw(*arrays, outputs), accuracy.caption(*arrays)
        shown = results.test_pairs()
        r_squared = [results.r_squared(output) for output in outputs]
        return accuracy.draw_each(shown, r_squared), accuracy.caption_each(shown, r_squared)


class Profiles(_OfEmulators):
    """Example profiles of the test split."""

    section = "sure"
    title = "Example profiles of the test split"
    text = (
        "Simulations (black), their emulations (orange, dashed) and, where they are drawn, bands that hold 90 % of all "
        "simulated values. From left to right stand the samples of the least error, the quartiles and the largest "
        "error of each row, so that no column is a choice of good examples."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether there are emulators, and an output is more than a number."""
        return super().suits(campaign) and any(output.view != "number" for output in campaign.outputs)

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the predictions of the test split, their bands, and the manifest, which has the units of errors."""
        paths = campaign.paths
        return {"predictions": paths.predictions, "metrics": paths.metrics, "manifest": paths.manifest}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import profiles

        places = [k for k, output in enumerate(results.outputs) if output.view != "number"]
        test, shown = results.predictions, results.test_pairs(places)
        errors = results.distance.by_output(
            test.profiles, test.log_peaks, test.predicted_profiles, test.predicted_log_peaks
        )
        figure = profiles.draw(shown, errors[:, places], test.labels, results.classes)
        return figure, profiles.caption(test.labels, results.classes, shown)


class Patterns(_OfEmulators):
    """What outputs there are."""

    title = "What patterns there are"
    text = (
        "What the ensemble predicts of random parameter sets, whatever is looked for, in groups of what is alike "
        "(k-means; the share of all sets in each): black is the set in the middle of a group, grey are some others of "
        "it. Then what is unlike all that stands before it, however rare: the share of the sets that are nearer to it "
        "than to all else that is shown. These are predictions; a simulation says whether a rare one is real."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return what comes with the evaluation."""
        return {"metrics": campaign.paths.metrics}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import patterns, style

        if results.patterns is None:
            return style.message(
                "Not there: call mechscreen evaluate --config campaign.yaml in the folder of results."
            ), "Not looked for."
        found = results.shown_patterns()
        return patterns.draw(found), patterns.caption(found)


class Disagreement(_OfEmulators):
    """Disagreement of the members against error."""

    section = "fails"
    title = "Disagreement of the members against error"
    text = (
        "Disagreement of the ensemble's members, which the screen knows, against the error of the ensemble, which "
        "only a simulation can tell; both are RMSE, as under “Outputs”. Grey: test samples. Black: means of 15 bins, "
        "equally wide on the logarithmic axis, with standard errors (none where a bin holds one sample)."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the predictions of the test split."""
        return {"predictions": campaign.paths.predictions}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import disagreement

        test = results.predictions
        limit = None if results.campaign.asks_probabilities else results.campaign.screen.disagreement_limit
        arguments = (test.disagreement, test.error, limit)
        return disagreement.draw(*arguments), disagreement.caption(*arguments)


class Calibration(_OfEmulators):
    """How reliable probabilities are."""

    section = "sure"
    title = "Are probabilities what they say?"
    text = (
        "How often parameter sets are of a class, by simulations that no network has seen, over the probability that "
        "the ensemble's members give it: on the diagonal both are the same. Each mark stands for as many simulations "
        "of probability above 0.05, with the standard error of their share. Probabilities were judged by calibrations "
        "that do not know these simulations (five parts, each left out in turn)."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether probabilities are asked for."""
        return super().suits(campaign) and campaign.asks_probabilities

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the calibration."""
        return {"calibration": campaign.paths.calibrated}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import calibration

        found = results.calibration
        arguments = (found.judged, found.labels, found.weights, results.classes)
        return calibration.draw(*arguments), calibration.caption(*arguments)


class Confidence(_OfEmulators):
    """What another confidence would keep."""

    section = "missed"
    title = "What another confidence would keep"
    text = (
        "How many of the hits are right over how many of the target they are, if sets were kept from one probability "
        "on or another: from the most probable ones alone (left) to all that may be hits (right); with 95 % intervals "
        "if the calibration holds. Diamond: what this screen keeps (`screen.confidence`)."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether all that was screened was surveyed."""
        return super().suits(campaign) and campaign.surveyed > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the survey."""
        return {"survey": campaign.paths.survey}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import confidence
        from mechscreen.strata import Strata

        found = results.surveyed
        assert found is not None
        arguments = (Strata(found.sizes, found.looked, found.found), found.expected, found.least, found.kept)
        return confidence.draw(*arguments), confidence.caption(*arguments)


class Rounds(_OfEmulators):
    """What each round of learning brought."""

    section = "made"
    title = "What each round of learning brought"
    text = (
        "Mean RMSE of the ensemble on the test split, which is the same random sample in all rounds, and mean "
        "disagreement of its members there; at the marks, the samples that they learnt from. In each round after the "
        "first, the ensemble of the round before selected what was simulated."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether there are several rounds."""
        return super().suits(campaign) and campaign.own_rounds > 1

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return what was measured of each round's ensemble."""
        rounds = [view.paths for view in campaign.in_rounds]
        return {"metrics": [paths.metrics for paths in rounds], "manifests": [paths.manifest for paths in rounds]}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import rounds

        found = [one for one in results.rounds if one.metrics.ensemble.rmse is not None]
        samples = [one.manifest.samples["train"] for one in found]
        error = [float(one.metrics.ensemble.rmse or 0.0) for one in found]
        arguments = (samples, error, [one.metrics.disagreement.mean for one in found])
        return rounds.draw(*arguments), rounds.caption(*arguments)


class Fits(CampaignFigure):
    """Measured data, and what the sets say that explain them."""

    title = "What was measured, and what the sets say that explain it"
    text = (
        "Measurements with their standard deviations (black; none where the noise is of a logarithm), the model with "
        "the parameter set that fits best, and bands in which the model lies for half and for 95 % of the draws of the "
        "posterior: of what the parameters leave open, without the noise of a further measurement."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether sets are looked for that explain measured data."""
        return campaign.matches and campaign.searches > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the best sets and the draws."""
        found: dict[str, Path | list[Path]] = {"polished": campaign.paths.polished}
        return found | {"posterior": campaign.paths.posterior} if campaign.drawn else found

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import fits

        measured = results.measured()
        return fits.draw(measured), fits.caption(measured)


class Largest(CampaignFigure):
    """The largest values that were found, and where."""

    title = "The largest values, and where they are"
    text = (
        "Left: simulated values of what the searches found; of one expression over what valued the sets in the search, "
        "which is the same on the grey line, of two the one over the other, with the front (black): sets of which none "
        "is better in both. Right: where the best sets, or those of the front, lie within the ranges that were "
        "screened; dark is the largest value of the first expression."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether the largest values are looked for."""
        return campaign.maximises and campaign.searches > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return what the searches found, and the hits."""
        return {"polished": campaign.paths.polished, "hits": campaign.paths.validation_hits}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import largest

        found = results.found_largest()
        return largest.draw(found), largest.caption(found)


class Parameters(CampaignFigure):
    """How well parameters are known."""

    title = "How well the data determine each parameter"
    text = (
        "Credible intervals of each parameter within the range that was screened (grey; its ends stand beside it), in "
        "decades where the parameter is. A parameter has no lower or no upper bound where its posterior reaches that "
        "end of the range: there the range, and not the data, says how far it goes."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether a posterior is sampled."""
        return campaign.drawn > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the best sets and the draws."""
        return {"polished": campaign.paths.polished, "posterior": campaign.paths.posterior}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import posterior

        assert results.known is not None
        assert results.polished is not None
        space, best = results.campaign.screen_space, results.polished.parameters[0]
        shown = [
            posterior.Shown(space[name], about.quantiles, about.known, float(best[space.names.index(name)]))
            for name, about in results.known.parameters.items()
        ]
        return posterior.draw(shown), posterior.caption(shown)


class Robustness(_OfEmulators):
    """How far parameters of hits may move."""

    title = "How robust hits are"
    text = (
        "How far each parameter of a hit may move alone, down and up along its axis, before the ensemble says that the "
        "behaviour is lost: medians of the hits (dots), and where 80 % of them lie (lines). The "
        "parameter on top is the one that may move least."
    )

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether that is asked for."""
        return super().suits(campaign) and campaign.validation.robustness > 0

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return what was seen."""
        return {"robustness": campaign.paths.robustness}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import robustness

        found, space = results.robustness, results.campaign.screen_space
        assert found is not None
        arguments = ([space[space.names[k]].label for k in found.varied.tolist()], found.kept, found.whole)
        return robustness.draw(*arguments), robustness.caption(*arguments)


class Novelty(_OfEmulators):
    """How good, and how new, the hits are."""

    title = "How good, and how new, the hits are"
    text = (
        "Left: RMSE between what was emulated of each validated hit and what the model says; dashed is the limit up to "
        "which a curve counts as met. Right: RMSE between the simulation of each confirmed hit and the sample of the "
        "training split that is nearest to it; small values are what the simulations held already."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the validated hits."""
        return {"hits": campaign.paths.validation_hits}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import novelty

        found = results.hits
        arguments = (
            found.rmse,
            found.nearest_distance[found.confirmed],
            results.campaign.validation.rmse_limit,
        )
        return novelty.draw(*arguments), novelty.caption(*arguments)


class Training(_OfEmulators):
    """Training."""

    section = "made"
    title = "Training"
    text = (
        "Loss on the training split while the weights change, and errors on the validation split at the end of each"
        " epoch. A circle marks the epoch whose weights are kept, the one of the least RMSE."
    )

    @classmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the members' histories."""
        return {"histories": [campaign.paths.member(k) / "history.csv" for k in range(campaign.emulators.members)]}

    @classmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return picture and caption."""
        from mechscreen.figures import training

        return training.draw(results.histories), training.caption(results.histories)
