#!/usr/bin/env bash
# lyre watch: on a running job and on one that ended, in a terminal and without
# one. The job does not notice.
. "$(dirname "$0")/lib.sh" "$@"

make_data 2000
cd "$work"
unset NO_COLOR LC_ALL LC_CTYPE
export LANG=C.UTF-8
common="--data train.svm --test test.svm --threads 1 --batch 8 --quiet"

# A job that ended.
# shellcheck disable=SC2086
check "run" "$lyre" train mlr $common --run done --peers 2 --clocks 300 \
    --eval-every 100
check "once" "$lyre" watch done --once
expect_said "clock 300 of 300 (100%)"
expect_said "complete"
python3 - "$work/out" <<'END' || fail "not what the table metric has"
import sqlite3
import sys

text = open(sys.argv[1]).read()
db = sqlite3.connect("file:done/peer-0/index.db?mode=ro", uri=True)
loss, accuracy = db.execute("SELECT test_loss, test_accuracy FROM metric "
                            "WHERE clock = 299").fetchone()
assert f"loss {loss:.4f}, accuracy {accuracy:.4f} behind clock 299" in text
total = weight = 0
for x, n in db.execute("SELECT loss, samples FROM metric ORDER BY clock"):
    total = total * (1 - 1 / 50) + x * n
    weight = weight * (1 - 1 / 50) + n
assert f"\nloss{total / weight:14.4f}  " in text, total / weight
assert "\033" not in text
assert max(map(len, text.splitlines())) <= 80
END
LANG=C "$lyre" watch done --once | LC_ALL=C grep -q '[^ -~]' &&
    fail "more than ASCII in a locale that has no more"
rm -r done/peer-1/index.db*
check "without an index" "$lyre" watch done --once
expect_said "clock 300 of 300 (100%)"
check "ends by itself" timeout 20 "$lyre" watch done
expect_status 1 "$lyre" watch nowhere --once
expect_said "nowhere"
expect_status 2 "$lyre" watch
expect_status 2 "$lyre" watch done --interval 0

# A running job, in a file: a picture, then lines, until it ends.
# shellcheck disable=SC2086
"$lyre" train mlr $common --run live --peers 2 --clocks 60000 \
    --durability 200ms --consistency bsp &
job=$!
status=0
timeout 120 "$lyre" watch live --interval 200ms >lines || status=$?
[ $status = 0 ] || fail "status $status when the job ended"
wait $job || fail "the job did not end well"
[ "$(grep -c '^clock [0-9]*/60000 ' lines)" -ge 2 ] || {
    cat lines
    fail "no lines of a running job"
}
tail -1 lines | grep -q '^clock 60000/60000 .* complete$' || {
    tail -3 lines
    fail "the end was not seen"
}
grep -q 'running$' lines || fail "it never ran"
check "the logs are whole" "$lyre" log verify live
"$lyre" log ls live >out || fail "log ls"
[ "$(grep -c 'index up to date' out)" = 2 ] || fail "an index was left behind"

# In a terminal: it fits, follows the size, and gives back what it took.
# shellcheck disable=SC2086
"$lyre" train mlr $common --run long --peers 3 --clocks 10000000 \
    --durability 200ms &
job=$!
for _ in $(seq 100); do
    "$lyre" watch long --once 2>/dev/null | grep -q '^clock [1-9]' && break
    sleep 0.1
done
cat >terminal.py <<'END'
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

lyre, no_colour = sys.argv[1], sys.argv[2] == "plain"
ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns,
                                                    0, 0))


def read(fd, enough):
    """What comes until it is enough, or the end; a slow machine may be slow."""
    end, data = time.monotonic() + 20, b""
    while (left := end - time.monotonic()) > 0 and not enough(data.decode(errors="ignore")):
        if select.select([fd], [], [], left)[0]:
            try:
                data += os.read(fd, 1 << 20)
            except OSError:
                break
    return data.decode(errors="ignore")


def frames_of(text):
    return text.split("\033[H")[1:]


def more_than(n):
    return lambda text: len(frames_of(text)) > n


pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.3)  # Until the window has its size.
    os.environ["TERM"] = "xterm"
    if no_colour:
        os.environ["NO_COLOR"] = "1"
    os.execv(lyre, [lyre, "watch", "long", "--interval", "0.1"])
resize(fd, 24, 80)
before = termios.tcgetattr(fd)
text = read(fd, more_than(25))
assert text.startswith(ENTER), text[:100]
frames = frames_of(text)[:-1]  # The last may be cut.


def check(frame, rows, columns):
    assert frame.endswith("\033[J"), frame[-20:]
    plain = re.sub(r"\033\[[0-9;]*[mKJ]", "", frame)
    assert "\033" not in plain, plain
    lines = plain.split("\r\n")
    assert len(lines) <= rows, lines
    assert all(len(line) <= columns for line in lines), lines
    return lines


for frame in frames:
    lines = check(frame, 24, 80)
assert lines[0].startswith("running, ") and " left: long (" in lines[0], lines
assert lines[1].startswith("clock "), lines
assert any(re.match(" +2 +[0-9,]+ ", line) for line in lines), lines
assert any(b in lines[3] for b in "▁▂▃▄▅▆▇█"), lines
colours = set(re.findall(r"\033\[[0-9;]*m", text))
assert (not colours) == no_colour, colours
clocks = [int(re.search(r"clock ([0-9,]+)", f)[1].replace(",", ""))
          for f in frames]
assert clocks == sorted(clocks) and clocks[-1] > clocks[0], clocks

# A smaller window; then Ctrl-Z, and back.
resize(fd, 10, 50)
os.kill(pid, signal.SIGWINCH)
for frame in frames_of(read(fd, more_than(8)))[4:-1]:
    check(frame, 10, 50)
os.kill(pid, signal.SIGTSTP)
text = read(fd, lambda text: LEAVE in text)
assert text.endswith(LEAVE), text[-100:]
assert os.waitpid(pid, os.WUNTRACED)[1] & 0xff == 0x7f, "no stop"
os.kill(pid, signal.SIGCONT)
text = read(fd, more_than(2))
assert text.startswith(ENTER), text[:100]

os.write(fd, b"\x03")
text = read(fd, lambda text: "rest\r\n" in text.partition(LEAVE)[2])
_, status = os.waitpid(pid, 0)
assert status == 0, status
left = text[text.index(LEAVE) + len(LEAVE):]
assert "clock " in left and "\033[?" not in left, left
assert termios.tcgetattr(fd) == before
END
for colour in plain coloured; do
    timeout 60 python3 terminal.py "$lyre" $colour || fail "terminal, $colour"
done
kill -0 $job 2>/dev/null || fail "the job is gone"

# The peers are killed: watch sees that nobody writes any more, and ends.
timeout 60 "$lyre" watch long --interval 200ms >lines 2>said &
watch=$!
sleep 1
# shellcheck disable=SC2046 # A list of numbers.
kill -9 $(pgrep -P $job) $job
wait $job 2>/dev/null || true
status=0
wait $watch || status=$?
cp said out
[ $status = 0 ] || fail "status $status when the peers were killed"
expect_said "lyre resume long"
tail -1 lines | grep -q 'not running$' || fail "still said to run"

# --durability none: nothing is synced, but seen all the same.
# shellcheck disable=SC2086
check "run without syncs" "$lyre" train mlr $common --run lazy --peers 1 \
    --clocks 200 --durability none
check "watched" "$lyre" watch lazy --once
expect_said "clock 200 of 200"
echo "jobs are watched, and do not notice"
