"""Secrets and places of one machine do not get into what is published."""

import pytest
from huggingface_hub import ModelCard

from speechbrain_ext.hub import Card, Metric, training_command
from speechbrain_ext.hub.redaction import redact, redact_option, require_public

# joined, because no file of the project may name such a place
HOME, MAC = [
    "/".join(["", *words]) for words in (["home", "anna"], ["Users", "Bob"])
]
ORDINARY = {
    "urls": "https://github.com/a/b, https://example.org/home/page/x?y=1.",
    "repositories": "me/ring-sepformer and speechbrain/sepformer-wsj02mix",
    "dates": "from 2026/11/29 to 2026-11-30",
    "slashes": "and/or, 1/2, 3 dB / octave, km/h, w/o, +/-3 dB, SI-SDR/SNR",
    "about": "~5 dB, ~3/4 of all, ~half",
    "counts": "token error rate: 12, num_tokens: 29, --token_share=0.2",
    "keys": "The key: C major; the key: Improvement, keyword: noise",
    "sounds": "the sounds /s/, /ah/ and /k/ at 10 /s",
    "identifiers": "from huggingface_hub import hf_hub_download, hf_transfer",
    "words": "risk-based-approach-2020, task-12345678, sk-learn",
    "python": 'load_folder("me/ring", token=token); sorted(x, key=len)',
    "environment": 'token=os.environ["HF_TOKEN"], HF_TOKEN=$HF_TOKEN',
    "usage": "python train.py hparams/x.yaml [--key=value ...]",
    "sentences": "Bearer tokens are not needed; use --token to log in",
    "html": "<p>a</p> <br/>",
    "yaml": "save: !ref <output_folder>/save\nhalf: !ref <n>/2\n- [50.0, ~]",
    "tags": "separator: !new:torch.nn.Sequential\nblank_token: <unk>",
    "addresses": "git+ssh://git@github.com/x/y and s3://bucket/a/b",
    "inner": "data/clips, ./a/b, a/../b, ... and .../x",
    "latex": "\\url{https://arxiv.org/abs/2604.08415} {\\\"o} \\'e \\\\",
    "names": "tokenizer=bpe1000, sentencepiece_token_type: bpe5000",
    "counted": "secret_token_count = 17, password_length=12, monkey_bars: 3a4",
    "prose": "The secret: practice. Our secrets: patience and data",
    "links": "[a](/docs/readme.md), [b](/a/b/c#d) <a href=x>/docs/a</a>",
    "phonemes": "as /t͡ʃ/ in chip, /d͡ʒ/ and /ˈɑː/",
    "null": "python train.py 2>/dev/null </dev/stdin",
    "users": "ssh://git@example.org/x, mailto:a@example.org, npm_config_cache",
    "packages": "pypi-publish, a?page=2&signed=yes, a*/b, x_/y",
    "unicode": "10 dB, naïve, 日本語/英語, 👩‍🔬",
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_text_stays(kind):
    assert redact(ORDINARY[kind]) == ORDINARY[kind]


PLACES = {
    "home": (f"see {HOME}/clips.", "see DIR."),
    "home_alone": (HOME, "DIR"),
    "mac": (f"`{MAC}/a`, **{MAC}**", "`DIR`, **DIR**"),
    "list": (f"--include=[{HOME}/b/*]", "--include=[DIR]"),
    "two": (f"[{HOME}/a, {MAC}/b]", "[DIR, DIR]"),
    "override": ("--network={path: /x}", "--network={path: DIR}"),
    "absolute": ("of /data/a(b)/c and (/srv/x)", "of DIR and (DIR)"),
    "short": ("in /data.", "in DIR."),
    "glob": ("/srv/x/[0-9]*.wav", "DIR"),
    "letters": ("in /données/été x", "in DIR x"),
    "double": ("//proc/self/cwd", "DIR"),
    "tilde": ("~/clips and ~anna/clips", "DIR and DIR"),
    "variable": ("$HOME/a ${HOME}/b %USERPROFILE%\\c", "DIR DIR DIR"),
    "file_url": (f"file://{HOME}/a and file:/b", "DIR and DIR"),
    "windows": (r"C:\Users\bob\x, D:/x/y", "DIR, DIR"),
    "share": (r"\\server\share\x", "DIR"),
    "out": ("../../name/clips and a/../../b", "DIR and DIR"),
    "out_windows": (r"..\..\name", "DIR"),
    "redirected": ("2>/data/jane/log </srv/a/b", "2>DIR <DIR"),
    "bold": ("**/data/jane** and _/scratch/jane/x_", "**DIR** and _DIR_"),
    "link": (f"[a]({HOME}/x.md)", "[a](DIR)"),
    "working": ("pwd=/data/jane", "pwd=DIR"),
    "search_path": (f"PATH={HOME}/bin:{HOME}/b", "PATH=DIR"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_places_become_dir(kind):
    text, expected = PLACES[kind]
    assert redact(text) == expected
    assert redact(expected) == expected


def test_home_folder_of_any_name(monkeypatch):
    home = "/srv/people/Anna Maria"
    monkeypatch.setenv("HOME", home)
    assert redact(f"in {home}/clips and {home}.") == "in DIR and DIR."
    assert redact(f"see https://a.org{home}") == f"see https://a.org{home}"


SECRETS = {
    "hugging_face": ("use hf_abcdEFGH12 here", "use *** here"),
    "lower": ("hf_" + "a" * 34, "***"),
    "openai": ("sk-abc123def, sk-proj-abcdefghijklmnop", "***, ***"),
    "github": ("ghp_" + "a1" * 18, "***"),
    "amazon": ("id AKIAIOSFODNN7EXAMPLE", "id ***"),
    "bearer": (
        "Authorization: Bearer abc.def-1234",
        "Authorization: Bearer ***",
    ),
    "user": ("https://user:pass@host/x", "https://***@host/x"),
    "user_at": ("postgres://u:p@ss@host:1/x", "postgres://***@host:1/x"),
    "option": ("--hub_token=12345 --lr=1e-4", "--hub_token=*** --lr=1e-4"),
    "two_words": ("--password hunter2", "--password ***"),
    "quoted": ("--password='a b'", "--password='***'"),
    "environment": ("HF_TOKEN=abcdef python", "HF_TOKEN=*** python"),
    "override": ("{api_key: abc, n: 2}", "{api_key: ***, n: 2}"),
    "line": ("password: hunter", "password: ***"),
    "json": ('"token": "abcdefgh"', '"token": "***"'),
    "query": ("a?access_token=abc123&x=1", "a?access_token=***&x=1"),
    "user_alone": (
        "https://abcDEF123@host/x http://me@host",
        "https://***@host/x http://***@host",
    ),
    "npm": ("npm_" + "aB3" * 12, "***"),
    "pypi": ("pypi-AgEIcHlwaS5vcmcCJDU0", "***"),
    "google": ("ya29.a0AfH6SMBx-1", "***"),
    "organization": ("api_org_" + "aB" * 17, "***"),
    "authorization": (
        "Authorization: Token 9944b0",
        "Authorization: Token ***",
    ),
    "pwd": ("pwd=hunter passwd=hunter2", "pwd=*** passwd=***"),
    "signed": (
        "https://a.org/b?sig=aB%2F&x=1&token=abc#c",
        "https://a.org/b?sig=***&x=1&token=***#c",
    ),
    "amazon_signature": ("a?X-Amz-Signature=abcd", "a?X-Amz-Signature=***"),
    "hook": (
        "https://hooks.slack.com/services/T00/B00/XX",
        "https://hooks.slack.com/services/***",
    ),
    "several": ("api_keys: abc1", "api_keys: ***"),
    "secret": ("my_secret=abc", "my_secret=***"),
    "private_key": (
        "-----BEGIN RSA PRIVATE KEY-----\na\n-----END RSA PRIVATE KEY-----\nx",
        "***\nx",
    ),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_become_stars(kind):
    text, expected = SECRETS[kind]
    assert redact(text) == expected
    assert redact(expected) == expected


OPTIONS = {
    "spaces": ("--data=/my data/x y", "--data=DIR"),
    "list": (f"--include=[{HOME}/a b/*, ../c d]", "--include=[DIR,DIR]"),
    "mapping": ("--network={path: /x y, n: 2}", "--network={path: DIR, n: 2}"),
    "home": ("--data=~", "--data=DIR"),
    "parent": ("--data=..", "--data=DIR"),
    "windows": (r"C:\my clips", "DIR"),
    "password": ("--password=a b", "--password=***"),
    "inner_key": ("--x={api_key: a b, p: 1}", "--x={api_key: ***, p: 1}"),
    "number": ("--learning_rate=1e-4", "--learning_rate=1e-4"),
    "inside": ("--data_folder=data/clips", "--data_folder=data/clips"),
    "count": ("--num_tokens=29", "--num_tokens=29"),
    "text": ("--x=a b", "--x=a b"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_of_a_command(kind):
    option, expected = OPTIONS[kind]
    assert redact_option(option).replace(", ", ",") == expected.replace(
        ", ", ","
    )


def test_command_is_for_others_to_read(tmp_path):
    command = training_command(
        ["a.yaml", "--data", "/my data", "--hf_token", "abc", "--epochs=2"],
        root=tmp_path,
    )
    end = "a.yaml --data DIR --hf_token '***' --epochs=2"
    assert command == f"python train.py {end}"


@pytest.mark.parametrize(
    "line",
    ["hf_abcdEFGH12", "api_key: abcdef", f"in {HOME}/clips"],
    ids=["token", "key", "home"],
)
def test_what_is_private_is_refused_by_its_line(line, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", HOME)
    path = tmp_path / "README.md"
    path.write_text("\n".join(ORDINARY.values()))
    require_public(path)
    path.write_text(f"# Model\n\n{line}\n")
    with pytest.raises(ValueError, match="README.md, line 3 holds") as caught:
        require_public(path)
    assert line not in str(caught.value)


# Cards ---------------------------------------------------------------------

SECTIONS = "name summary data command usage limits citation".split()


def card(text, **more):
    return Card(**{**dict.fromkeys(SECTIONS, text), "license": "mit", **more})


@pytest.mark.parametrize(
    "secret",
    ["hf_abcdEFGH12", HOME, "--key=abc", "~/a"],
    ids=["token", "home", "key", "tilde"],
)
def test_every_text_of_a_card_is_redacted(secret):
    made = card(
        f"a {secret}",
        license_text=secret,
        tags=[f"x {secret}"],
        metrics=[Metric(name=secret, value=1.0, dataset=secret, unit=secret)],
    )
    value = secret.removeprefix("--key=")
    assert value not in made.text()
    assert value not in str(made.metadata())


@pytest.mark.parametrize(
    "text",
    [
        "quotes \"a\" and 'b'",
        "colon: here # and there",
        "lines\n---\nbelow\n\n---\n",
        "--- and ...",
        "emoji 👩‍🔬 and 日本語",
        "{brace: [a",
        "*alias &anchor !tag %x @y",
        "bad \x00 \x1b[2J \udc80 bytes",
        "windows\r\nlines",
        "null",
    ],
    ids=(
        "quotes colon lines dashes emoji braces signs bytes windows null"
    ).split(),
)
def test_front_matter_is_valid_for_any_text(text):
    metric = Metric(name=text, value=1.0, dataset=text)
    made = card(text, metrics=[metric], tags=[text]).text()
    made.encode("utf-8")
    found, line = ModelCard(made), " ".join(redact(text).split())
    assert found.data.tags == ["speechbrain", line]
    assert found.data.model_name == line
    assert found.text.lstrip().startswith(f"# {line}\n")
    assert "\x1b" not in made and "\0" not in made


@pytest.mark.parametrize(
    "text",
    ["a|b", "a\\|b", "a\nb", "|", "a `|` b"],
    ids=["pipe", "escaped", "lines", "alone", "code"],
)
def test_tables_have_their_columns(text):
    metric = Metric(name=text, value=1.0, dataset=text)
    made = card("x", metrics=[metric]).text()
    table = made.partition("## Figures\n\n")[2].partition("\n\n")[0]
    lines = table.splitlines()
    assert len(lines) == 3
    for line in lines:
        plain = line.replace("\\\\", "").replace("\\|", "")
        assert plain.count("|") == 5


@pytest.mark.parametrize(
    "ticks", ["`", "```", "`````"], ids=["one", "three", "five"]
)
def test_fences_are_longer_than_what_they_hold(ticks):
    text = f"print()\n{ticks}\n## Not a section\n{ticks}"
    made = card("x", usage=text).text()
    block = made.partition("## How to use it\n\n")[2].partition("\n\n## ")[0]
    fence = block.partition("python\n")[0]
    assert len(fence) > len(ticks) and set(fence) == {"`"}
    assert block == f"{fence}python\n{text}\n{fence}"
