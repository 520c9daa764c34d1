"""Running a foreign program: its answer, or one sentence about how it went wrong."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from common import process
from common.errors import StepError, UserError
from common.paths import ROOT


def shell(script: str, **options) -> process.Completed:
    return process.run(["sh", "-c", script], **{"what": "toy", "limit": 60, **options})


def complaint(script: str, error: type[Exception] = StepError, **options) -> str:
    with pytest.raises(error) as caught:
        shell(script, error=error, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def ended(pids: str) -> bool:
    """Whether all of these processes do nothing any more; a zombie waits for init only."""
    deadline = time.monotonic() + 10
    while any(works(int(pid)) for pid in pids.split()):
        if time.monotonic() > deadline:
            return False
    return True


def works(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it may go between two questions
        return False


def test_what_a_program_prints_comes_back(tmp_path):
    done = shell("pwd; echo $TOY >&2; cat", folder=tmp_path, environment={"TOY": "a b"})
    assert done == process.Completed(0, f"{tmp_path}\n", "a b\n")
    assert done.printed == f"{tmp_path}\na b\n"


def test_what_is_fed_reaches_it():
    def feed(stream) -> None:
        for _ in range(100):
            stream.write(bytes(range(256)) * 100)

    assert shell("wc -c", feed=feed).stdout.strip() == str(100 * 256 * 100)
    assert shell("exec 0<&-; echo enough", feed=feed).stdout == "enough\n"
    said = complaint("exec 0<&-; echo no disk >&2; exit 1", feed=feed)
    assert said == "toy: it ended with status 1: no disk"


def test_what_cannot_be_read_to_be_fed_is_its_own_error():
    def feed(stream) -> None:
        stream.write(b"begun")
        raise FileNotFoundError("lost")

    with pytest.raises(FileNotFoundError, match="lost"):
        shell("cat", feed=feed)


def test_words_reach_it_as_they_are():
    words = ["it's", 'a "test"', "$HOME", "two words", "é", ""]
    code = "import sys; print(ascii(sys.argv[1:]))"
    assert (
        process.run([sys.executable, "-c", code, *words], what="toy", limit=60).stdout
        == ascii(words) + "\n"
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 3", "toy: it ended with status 3"),
        ("echo one; echo two; exit 1", "toy: it ended with status 1: two"),
        ("echo out; echo '  no\tdisk ' >&2; exit 1", "toy: it ended with status 1: no disk"),
        ("kill -SEGV $$", "toy: it was ended by SIGSEGV"),
        ("echo last words; kill -KILL $$", "toy: it was ended by SIGKILL: last words"),
        ("kill -40 $$", "toy: it was ended by signal 40"),
        ("printf '\\377 no'; exit 1", "toy: it ended with status 1: \ufffd no"),
    ],
)
def test_a_failure_is_one_sentence(script, sentence):
    assert complaint(script) == sentence


def test_the_caller_chooses_error_line_and_remedy():
    script = "echo 'Note: x'; echo 'Error: y'; echo z; exit 1"
    options = {"telling": process.error_line, "remedy": "try again"}
    said = complaint(script, UserError, **options)
    assert said == "toy: it ended with status 1: Error: y; try again"


def test_a_long_line_is_cut():
    assert len(complaint("printf '%0999d' 0; exit 1")) < 400


def test_a_status_that_is_expected_is_no_failure():
    assert shell("exit 3", statuses=(0, 3)).status == 3
    assert "status 4" in complaint("exit 4", statuses=(0, 3))
    assert "SIGTERM" in complaint("kill -TERM $$", statuses=process.ANY_STATUS)


def test_a_program_that_is_not_there_or_no_program(tmp_path):
    with pytest.raises(StepError, match="toy: no-such-program is not there; install it"):
        process.run(["no-such-program"], what="toy", limit=1, remedy="install it")
    (tmp_path / "text").write_text("")
    with pytest.raises(UserError, match=r"toy: .*text cannot be started \(permission denied\)"):
        process.run([tmp_path / "text"], what="toy", limit=1, error=UserError)


def test_a_hang_ends_with_all_its_group_and_its_last_line(tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 61 & echo $! > {pids}; echo working; sleep 62"
    assert complaint(script, limit=0.5) == "toy: it did not end within 0 s: working"
    assert ended(pids.read_text())


def test_one_that_does_not_listen_is_made_to_end(monkeypatch):
    monkeypatch.setattr(process, "_GRACE", 0.2)
    started = time.monotonic()
    shielded = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(63)"
    with pytest.raises(StepError, match="did not end"):
        process.run([sys.executable, "-c", shielded], what="toy", limit=1)
    assert time.monotonic() - started < 30


def test_a_grandchild_that_keeps_the_output_open_does_not_hold_us():
    assert "what it started did not end" in complaint("sleep 64 & echo done", limit=0.5)


def test_an_interrupt_ends_the_group(tmp_path):
    pids = tmp_path / "pids"
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            shell(f"sleep 65 & echo $! $$ > {pids}; wait")
    finally:
        signal.signal(signal.SIGINT, ours)
    assert ended(pids.read_text())


def test_our_own_kill_ends_the_group(tmp_path):
    """Nobody is left who could end what a compiler's driver has started."""
    pids = tmp_path / "pids"
    script = f"sleep 66 & echo $! $$ > {pids}; wait"
    code = "import sys; from common import process; process.run(sys.argv[1:], what='toy', limit=66)"
    child = subprocess.Popen([sys.executable, "-c", code, "sh", "-c", script], cwd=ROOT)
    try:
        while not (pids.exists() and pids.read_text().endswith("\n")):
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    assert ended(pids.read_text())


def test_lines_are_heard_as_they_come():
    heard = []
    assert shell("echo one >&2; echo two >&2; echo three", hear=heard.append).stdout == "three\n"
    assert heard == ["one", "two"]


def test_what_is_shown_goes_to_standard_error():
    code = (
        "from common import process\n"
        "done = process.run(['sh', '-c', 'echo out; echo err >&2'], what='', limit=9, shown=True)\n"
        "print(done)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{process.Completed(0)}\n"
    assert done.stderr == "out\nerr\n"
