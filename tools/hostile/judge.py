"""Run one case in a process of its own, under limits, and judge its end.

The process is forked from one that has imported the package already, so a
case costs milliseconds and a crash ends nothing but the case.

The limit of memory is one on data (RLIMIT_DATA: all private memory that can
be written, imports included), not on addresses: libraries of PyTorch map
more than 2 GB of addresses that cost no memory. An allocation beyond it
fails, which counts as a crash even where the error is caught and turned into
a message, for without the limit the memory would have been taken. Children
of the case have the same limit, and the peak of what was really in use is
looked at as well.
"""

import csv
import logging
import multiprocessing
import os
import re
import resource
import shutil
import signal
import stat
import sys
import time
import traceback
from pathlib import Path

from hostile.case import Case, Place, Result, Verdict

SECONDS = 10.0
MEMORY = 2_000_000_000
LONGEST_MESSAGE = 5_000
LONGEST_PRINT = 300_000
LARGEST_OUTPUT = 1_000_000_000
# imported by nothing but hostile files
BAITS = {"canary_module", "this", "antigravity", "encodings.rot_13", "pty"}
RUN = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"}
NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.sendto"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
PROCESSES = multiprocessing.get_context("fork")


def judge(
    case: Case,
    root: Path,
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Verdict:
    """Make a case, run it and say how it ended.

    Arguments
    ---------
    case : Case
        What is tried.
    root : Path
        An empty or missing folder; it is removed in the end.
    seconds : float
        After which the case is killed.
    memory : int
        Bytes of data that it may have.

    Returns
    -------
    verdict : Verdict
    """
    place = Place(Path(os.path.realpath(root)))
    try:
        for folder in (place.given, place.out, place.outside / "mine"):
            folder.mkdir(parents=True)
        (place.outside / "mine" / "take.flac").write_bytes(b"the user's own")
        (place.outside / "canary_module.py").write_text(
            f"import os\nos.makedirs({str(place.canary)!r}, exist_ok=True)\n"
            "def called(*arguments, **keywords):\n    return None\n"
        )
        try:
            case.make(place)
        except OSError as error:
            return Verdict("skipped", str(error))
        return _run(case, place, seconds, memory)
    finally:
        _remove(place.root)


def _run(case, place, seconds, memory):
    before = _snapshot(place)
    receiver, sender = PROCESSES.Pipe(duplex=False)
    keyboard, silence = os.pipe()  # a terminal at which nobody types
    process = PROCESSES.Process(
        target=_work, args=(case, place, memory, keyboard, sender)
    )
    began = time.monotonic()
    process.start()
    sender.close()
    hung, report = False, None
    try:
        if receiver.poll(seconds):
            report = receiver.recv()
        else:
            hung = True
    except EOFError:
        pass  # it was killed
    took = time.monotonic() - began
    process.join(0.0 if hung else 5.0)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.join()
    for number in (keyboard, silence):
        os.close(number)
    if hung:
        return Verdict("HUNG", f"killed after {seconds:g} s", took)
    if report is None:
        number = -(process.exitcode or 0)
        return Verdict("CRASHED", f"killed by signal {number}", took)
    outcome, why = report
    if outcome in ("refused", "loaded"):
        for fault in (
            _changed(before, _snapshot(place)),
            _output_fault(place.out),
            _print_fault(place.root / "printed"),
        ):
            if fault:
                outcome, why = fault
    return Verdict(outcome, why, took)


def _work(case, place, memory, keyboard, sender):
    """Be the process of a case; nothing returns from here."""
    try:
        os.setsid()
        printed = os.open(place.root / "printed", os.O_WRONLY | os.O_CREAT)
        for old, new in ((keyboard, 0), (printed, 1), (printed, 2)):
            os.dup2(old, new)
        sys.stdin = open(0, closefd=False)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(
            2, "w", encoding="utf-8", errors="backslashreplace", closefd=False
        )
        logging.basicConfig(level=logging.INFO, force=True)
        os.chdir(place.outside)
        sys.path.insert(0, str(place.outside))
        limit = max(memory, _data() + memory // 2)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        environment = dict(os.environ)
        seen = []
        sys.addaudithook(_watch(seen, case, place))
        report = _attempt(case, place)
        if seen:
            report = "THROUGH", seen[0]
        elif any(key.startswith("CANARY") for key in os.environ):
            report = "THROUGH", "the environment was changed"
        elif environment.get("PATH") != os.environ.get("PATH"):
            report = "THROUGH", "PATH was changed"
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            peak = 1024 * resource.getrusage(who).ru_maxrss
            if peak > memory:
                report = "CRASHED", f"took {peak / 1e9:.1f} GB of memory"
        sys.stdout.flush()
        sender.send(report)
    finally:
        os._exit(0)


def _attempt(case: Case, place: Place) -> tuple[str, str]:
    """Give the outcome as seen from inside."""
    try:
        result = case.run(place)
    except MemoryError as error:
        return "CRASHED", f"out of memory: {error}"
    except (ValueError, OSError) as error:
        if _ran_out_of_memory(error):
            return "CRASHED", f"out of memory: {error!s:.200}"
        # a traceback of a library, though it is a ValueError
        if isinstance(error, UnicodeError):
            return "CRASHED", f"{type(error).__name__}: {error!s:.200}"
        result = Result(False, reasons=[str(error)])
        if case.expect == "loaded":
            result.lost = f"all of it: {error!s:.300}"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "CRASHED", (
            f"{type(error).__name__}: {error!s:.200} "
            f"({Path(last.filename).name}:{last.lineno})"
        )
    for reason in result.reasons:
        if fault := _message_fault(reason):
            return "THROUGH", f"{fault}: {reason[:200]!r}"
        if re.search(r"alloc\w* memory|out of memory|MemoryError", reason):
            return "CRASHED", f"out of memory: {reason[:200]!r}"
    if result.lost:
        return "LOST", result.lost
    if result.accepted and case.expect == "refused":
        return "THROUGH", "it was accepted"
    said = result.reasons[0] if result.reasons else ""
    return "loaded" if result.accepted else "refused", said[:300]


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error was raised because memory was not given."""
    while error is not None:
        said = str(error)
        if isinstance(error, MemoryError) or "allocate memory" in said:
            return True
        error = error.__cause__ or error.__context__
    return False


def _message_fault(text: str) -> str:
    """Say what is wrong with a text that a user reads; empty if nothing."""
    if len(text) > LONGEST_MESSAGE:
        return f"a message of {len(text)} characters"
    if not text.strip():
        return "an empty message"
    if "Traceback (most recent" in text:
        return "a traceback as message"
    if not text.replace("\n", "").isprintable():
        return "a message with characters that a terminal obeys"
    return ""


def _print_fault(path: Path) -> tuple[str, str] | None:
    """Judge what a case printed."""
    if not path.exists():
        return None
    size = path.stat().st_size
    with open(path, "rb") as file:
        text = file.read(LONGEST_PRINT).decode("utf-8", "backslashreplace")
    if size > LONGEST_PRINT:
        return "THROUGH", f"printed {size} bytes"
    if "Traceback (most recent" in text or "fault of the program" in text:
        return "CRASHED", f"printed a traceback: {text[-300:]!r}"
    for line in re.split("[\n\r\t]", text):
        if not line.isprintable():
            return "THROUGH", f"printed terminal codes: {line[:200]!r}"
    return None


def _output_fault(folder: Path) -> tuple[str, str] | None:
    """Judge what a case wrote."""
    total = 0
    for parent, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            kind, mode = stat.S_IFMT(status.st_mode), status.st_mode
            if kind not in (stat.S_IFREG, stat.S_IFDIR):
                return "THROUGH", f"{name[:200]!r} is a link or a device"
            if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH):
                return "THROUGH", f"{name[:200]!r} has the mode {mode:o}"
            if kind == stat.S_IFREG:
                if status.st_nlink > 1:
                    return "THROUGH", f"{name[:200]!r} is a hard link"
                total += status.st_size
            if name.endswith(".csv") and (fault := _formula(path)):
                return fault
    if total > LARGEST_OUTPUT:
        return "THROUGH", f"wrote {total} bytes"
    return None


def _formula(path: str) -> tuple[str, str] | None:
    """Find a cell that a spreadsheet would run."""
    csv.field_size_limit(2**30)
    with open(path, newline="", errors="surrogateescape") as file:
        for row in csv.reader(line.replace("\0", "?") for line in file):
            for cell in row:
                if cell.startswith(("=", "+", "-", "@")):
                    try:
                        float(cell)
                    except ValueError:
                        name = Path(path).name
                        return "THROUGH", f"a formula in {name}: {cell[:99]!r}"
    return None


def _snapshot(place: Place) -> dict[bytes, tuple]:
    """Describe all that must stay as it is."""
    found = {}
    for root in (place.given, place.outside):
        for parent, folders, names in os.walk(os.fsencode(root)):
            for name in folders + names:
                if name == b"__pycache__" or b"/__pycache__" in parent:
                    continue
                path = os.path.join(parent, name)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue  # deeper than a path may be
                found[path] = (
                    status.st_mode,
                    status.st_size,
                    # entering __pycache__ changes the time of a folder
                    not stat.S_ISDIR(status.st_mode) and status.st_mtime_ns,
                )
    return found


def _changed(before: dict, after: dict) -> tuple[str, str] | None:
    """Name a file that was made, removed or changed."""
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            name = "/".join(os.fsdecode(path).split("/")[-3:])
            return "THROUGH", f"{name[:200]!r} was written, made or removed"
    return None


def _watch(seen: list[str], case: Case, place: Place):
    """Make the hook that Python tells what the code does."""
    root, shared = str(place.root), ("/dev/", "/proc/self/fd")

    def hook(event, arguments):
        if event in RUN or event in NETWORK:
            seen.append(f"{event} {arguments[1:]!r:.100}")
        elif event == "subprocess.Popen":
            if arguments[0] != sys.executable:
                seen.append(f"started {arguments[0]!r:.100}")
        elif event == "import":
            if arguments[0] in BAITS:
                seen.append(f"imported {arguments[0]}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.fsdecode(arguments[0]), arguments[2]
            path = os.path.abspath(path)
            if flags & WRITING and not path.startswith((root, *shared)):
                if "__pycache__" not in path:
                    seen.append(f"wrote {path[:100]!r}")
            elif "secret" in os.path.basename(path):
                seen.append(f"read {path[-100:]!r}")

    return hook


def _data() -> int:
    """Give the bytes of data that this process has mapped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return 1024 * int(line.split()[1])
    return 0


def _remove(folder: Path) -> None:
    """Remove a folder, whatever rights its parts have."""

    def allow(function, path, _):
        try:
            os.chmod(os.path.dirname(path), 0o700)
            function(path)
        except OSError:
            pass

    shutil.rmtree(os.fsencode(folder), onerror=allow)
