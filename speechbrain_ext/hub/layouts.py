"""The layouts of folders that exist, and the keys that users rely on."""

from collections.abc import Mapping

from speechbrain_ext.console import printable
from speechbrain_ext.hub.allowed import (
    DECODER,
    ENCODER,
    MASKNETS,
    OURS,
    PAIR_ENCODERS,
    RECOGNISER,
    SEPARATORS,
    SEQUENTIAL,
    Real,
    describe,
    fits,
)
from speechbrain_ext.hub.document import Call
from speechbrain_ext.hub.refusal import RefusedError

# name of a module to the classes that it may be of
LAYOUTS: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {"separator": SEPARATORS},
    {
        "encoder": (ENCODER,),
        "masknet": tuple(MASKNETS),
        "decoder": (DECODER,),
    },
    {"encoder": PAIR_ENCODERS, "encoder_out": (SEQUENTIAL,)},
    {"predictor": (OURS + "SNRPredictor",)},
    {"recogniser": (RECOGNISER,)},
    {"joint": (OURS + "JointRecogniser",)},
)
KEYS = {
    "sample_rate": range(1000, 768_001),
    "num_spks": range(1, 17),
    "match_level": bool,
    "use_snr_compression": bool,
    "snrmin": Real(-1000, 1000),
    "snrmax": Real(-1000, 1000),
}
LONGEST_ALPHABET = 1000


def check_keys(hparams: Mapping[str, object]) -> None:
    """Check the values that users of a model rely on, where they are given.

    Arguments
    ---------
    hparams : Mapping
        The keys of hyperparams.yaml.

    Raises
    ------
    RefusedError
        If one is out of its range; the message names it.

    Example
    -------
    >>> check_keys({"sample_rate": 0})
    Traceback (most recent call last):
    ...
    speechbrain_ext.hub.refusal.RefusedError: hyperparams.yaml: sample_rate is
    0; it must be a whole number from 1000 to 768000
    """
    wanted = {key: describe(kind) for key, kind in KEYS.items()}
    wrong = [
        key
        for key in KEYS.keys() & hparams.keys()
        if hparams[key] is None or not fits(hparams[key], KEYS[key])
    ]
    if not wrong and {"snrmin", "snrmax"} <= hparams.keys():
        if not hparams["snrmin"] < hparams["snrmax"]:
            wrong, wanted["snrmax"] = ["snrmax"], "above snrmin"
    alphabet = hparams.get("alphabet", "a")
    if not (
        isinstance(alphabet, str)
        and 0 < len(alphabet) == len(set(alphabet)) <= LONGEST_ALPHABET
        and alphabet.isprintable()
    ):
        wrong.append("alphabet")
        wanted["alphabet"] = "a text of printable characters, each of them once"
    for key in sorted(wrong):
        value = printable(repr(hparams[key]), 100)
        raise RefusedError(
            f"hyperparams.yaml: {key} is {value}; it must be {wanted[key]}"
        )


def check_modules(plan: Mapping[str, object]) -> None:
    """Check that `modules` has one of the layouts, and fits its keys.

    Arguments
    ---------
    plan : Mapping
        Passed by `check_plan` and `check_keys`.

    Raises
    ------
    RefusedError
        If modules have other names or classes, or give another number of
        sources or characters than the keys say.
    ValueError
        If there are none.
    """
    modules = plan.get("modules")
    if not isinstance(modules, dict) or not modules:
        raise ValueError("hyperparams.yaml has no key modules with modules")
    layout = next((x for x in LAYOUTS if x.keys() == modules.keys()), None)
    if layout is None:
        known = "; ".join(" and ".join(item) for item in LAYOUTS)
        raise RefusedError(
            f"hyperparams.yaml: the modules {printable(sorted(modules), 200)} "
            f"are none of the layouts that are known: {known}"
        )
    for name, module in modules.items():
        if not isinstance(module, Call) or module.kind != "!new:":
            raise RefusedError(
                f"hyperparams.yaml: modules[{name!r}] is not built in this file"
            )
        if module.name not in layout[name]:
            raise module.place.refuse(
                f"{module.name} is no {name}", f"Known: {layout[name]}."
            )
        check_outputs(module, plan)


def check_outputs(module: Call, plan: Mapping[str, object]) -> None:
    """Check that a module gives as many sources or tokens as the keys say."""
    recogniser = module.keywords.get("recogniser", module)
    for call, argument, wanted in (
        (module, MASKNETS.get(module.name), plan.get("num_spks", 2)),
        (recogniser, "num_tokens", len(plan.get("alphabet", "")) + 1),
    ):
        given = call.keywords.get(argument, wanted)
        if given != wanted and ("alphabet" in plan or argument != "num_tokens"):
            raise call.place.refuse(
                f"{argument} is {given}, and the keys of the file ask for "
                f"{wanted}"
            )
