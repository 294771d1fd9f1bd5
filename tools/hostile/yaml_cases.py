"""Model folders whose hyperparams.yaml wants more than a model needs."""

import os

from hostile import sizes
from hostile.bases import OURS, SEPARATOR, copy_base
from hostile.case import Case
from hostile.runners import load_model

CALLED = "canary_module.called [1]"
LINEAR = "speechbrain.nnet.linear.Linear"
SEQUENTIAL = "speechbrain.nnet.containers.Sequential"
PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"


def chain(first: str, line: str, count: int = 60) -> str:
    """Write lines of which each refers to the one before, {0} and {1}."""
    lines = [line.format(n - 1, n) for n in range(1, count)]
    return "\n".join([first, *lines])


# name: lines after a harmless file
APPENDED = {
    "apply": f"bad: !apply:{CALLED}",
    "apply of os.mkdir": "bad: !apply:os.mkdir [CANARY]",
    "apply of os.system": "bad: !apply:os.system ['mkdir CANARY']",
    "apply hidden": f"__bad: !apply:{CALLED}",
    "apply deep inside": f"good: [1, [2, {{a: !apply:{CALLED}}}]]",
    "apply as argument": f"bad: !new:torch.nn.Linear [!apply:{CALLED}, 1]",
    "apply as key": f"? !apply:{CALLED}\n: 1",
    "applyref": f"bad: !applyref:{CALLED}",
    "new of a stranger's class": "bad: !new:canary_module.Thing",
    "new of subprocess.Popen": "bad: !new:subprocess.Popen [[mkdir, CANARY]]",
    "new of a builtin": "bad: !new:builtins.eval ['1']",
    "name of a function": "bad: !name:canary_module.called",
    "name with arguments": "bad: !name:os.system {command: 'mkdir CANARY'}",
    "name of an inner attribute": "bad: !name:torch.nn.Linear.__init__",
    "module": "bad: !module:canary_module",
    "python object apply": f"bad: !!python/object/apply:{CALLED}",
    "python object new": "bad: !!python/object/new:canary_module.T {}",
    "python name": "bad: !!python/name:canary_module.called",
    "python module": "bad: !!python/module:canary_module",
    "python tuple": "bad: !!python/tuple [1, 2]",
    "python bytes": "bad: !!python/bytes aGVsbG8=",
    "python in parentheses": f"bad: (!!python/object/apply:{CALLED})",
    "escaped tag": "bad: !n%65w:canary_module.Thing",
    "verbatim tag": "bad: !<!new:canary_module.Thing>",
    "verbatim python tag": (
        "bad: !<tag:yaml.org,2002:python/object/apply:canary_module.called> [1]"
    ),
    "include": "bad: !include:other.yaml",
    "include outside": "bad: !include:../outside/secret.yaml",
    "include absolute": "bad: !include:/etc/passwd",
    "placeholder": "bad: !PLACEHOLDER",
    "attribute of a reference": "bad: !ref <Encoder.__class__>",
    "attribute of a copy": "bad: !copy <Encoder.__dict__>",
    "reference to itself": "bad: !ref <bad>",
    "references in a ring": "a: !ref <b>\nb: [!ref <c>]\nc: {x: !ref <a>}",
    "reference into itself": "bad: !ref <bad[x][x]>",
    "aliases that double": chain(
        "d0: &d0 [a, b]", "d{1}: &d{1} [*d{0}, *d{0}]"
    ),
    "an alias of itself": "bad: &a [*a]",
    "references that double": chain(
        "d0: [a, b]", "d{1}: [!ref <d{0}>, !ref <d{0}>]"
    ),
    "copies that double": chain(
        "d0: [a, b]", "d{1}: {{a: !copy <d{0}>, b: !copy <d{0}>}}"
    ),
    "texts that double": chain("d0: abc", "d{1}: !ref <d{0}>-<d{0}>"),
    "numbers that square": chain("d0: 9", "d{1}: !ref <d{0}> * <d{0}>"),
    "powers of powers": "bad: !ref 9**9**9**9**9",
    "left shifts": "bad: !ref 1 << 99999999999",
    "deep parentheses": f"bad: !ref {'(' * 5000}1{')' * 5000}",
    "deep sum": f"bad: !ref {'1+' * 20000}1",
    "deep minus": f"bad: !ref {'-' * 20000}1",
    "deep tuple": f"bad: ({'[' * 20000}{']' * 20000})",
    "division by zero": "bad: !ref 1 / 0",
    "text times a number": "bad: !ref 'a' * 999999999",
    "call in a sum": "bad: !ref __import__('os').mkdir('CANARY')",
    "comprehension in a sum": "bad: !ref '[x for x in <num_spks>]'",
    "many unclosed references": f"bad: !ref {'<' * 100000}",
    "many reference halves": "bad: !ref '" + "<a" * 50000 + "'",
    "long run of spaces in a reference": "bad: !ref <a" + " " * 100000 + "b>",
    "lists 30000 deep": "bad: " + "[" * 30000,
    "mappings 3000 deep": "bad: " + "{a: " * 3000,
    "blocks 900 deep": "\n".join(f"{' ' * n}a:" for n in range(900)),
    "sequences in one line": "bad:\n" + "- " * 30000 + "1",
    "many questions": "bad:\n  " + "? " * 30000,
    "100000 values": f"bad: [{'1,' * 100000}]",
    "number of 200000 digits": f"bad: {'9' * 200000}",
    "hexadecimal number of 200000 digits": f"bad: 0x{'f' * 200000}",
    "binary number": f"bad: 0b{'1' * 200000}",
    "sexagesimal number": f"bad: {'1:' * 50000}1",
    "float of 100000 digits": f"bad: 0.{'9' * 100000}e99999999",
    "key of 200000 characters": f"{'k' * 200000}: !apply:{CALLED}",
    "tag of 200000 characters": f"bad: !{'t' * 200000} 1",
    "value of 200000 characters": f"num_spks: {'v' * 200000}",
    "class name of 200000 characters": f"bad: !new:a.{'b' * 200000}",
    "python in a quoted tuple": f'bad: "(!!python/object/apply:{CALLED})"',
    "python in a tuple put together": (
        f'a: "!!python/object/apply:{CALLED}"\nbad: !ref (<a>)'
    ),
    "list in a tuple": "bad: ([1, 2], 3)",
    "mapping in a tuple": "bad: '({a: 1}, 3)'",
    "key that is a list": "? [1, 2]\n: 1",
    "forced key": "!!bool maybe: 1",
    "reference to nothing": "bad: !ref <nothing>",
    "reference that is a list": "bad: !ref [1]",
    "references into each other": (
        "a: !ref <b[x]>\nb: !ref <a[x]>\nbad: !ref <a[x][x]>"
    ),
    "references round and round": "a: !ref <b>\nb: !ref <a>\nbad: !ref <a[x]>",
    "references in a long chain": "\n".join(
        [*(f"d{n}: [!ref <d{n - 1}>]" for n in range(499, 0, -1)), "d0: 1"]
    ),
    "merge of a reference": "a: {b: 1}\nc:\n  <<: !ref <a>",
    "what an allowed module imports": (
        "bad: !new:speechbrain.lobes.models.dual_path.copy.deepcopy"
    ),
    "attribute of an allowed class": (
        "bad: !new:torch.nn.Linear.__init__.__globals__"
    ),
    "no dotted name": "bad: !new:print",
    "class looked up by name": (
        "bad: !new:speechbrain.lobes.models.dual_path.SBRNNBlock\n"
        "  input_size: 8\n  hidden_channels: 8\n  num_layers: 1\n"
        "  rnn_type: get_logger"
    ),
    "layer that is called": (
        f"bad: !new:{SEQUENTIAL}\n  input_shape: [1, 2]\n"
        "  layer: !name:canary_module.called"
    ),
    "layer of a layer": (
        f"bad: !new:{LINEAR} {{n_neurons: !new:torch.nn.ReLU }}"
    ),
    "text where a module is": f"bad: !new:{SEQUENTIAL}\n  layer: os",
    "argument of another class": (
        "bad: !new:torch.nn.ReLU {inplace: !new:torch.nn.ReLU }"
    ),
    "class where text is": (
        "bad: !new:speechbrain.lobes.models.dual_path.DPTNetBlock\n"
        "  d_model: 8\n  nhead: 1\n  activation: !new:torch.nn.ReLU"
    ),
    "too many arguments": (
        f"bad: !new:{LINEAR} [1, null, 1, true, null, true, cpu]"
    ),
    "argument that is no name": f"bad: !new:{LINEAR} {{'in features': 1}}",
    "binary": "bad: !!binary aGVsbG8=",
    "tag of another kind": "bad: !!int [1]",
    "a pretrainer inside": f"o: [{PRETRAINER} {{}}]",
    "terminal code in a key": '"\\e[2J\\e]0;owned\\a": !apply:os.getcwd []',
    "terminal code in a value": 'sample_rates: !apply:x.y ["\\e[2J"]',
    "terminal code in a class name": "bad: !new:a.%1B%5B2J",
    "terminal code in a reference": 'bad: !ref "<\\e[2Jx>"',
    "right to left mark in a class name": "bad: !new:a.b\u202e\u202dc",
    "C1 code in a loadable": 'x: !new:"\\x9b2J"',
    "number sign in a class name": "bad: !new:torch.nn.Lin\u0435ar [1, 1]",
    "key twice": "num_spks: 2",
    "key twice inside": f"o: {{a: 1, a: !apply:{CALLED}}}",
    "two documents": f"---\nbad: !apply:{CALLED}",
    "end of document, then another": f"...\n---\nbad: !apply:{CALLED}",
    "directive inside": "%TAG ! tag:yaml.org,2002:python/\n---\na: !x 1",
    "unknown tag": "bad: !evil 1",
    "set": "bad: !!set {a, b}",
    "ordered map": "bad: !!omap [a: 1]",
    "timestamp": "bad: !!timestamp 9999-99-99",
    "forced number": "bad: !!int ''",
    "forced truth": "bad: !!bool maybe",
    "forced float": "bad: !!float [1]",
    "not YAML": "bad: [1",
    "tab": "bad:\n\t- 1",
    "a second pretrainer": f"other: {PRETRAINER} {{collect_in: CANARY}}",
    "checkpointer that makes a folder": (
        "bad: !new:speechbrain.utils.checkpoints.Checkpointer\n"
        "  checkpoints_dir: CANARY"
    ),
    "class that downloads": (
        "bad: !new:speechbrain.lobes.models.huggingface_transformers.wav2vec2."
        "Wav2Vec2 {source: a/b, save_path: CANARY}"
    ),
    "torch.load": "bad: !new:torch.load [encoder.ckpt]",
    "torch.hub": "bad: !new:torch.hub.load ['a/b', 'c']",
    "billions of layers": "bad: !new:torch.nn.LSTM [8, 8, 2000000000]",
    "a layer of 40 GB": "bad: !new:torch.nn.Linear [100000, 100000]",
    "a layer without an end": "bad: !new:torch.nn.Linear [1.0e+30, 1]",
    "a layer of infinite size": "bad: !new:torch.nn.Linear [.inf, 1]",
    "a layer of no number": "bad: !new:torch.nn.Linear [.nan, 1]",
    "a layer of negative size": "bad: !new:torch.nn.Linear [-1, 1]",
    "a layer of true size": "bad: !new:torch.nn.Linear [true, 1]",
    "Sequential of many layers": (
        f"bad: !new:{SEQUENTIAL}\n  input_shape: [1, 8, 8]\n"
        + "\n".join(f"  l{n}: !new:torch.nn.ReLU" for n in range(3000))
    ),
    "trial runs of a wide batch": (
        f"bad: !new:{SEQUENTIAL}\n  input_shape: [100000, 100000, 8]\n"
        "  a: !name:speechbrain.nnet.linear.Linear\n    n_neurons: 8"
    ),
    "many trial runs": "\n".join(
        f"bad{n}: !new:{SEQUENTIAL}\n  input_shape: [10000, 2000, 8]\n"
        "  a: !name:speechbrain.nnet.linear.Linear\n    n_neurons: 8"
        for n in range(40)
    ),
    "windows of many GB": (
        "bad: !new:speechbrain.processing.features.STFT\n"
        "  sample_rate: 8000\n  win_length: 1000000000\n  n_fft: 2000000000"
    ),
    "transformer of many heads": (
        "bad: !new:speechbrain.lobes.models.dual_path.SBTransformerBlock\n"
        "  num_layers: 1000000\n  d_model: 8\n  nhead: 2"
    ),
}
# name: what is replaced by what
REPLACED = {
    **{
        f"sample rate {name}": ("sample_rate: 8000", f"sample_rate: {value}")
        for name, value in {
            "zero": "0",
            "negative": "-8000",
            "of 320 MHz": "320000000",
            "beyond 64 bits": "99999999999999999999",
            "true": "true",
            "text": "'8000'",
            "list": "[8000]",
            "null": "null",
            "infinite": ".inf",
            "not a number": ".nan",
            "with a fraction": "8000.5",
            "mapping": "{a: 8000}",
            "reference": "!ref <Encoder>",
        }.items()
    },
    "sample rate missing": ("sample_rate: 8000", "other_rate: 8000"),
    "two billion blocks": ("X: 2", "X: 2000000000"),
    "two billion repeats": ("R: 2", "R: 2000000000"),
    "twenty thousand blocks": ("X: 2", "X: 20000"),
    "kernel of two billion": ("P: 3", "P: 2000000001"),
    "dilation beyond 64 bits": ("X: 2", "X: 70"),
    "two billion channels": ("N: 8", "N: 2000000000"),
    "negative channels": ("H: 16", "H: -16"),
    "two billion sources": ("C: 2", "C: 2000000000"),
    "no sources": ("C: 2", "C: 0"),
    "a billion sources": ("num_spks: 2", "num_spks: 1000000000"),
    "number of sources none": ("num_spks: 2", "num_spks: 0"),
    "number of sources negative": ("num_spks: 2", "num_spks: -1"),
    "number of sources another": ("num_spks: 2", "num_spks: 5"),
    "number of sources text": ("num_spks: 2", "num_spks: two"),
    "stride zero": ("stride: 8", "stride: 0"),
    "stride of a billion": ("stride: 8", "stride: 1000000000"),
    "kernel zero": ("kernel_size: 16\n  out_channels: 8", "kernel_size: 0"),
    "norm looked up by name": ("norm_type: gLN", "norm_type: __import__"),
    "activation looked up by name": (
        "mask_nonlinear: relu",
        "mask_nonlinear: canary_module.called",
    ),
    "unknown argument": ("causal: false", "causality: false"),
    "argument that is a class": ("causal: false", "causal: !name:os.system"),
    "device argument": ("causal: false", "device: cuda"),
    "module missing": ("  decoder: !ref <Decoder>\n", ""),
    "modules under other names": (
        "modules:\n  encoder: ",
        "modules:\n  requires_grad_: ",
    ),
    "module with a terminal code": (
        "modules:\n  encoder: ",
        'modules:\n  "\\e[2Jencoder": ',
    ),
    "module that is text": ("  encoder: !ref <Encoder>", "  encoder: text"),
    "module that is a name": (
        "  encoder: !ref <Encoder>",
        "  encoder: !name:torch.nn.ReLU",
    ),
    "modules a list": ("modules:\n", "modules: [1]\nothers:\n"),
    "no modules": ("modules:\n", "others:\n"),
    "no pretrainer": ("pretrainer: ", "retrainer: "),
    "pretrainer not built": (f"pretrainer: {PRETRAINER}", "pretrainer:"),
    "another pretrainer": (PRETRAINER, "!new:canary_module.Pretrainer"),
    "no loadables": ("  loadables:\n", "  conditions:\n"),
    "loadable that leaves the folder": (
        "    encoder: !ref",
        "    ../encoder: !ref",
    ),
    "loadable with a terminal code": (
        "    encoder: !ref",
        '    "\\e[2J": !ref',
    ),
    "loadable of 100000 characters": (
        "    encoder: !ref",
        f"    {'e' * 100000}: !ref",
    ),
    "loadable of no module": (
        "    decoder: !ref <Decoder>",
        "    decoder: 1",
    ),
    "loadable with a NUL": ("    encoder: !ref", '    "enc\\0oder": !ref'),
}
# name: what is put into the pretrainer
PRETRAINED = {
    "path above": "paths: {encoder: ../outside/secret.ckpt}",
    "path above in the middle": "paths: {encoder: a/../../secret.ckpt}",
    "absolute path": "paths: {encoder: SECRET}",
    "home path": "paths: {encoder: ~/secret.ckpt}",
    "web address": "paths: {encoder: 'http://127.0.0.1:9/encoder.ckpt'}",
    "file address": "paths: {encoder: 'file://SECRET'}",
    "address of a share": "paths: {encoder: '//host/share/encoder.ckpt'}",
    "hub address": "paths: {encoder: 'hf://a/b/encoder.ckpt'}",
    "another repository": "paths: {encoder: someone/else/encoder.ckpt}",
    "backslashes": "paths: {encoder: '..\\outside\\secret.ckpt'}",
    "device": "paths: {encoder: /dev/zero}",
    "empty path": "paths: {encoder: ''}",
    "path a number": "paths: {encoder: 1}",
    "path a list": "paths: {encoder: [encoder.ckpt]}",
    "path with a NUL": 'paths: {encoder: "encoder.ckpt\\0"}',
    "path of 100000 characters": f"paths: {{encoder: {'a' * 100000}.ckpt}}",
    "hidden file": "paths: {encoder: .git/x.ckpt}",
    "other letters": "paths: {encoder: \u0435ncoder.ckpt}",
    "pattern": "paths: {encoder: '*.ckpt'}",
    "path to the card": "paths: {encoder: README.md}",
    "paths a list": "paths: [encoder.ckpt]",
    "hook": f"custom_hooks: {{encoder: !apply:{CALLED}}}",
    "hook by name": "custom_hooks: {encoder: !name:canary_module.called }",
    "collecting elsewhere": "collect_in: CANARY",
    "condition that is called": (
        "conditions: {encoder: !name:canary_module.called }"
    ),
    "condition that leaves a module empty": "conditions: {encoder: false}",
}
# those of the above that may as well be read as a text or number
ONLY_VALUES = {
    "left shifts",
    "powers of powers",
    "text times a number",
    "call in a sum",
    "comprehension in a sum",
    "deep minus",
    "hexadecimal number of 200000 digits",
    "binary number",
    "sexagesimal number",
    "float of 100000 digits",
    "Sequential of many layers",
    "another repository",
}
WHOLE = {
    "empty": b"",
    "NUL only": b"\0" * 1000,
    "a list": b"- 1\n- 2\n",
    "a text": b"hello",
    "a number": b"7",
    "tagged": b"!new:canary_module.Thing\na: 1",
    "tagged python": b"!!python/object/apply:canary_module.called [1]",
    "tag directive": b"%TAG !e! !new:\n---\na: !e!canary_module.Thing\n",
    "version directive": b"%YAML 9.9\n---\na: 1\n",
    "endless comment": b"#" * 5_000_000,
    "endless spaces": b"a:" + b" " * 5_000_000 + b"1",
    "300 kB of newlines": b"\n" * 300_000 + b"a: 1",
    "200 kB of colons": b":" * 200_000,
    "200 kB of quotes": b"a: " + b"'" * 200_001,
    "200 kB of escapes": b'a: "' + b"\\x1b" * 50_000 + b'"',
    "200 kB of percent signs": b"a: !" + b"%" * 200_000,
    "200 kB of ampersands": b"&" * 200_000,
    "not UTF-8": b"a: \xff\xfe\xff",
    "lone surrogate": b'a: "\\ud800"\n',
    "surrogate as bytes": b"a: \xed\xa0\x80\n",
    "binary": bytes(range(256)) * 100,
    "a zip archive": b"PK\x03\x04" + bytes(1000),
}


def with_text(text: str | bytes):
    """Make a maker of the folder with another hyperparams.yaml."""

    def make(place):
        path = copy_base(place)
        content = text.encode() if isinstance(text, str) else text
        content = content.replace(b"CANARY", os.fsencode(place.canary))
        secret = os.fsencode(place.outside / "secret.ckpt")
        path.write_bytes(content.replace(b"SECRET", secret))

    return make


def replaced(old: str, new: str, text: str = SEPARATOR) -> str:
    """Replace what must be there."""
    if old not in text:
        raise ValueError(f"{old!r} is not in the file")
    return text.replace(old, new, 1)


def cases() -> list[Case]:
    """List the cases."""
    added = dict(APPENDED)
    added |= {f"size: {name}": text for name, text in sizes.REFUSED.items()}
    added |= {f"together: {name}": text for name, text in sizes.LARGE.items()}
    texts = {name: f"{SEPARATOR}{text}\n" for name, text in added.items()}
    texts |= {name: replaced(*pair) for name, pair in REPLACED.items()}
    texts |= {
        f"{n}": f"{SEPARATOR}  {line}\n" for n, line in PRETRAINED.items()
    }
    texts |= {f"whole file: {name}": text for name, text in WHOLE.items()}
    texts["UTF-16"] = SEPARATOR.encode("utf-16")
    texts["NUL at the end"] = f"{SEPARATOR}\0"
    texts["control code"] = f"{SEPARATOR}bad: a\x07b\n"
    texts["ours: two billion blocks"] = replaced(
        "blocks: 2", "blocks: 2000000000", OURS
    )
    found = [
        Case(
            f"yaml: {name}",
            "model folder",
            with_text(text),
            load_model,
            "either" if name in ONLY_VALUES else "refused",
        )
        for name, text in texts.items()
    ]
    harmless = {
        "byte order mark": "\ufeff" + SEPARATOR,
        "CR LF": SEPARATOR.replace("\n", "\r\n"),
        "a merge": f"{SEPARATOR}bad: {{<<: {{a: 1}}, b: 2}}\n",
        "no extra rule": f"{SEPARATOR}other: [1, 2]\n",
        "a text in parentheses": f"{SEPARATOR}other: (1, 2)\n",
    }
    found += [
        Case(f"yaml: {n}", "model folder", with_text(t), load_model, "either")
        for n, t in harmless.items()
    ]
    found += [
        Case(
            f"yaml: harmless ({layout})",
            "model folder",
            lambda place, layout=layout: copy_base(place, layout),
            load_model,
            "loaded",
        )
        for layout in ("separator", "ours")
    ]
    return found
