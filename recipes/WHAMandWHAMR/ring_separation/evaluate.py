"""Evaluation of a trained separator, and the pages that show it."""

from pathlib import Path

import runs
import selection
import torch
from release import make_release
from tqdm import tqdm

from speechbrain_ext.evaluation import (
    Example,
    ScoreTable,
    SeparationMetrics,
    available,
    course_over_epochs,
    match_mixture_level,
    residual_noise,
    residual_noise_against_snr,
    results_of,
    training_curves,
    write_report,
)
from speechbrain_ext.hub import publish_command
from speechbrain_ext.losses import align, pit, si_sdr

# what the headline compares with the stored figures
HEADLINE = {
    "si_sdri": "SI-SDR improvement",
    "residual_noise_db": "residual noise re speech",
}


def clean_improvement(estimates, mixtures):
    """SI-SDR improvement against the clean speech.

    Arguments
    ---------
    estimates : torch.Tensor
        Shape (batch, sources, time).
    mixtures : Mixtures
        What was separated.

    Returns
    -------
    improvement : torch.Tensor
        Shape (batch,), in dB, the mean over the sources.
    """
    speech = mixtures.speech
    after, _ = pit(si_sdr, estimates=estimates, targets=speech)
    before = si_sdr(estimate=mixtures.mixture.unsqueeze(1), target=speech)
    return after - before.mean(-1)


class Evaluation:
    """Runs a separator over a test set and keeps what came of it.

    Arguments
    ---------
    separator : torch.nn.Module
        Mixture (batch, time) to estimates (batch, sources, time).
    hparams : dict
        Of the hyperparameter file.
    sources : CorpusMixtures
        The test set, on the separator's device.
    """

    def __init__(self, separator, hparams, sources):
        # the bare module: only this process evaluates, and a DDP wrapper
        # would wait for the others to exchange buffers
        self.separator = separator.eval()
        self.hparams = hparams
        self.sources = sources
        self.known = hparams["clean_speech_known"]

    @torch.no_grad()
    def separate(self, description):
        """Yield ids, aligned estimates and mixtures, batch by batch."""
        bar = tqdm(self.sources.loader, desc=description, dynamic_ncols=True)
        for batch in bar:
            mixtures = self.sources.mix(batch)
            estimates = self.separator(mixtures.mixture)
            targets = mixtures.speech if self.known else mixtures.noisy
            _, permutation = pit(si_sdr, estimates=estimates, targets=targets)
            yield batch["id"], align(estimates, permutation), mixtures

    def score(self):
        """Scores of every utterance, and the first few as examples.

        Returns
        -------
        table, examples : ScoreTable, list of Example
        """
        rate = self.hparams["sample_rate"]
        noisy = self.known and self.hparams["snr_db"] is not None
        every, slow = (
            SeparationMetrics(sample_rate=rate, metrics=names)
            for names in choose_metrics(self.hparams)
        )
        table, examples = ScoreTable(), []
        for number, (ids, estimates, mixtures) in enumerate(
            self.separate("test")
        ):
            for k in range(len(ids)):
                name = f"{number:03d}_{ids[k]}+{ids[(k + 1) % len(ids)]}"
                name = name.replace("/", "-")
                targets = mixtures.speech if self.known else mixtures.noisy
                few = len(table) < 2 * self.hparams["dnsmos_mixtures"]
                rows = (slow if few else every)(
                    estimates=estimates[k],
                    targets=targets[k],
                    mixture=mixtures.mixture[k],
                    noise=mixtures.noise[k] if noisy else None,
                    utterance=name,
                )
                for source, row in enumerate(rows):
                    table.add(utterance=name, source=source, **row)
                if len(examples) < self.hparams["examples"]:
                    mixture = mixtures.mixture[k].cpu()
                    levelled = match_mixture_level(
                        estimates=estimates[k].cpu(), mixture=mixture
                    )
                    examples.append(
                        Example(
                            name=name,
                            mixture=mixture,
                            estimates=levelled,
                            references=targets[k].cpu(),
                            sample_rate=rate,
                            scores=rows,
                        )
                    )
        return table, examples

    def sweep(self):
        """Residual noise at other SNRs than those of the training.

        Returns
        -------
        points : list of dict
            "snr" and "level_db", the mean over the test set; none
            where there is no clean speech or no noise.
        """
        points = []
        if not self.known or self.hparams["snr_db"] is None:
            return points
        for snr in self.hparams["sweep_snr_db"] or []:
            self.sources.loader.dataset.snr_db = (snr, snr)
            levels = []
            for _, estimates, mixtures in self.separate(f"{snr:g} dB"):
                levels.append(
                    residual_noise(
                        estimates=estimates,
                        speech=mixtures.speech,
                        noise=mixtures.noise,
                    )["level_db"]
                )
            level = torch.cat(levels).nanmean().item()
            points.append({"snr": snr, "level_db": level})
        return points


def choose_metrics(hparams):
    """Decide what is measured.

    DNSMOS takes seconds for each source, so it is measured on the first few
    mixtures only; without clean references it is all there is, but for
    SI-SDR against the noisy ones.

    Returns
    -------
    every, slow : list of str, list of str
        Metrics of every mixture; of the first `dnsmos_mixtures`.
    """
    names = hparams["metrics"]
    if names is None:
        names = [name for name, there in available().items() if there]
    if not hparams["clean_speech_known"]:
        names = [name for name in names if name in ("si_sdr", "dnsmos")]
    return [name for name in names if name != "dnsmos"], names


def evaluate(brain, hparams, sources, arguments):
    """Score the selected checkpoint, write all results and print a summary.

    Arguments
    ---------
    brain : RingSeparation
        After fit; the checkpoint to judge is loaded.
    hparams : dict
        Of the hyperparameter file.
    sources : CorpusMixtures
        The test set.
    arguments : list of str
        Of the command line, for the model card.
    """
    folder = Path(hparams["output_folder"])
    evaluation = Evaluation(hparams["separator"], hparams, sources)
    table, examples = evaluation.score()
    points = evaluation.sweep()
    table.write_csv(folder / "utterances.csv")
    info = {
        "configuration": runs.configuration(hparams),
        "seed": hparams["seed"],
        "scer_weight": hparams["scer_weight"],
        "selection": hparams["selection"],
        "skipped_steps": brain.skipped_steps,
        "steps": brain.optimizer_step,
        "against": "clean speech" if evaluation.known else "noisy speech",
        "sweep": points,
    }
    table.write_json(folder / "metrics.json", info=info)
    if hparams["store_reference"]:
        runs.store_reference(hparams, info, table.summary())
    reference = runs.read_reference(hparams)
    blind = selection.blind_course(folder / "history.csv")
    plots = draw(folder, points, reference, blind)
    report(hparams, folder, table, plots, examples, reference)
    print_summary(table, reference, folder, info["against"])
    selection.print_selection(blind)
    release = make_release(hparams, table.summary(), arguments)
    print(f"Model to publish: {release}, by the command")
    print(f"  {publish_command(folder)}")


def draw(folder, points, reference, blind):
    """Draw the plots of the results page: a list of (path, caption)."""
    training_curves(folder / "training.png", history=folder / "history.csv")
    plots = [(folder / "training.png", "The course of the training.")]
    if blind:
        course_over_epochs(folder / "selection.png", curves=[blind])
        caption = (
            "SI-SNR that the blind estimator gives to the separated "
            "validation mixtures, epoch by epoch"
        )
        if blind["true"]:
            caption += ", and the clean SI-SDRi, which it does not see"
        plots.append((folder / "selection.png", caption + "."))
    if points:
        arms = [{"name": "this model", **columns(points)}]
        if reference and reference["sweep"]:
            name = f"stored, SCER weight {reference['scer_weight']:g}"
            arms.append({"name": name, **columns(reference["sweep"])})
        residual_noise_against_snr(folder / "residual_noise.png", arms=arms)
        caption = (
            "Residual noise of the estimates, relative to the speech in them, "
            "by the SNR of the sources."
        )
        plots.append((folder / "residual_noise.png", caption))
    return plots


def columns(points):
    """Turn a list of points into lists of their values."""
    return {key: [p[key] for p in points] for key in ("snr", "level_db")}


def report(hparams, folder, table, plots, examples, reference):
    """Write the results page, index.html."""
    against = "clean" if hparams["clean_speech_known"] else "noisy"
    notes = [
        f"Trained with {hparams['targets']} targets, mixing "
        f"{hparams['mixing']}, SCER weight {hparams['scer_weight']:g}, seed "
        f"{hparams['seed']}; checkpoint selected by {hparams['selection']}.",
        f"References of all figures: the {against} speech of the split "
        f"{hparams['test_split']}.",
    ]
    if reference and reference["differs"]:
        notes.append(
            "The stored figures belong to another configuration: "
            f"{', '.join(reference['differs'])} differ."
        )
    stored = reference["metrics"] if reference else None
    write_report(
        folder,
        title="Ring mixing",
        figures=results_of(table.summary(), references=stored),
        notes=notes,
        plots=plots,
        examples=examples,
        reference_name="Stored, without SCER",
    )


def print_summary(table, reference, folder, against):
    """Print the headline figures beside the stored ones."""
    summary = table.summary()
    head = f"against {against}"
    print(f"\n{head:28s}{'this run':>12s}{'stored':>12s}{'difference':>12s}")
    for name, label in HEADLINE.items():
        if name not in summary:
            continue
        line = f"{label:28s}{summary[name]['mean']:9.2f} dB"
        if reference:
            stored = reference["metrics"].get(name, float("nan"))
            difference = summary[name]["mean"] - stored
            line += f"{stored:9.2f} dB{difference:+9.2f} dB"
        print(line)
    if reference:
        print(
            "stored: the same configuration with SCER weight "
            f"{reference['scer_weight']:g}, seed {reference['seed']}"
        )
        if reference["differs"]:
            print(f"except for: {', '.join(reference['differs'])}")
    print(f"Model, figures and page with players: {folder}/index.html")
