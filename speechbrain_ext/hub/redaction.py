"""Keeping secrets and places of one machine out of what is published."""

import os
import re
from pathlib import Path

PLACE, SECRET = "DIR", "***"
# control characters, and halves of characters
NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Secrets whatever stands around them. An identifier such as hf_hub_download
# is none: it has underscores, or neither digit nor capital.
TOKEN = re.compile(
    r"""(?sx) (?<![\w-]) (?:
        hf_ (?: (?=[a-z]*[A-Z0-9]) [A-Za-z0-9]{4,} | [a-z]{13,} ) (?!\w)
        | gh[opsur]_ [A-Za-z0-9]{6,} | github_pat_ \w{6,}
        | (?: glpat | xox[a-z] | [rs]k_live | [rs]k_test ) [-_] [\w-]{6,}
        | sk- (?: (?=[a-z]*[A-Z0-9]) [A-Za-z0-9]{6,} [\w-]* | [\w-]{16,} )
        | npm_ (?=[a-z]*[A-Z0-9]) [A-Za-z0-9]{6,} (?!\w)
        | pypi- (?=[a-z-]*[A-Z0-9]) [\w-]{16,} | ya29\. [\w.-]{6,}
        | api_org_ [A-Za-z0-9]{6,}
        | A[KS]IA [A-Z0-9]{12,} | AIza [\w-]{20,} | eyJ [\w-]{8,} \. [\w.-]{8,}
    )
    | (?<=://) [^\s/@:"'<>]* : [^\s/"'<>]+ (?=@)
    | (?i: (?<=\bhttps://) | (?<=\bhttp://) ) [^\s/@:"'<>]+ (?=@)
    | (?i: (?<=hooks\.slack\.com/services/) ) [\w/]+
    | (?i: (?<=[?&]sig=) | (?<=[?&]token=) | (?<=[?&]auth=)
        | (?<=[?&]signature=) | (?<=-signature=) ) [^\s&\#"'<>()]+
    | (?i: (?<=\bbearer\s) | (?<=\bauthorization:\sbasic\s)
        | (?<=\bauthorization:\stoken\s) )
        (?=\S*[A-Z0-9] | [a-z]{13,}) [\w.~+/=-]{6,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
        (?: .*? -----END\ [A-Z ]*PRIVATE\ KEY----- | .* )"""
)
SECRET_NAME = (
    r"[\w.-]{0,50}(?:token|key|secret|passw(?:or)?d|pwd|credential)s?\d{0,3}"
)
# NAME=value, NAME: value and --NAME value
NAMED = re.compile(
    rf"""(?ix) (?<![\w.-]) ({SECRET_NAME}) (["']? \s* [=:] \s* | [ ]+)
    ("[^"\n]*" | '[^'\n]*' | [^\s"'`,;&<>()\[\]{{}}]+)
    (?= (\s*? (?: \n | \Z | [,}}\]\#] ))? )"""
)
ALWAYS_SECRET = re.compile(r"(?i)secret|passw|pwd|api_?key|credential")
# of paths that stand where other slashes stand as well
ROOTS = (
    "home Users root mnt media data tmp var opt srv scratch work workspace "
    "Volumes private export nfs lustre gpfs"
)
ROOTED = re.compile(rf"/+(?:{'|'.join(ROOTS.split())})/+[^\s/]")
ORDINARY = re.compile(
    r"""(?x) [*.]* | <[^>]*> | \$\{?\w+\}? | [\[{&*|>].* | !(?:ref|new|name)\b.*
    | [A-Z_]*(?:TOKEN|KEY|PASSWORD|SECRET|YOUR|XXX)[A-Z_]* | os\.environ.*
    | (?i: none | null | true | false | yes | no | value )"""
)
NUMBER = re.compile(r"[+-]?(\d{1,4}|\d*\.\d+|\d+\.)(e[+-]?\d+)?")
# A path ends at a space, a quote or a bracket that it did not open.
REST = r"""(?:[^\s"'`<>|,;()\[\]{}]|\\[ ]|\([^\s()]*\)|\[[^\s\[\]]*\])*"""
PATH = re.compile(
    rf"""(?x) (?P<url> (?!file:) \b[A-Za-z][\w+.-]{{1,20}}://[^\s"'`<>]* )
    | (?: \bfile:/+ | (?<![\w~./]) ~(?:[A-Za-z_][\w.-]*)?[/\\]
        | \$\{{?HOME\b\}}? | %(?:USERPROFILE|HOMEPATH|APPDATA)%
        | (?<![A-Za-z0-9]) [A-Za-z]:(?:\\+|/(?=\w))
        | (?<![\w\\]) \\\\{{1,3}}[\w.-]+\\+(?=\w)
        | (?<![\w.]) /(?:home|Users)/(?=\w) ) {REST}
    | (?P<relative> (?<![\w./\\-]) (?:[\w.-]+[/\\])* \.\.[/\\] {REST} )
    | (?: ^ | (?<=[\s"'`=:(\[{{,;|@“„«‘<>*_]) )
        (?P<absolute> /+(?=[\w.@%$~+\\]) {REST})"""
)
ANY_PLACE = re.compile(r"/|~|file:|\\\\|[A-Za-z]:[\\/]|\$\{?HOME|%\w+%")


def redact(text: str, secret: str = SECRET) -> str:
    r"""Take secrets and places of this machine out of a text.

    Arguments
    ---------
    text : str
        Anything that is going to be published.
    secret : str
        What stands in place of a secret.

    Returns
    -------
    text : str
        Tokens, keys and passwords are `***`; home folders, absolute paths
        and relative ones that lead out are `DIR`. URLs, names of
        repositories and all else are as they were.

    Example
    -------
    >>> redact("HF_TOKEN=hf_0123456789 python train.py --data=~/clips")
    'HF_TOKEN=*** python train.py --data=DIR'
    """
    text = NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
    return PATH.sub(_place, home_pattern().sub("~/", mask(text, secret)))


def redact_option(text: str, before: str = "") -> str:
    """Redact one word of a command, in which paths may have spaces.

    Arguments
    ---------
    text : str
        `--name=value`, or a value.
    before : str
        The word in front of it.

    Returns
    -------
    text : str

    Example
    -------
    >>> redact_option("--include=[/data/my clips/*, ../x]")
    '--include=[DIR, DIR]'
    """
    assigned = r"(?s)(\s*(?:([\w.-]+)(?:=|:\s+))?)(.*)"
    lead, name, value = re.fullmatch(assigned, text).groups()
    if not name and before.startswith("--") and "=" not in before:
        name = before
    if name and is_secret(f"--{name}", "=", value):
        return lead + SECRET
    if value.startswith(("[", "{")):
        items = r"""[^\[\]{},"']+"""
        return lead + re.sub(items, lambda m: redact_option(m[0]), value)
    if ANY_PLACE.match(value.strip("\"' ")) or leads_out(value):
        return lead + PLACE
    return redact(text)


def mask(text: str, secret: str = SECRET) -> str:
    """Write `***` for all that looks like a token, key or password."""

    def masked(match: re.Match) -> str:
        name, sign, value, ends = match.groups()
        if not is_secret(name, sign, value, ends is not None):
            return match[0]
        quote = value[0] if value[0] in "\"'" else ""
        return name + sign + quote + secret + quote

    return NAMED.sub(masked, TOKEN.sub(lambda _: secret, text))


def is_secret(name: str, sign: str, value: str, ends: bool = True) -> bool:
    """Tell whether what a name is given is a secret, or an ordinary value.

    Arguments
    ---------
    name : str
        With its dashes, if it is an option.
    sign : str
        What stands between name and value.
    value : str
        With its quotes.
    ends : bool
        Whether nothing else follows on the line.

    Returns
    -------
    secret : bool

    Example
    -------
    >>> is_secret("--api_key", "=", "abc"), is_secret("num_tokens", ": ", "29")
    (True, False)
    """
    bare, option = value.strip("\"'"), name.startswith("--")
    if not re.fullmatch(f"(?i){SECRET_NAME}", name) or ORDINARY.fullmatch(bare):
        return False
    if ALWAYS_SECRET.search(name) and sign.strip():
        prose = re.fullmatch(
            r"[Ss]ecrets?:\s+[a-z]+[.,;!?]*", f"{name}{sign}{value}"
        )
        path = bare == PLACE or ROOTED.match(bare)
        return bare != name and not prose and not path
    if NUMBER.fullmatch(bare):
        return False
    if len(bare) >= 6 and re.search(r"(?i)\d.*[a-z]|[a-z].*\d", bare):
        return bool(option or sign.strip())
    # otherwise it may be a word of a sentence
    token = len(bare) >= 4 and re.search(r"(?i)token$|[\w-]key$", name)
    given = bare != value or name.isupper() or (":" in sign and ends)
    return bool((option and sign.strip()) or (token and given))


def home_pattern() -> re.Pattern:
    """Compile what finds the home folder of this process."""
    homes = {str(Path.home()), os.path.realpath(Path.home())} - {"/"}
    either = "|".join(map(re.escape, homes)) or "(?!)"
    return re.compile(rf"(?<![\w.])(?:{either})(?![\w-])")


def leads_out(path: str) -> bool:
    """Tell whether a relative path leads out of where it begins."""
    path = os.path.normpath(path.strip("\"' ").replace("\\", "/"))
    return path.split("/")[0] == ".."


def _place(match: re.Match) -> str:
    """Give what stands in place of a path."""
    path = re.sub(r"(\*\*|[.,:;!?_])+$", "", match[0])
    ordinary = match["url"] or (match["relative"] and not leads_out(path))
    lead = match.string[max(match.start() - 2, 0) : match.start()]
    if match["absolute"] and (lead == "](" or lead[-1:] in tuple("<>*_")):
        # perhaps a link of a page, the end of a tag, or a division
        ordinary = not ROOTED.match(path)
    elif match["absolute"] and re.fullmatch(
        r"/(\w{1,3}/?|[\d.%]+|[^\s/]{0,4}[^\x00-\x7f][^\s/]{0,4}/)", path
    ):
        # perhaps a number, a unit or a sound in slashes, in a sentence
        before = match.string[max(match.start() - 3, 0) : match.start()]
        sentence = path.endswith("/") or re.search(r"(^|[^:=]\s|\()$", before)
        ordinary = sentence and not os.path.isdir(path)
    return match[0] if ordinary else PLACE + match[0][len(path) :]


def require_public(path: Path) -> None:
    r"""Raise if a file that is to be published holds something private.

    Arguments
    ---------
    path : Path
        A text file.

    Raises
    ------
    ValueError
        Naming the line; what is private is not repeated.

    Example
    -------
    >>> path = getfixture("tmp_path") / "README.md"
    >>> _ = path.write_text("Use it.\nHF_TOKEN=hf_0123456789")
    >>> require_public(path)
    Traceback (most recent call last):
    ValueError: ...README.md, line 2 holds what looks like a token, key or
    password; write *** in its place
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        what = None
        if mask(line) != line:
            what = f"what looks like a token, key or password; write {SECRET}"
        elif home_pattern().search(line):
            what = f"the path of your home folder; write {PLACE}"
        if what:
            raise ValueError(f"{path}, line {number} holds {what} in its place")
