#!/usr/bin/env bash
# --select auto: it says what it chose and why, trains, and resumes; asking
# changes nothing. On hosts with slow links it sends fewer pairs.
. "$(dirname "$0")/lib.sh"

make_data 3000
settings="--data $work/train.svm --peers 3 --threads 1 --batch 24
    --digest-every 10"

# Sparse data: four of 24 pairs leave out too much, and v shall stay sparse.
# shellcheck disable=SC2086 # A list of options.
check "train" "$lyre" train mlr $settings --clocks 30 --run "$work/auto" \
    --select auto
[ "$(grep -c '^auto: ' "$work/out")" = 1 ] || fail "not one line of the choice"
expect_said "auto: none, "
expect_said "jcss:4 out: error 0."
expect_said "svd:4 out: v is sparse"
expect_said "the link moves "
# shellcheck disable=SC2086
check "quiet" "$lyre" train mlr $settings --clocks 30 --run "$work/none" \
    --select none --quiet
for p in 0 2; do
    [ "$(last_digest "$work/auto" $p)" = "$(last_digest "$work/none" $p)" ] ||
        fail "asking what to send changed the model of peer $p"
    check "replay" "$lyre" replay "$work/auto" --peer $p --verify
done
# What was sent to learn how fast links are is not what training sent.
# shellcheck disable=SC2086
check "json" "$lyre" train mlr $settings --clocks 30 --run "$work/json" \
    --select auto --quiet --json
python3 - "$work" <<'PY' || fail "the log does not say what was chosen"
import json, sqlite3, sys
job = json.load(open(f"{sys.argv[1]}/out"))
log = sqlite3.connect(f"{sys.argv[1]}/json/peer-1/index.db")
rows = log.execute("SELECT selection, pairs, bytes_sent FROM metric").fetchall()
sys.exit(0 if len(rows) == 30 and all(r[:2] == (0, 24) for r in rows)
         and job["bytes_sent"] < 5e6 and sum(r[2] for r in rows) < 5e6 else 1)
PY
check "go on" "$lyre" resume "$work/auto" --clocks 60
[ "$(grep -c '^auto: ' "$work/out")" = 1 ] || fail "resume does not choose anew"
check "verify" "$lyre" replay "$work/auto" --verify
check "one peer" "$lyre" train mlr --data "$work/train.svm" --run "$work/one" \
    --select auto --clocks 20
expect_said "one peer sends nothing"
check "explain" "$lyre" explain "$work/auto"

expect_status 2 "$lyre" simulate mlr --data "$work/train.svm" --peers 3 \
    --select auto
expect_said "measures links and cores"

[ "$(id -u)" = 0 ] || skip "network namespaces need root (the rest passed)"
tag=la$$
{ command -v ip && command -v tc; } >/dev/null ||
    skip "there is no ip or tc (the rest passed)"
ip netns add ${tag}sw 2>/dev/null ||
    skip "network namespaces cannot be made here (the rest passed)"

netns_down() {
    local ns
    for ns in $(ip netns list | awk '{print $1}' | grep "^$tag" || true); do
        ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
        ip netns del "$ns"
    done
}
trap 'netns_down; cleanup' EXIT

ip -n ${tag}sw link add name sw0 type bridge
ip -n ${tag}sw link set sw0 up
for i in 0 1; do
    ip netns add $tag$i
    ip -n $tag$i link set lo up
    ip link add name e0 netns $tag$i type veth peer name p$i netns ${tag}sw
    ip -n $tag$i addr add 10.84.0.$((i + 1))/24 dev e0
    ip -n $tag$i link set e0 up
    ip -n ${tag}sw link set p$i master sw0 up
    tc -n $tag$i qdisc add dev e0 root tbf rate 20mbit burst 32kb latency 50ms \
        2>/dev/null || skip "links cannot be shaped here (the rest passed)"
done

# Dense rows, for which all pairs are 60 ms of such a link.
python3 - "$work" <<'PY'
import random, struct, sys
rnd = random.Random(3)
def write(path, dtype, shape, data):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)))
        f.write(head.encode() + data)
K, n = 600, 200
means = [[rnd.gauss(0, 1) for _ in range(K)] for _ in range(10)]
y = [rnd.randrange(10) for _ in range(n)]
x = [m + rnd.gauss(0, 2) for c in y for m in means[c]]
write(f"{sys.argv[1]}/x.npy", "<f4", (n, K), struct.pack(f"<{n * K}f", *x))
write(f"{sys.argv[1]}/y.npy", "<i4", (n,), struct.pack(f"<{n}i", *y))
PY

# start CLOCKS WHAT...: both hosts run their peers, and shall end well.
start() {
    local i pids=()
    for i in 0 1; do
        ip netns exec $tag$i timeout 120 "$lyre" "$@" --threads 1 --rank $i \
            --rendezvous tcp://10.84.0.1:7070 >"$work/host$i" 2>&1 &
        pids+=($!)
    done
    for i in 0 1; do
        wait "${pids[$i]}" || {
            cat "$work/host$i"
            fail "host $i: $*"
        }
    done
    cp "$work/host1" "$work/out"
}
start train mlr --data "$work/x.npy" --labels "$work/y.npy" --peers 2 \
    --run "$work/slow" --batch 64 --clocks 60 --lr 0.0003 --digest-every 20 \
    --select auto
expect_said "peer 1: auto: svd:8, "
expect_said "jcss:8 out: error 0."
start resume "$work/slow" --clocks 90
expect_said "peer 1: auto: svd:8, "
check "replay" "$lyre" replay "$work/slow" --peer 1 --verify
python3 - "$work" <<'PY' || fail "links were measured wrong, or pairs not chosen"
import re, sqlite3, sys
said = open(f"{sys.argv[1]}/host1").read()
speed = float(re.search(r"the link moves ([0-9.]+) MB/s", said).group(1))
log = sqlite3.connect(f"{sys.argv[1]}/slow/peer-0/index.db")
rows = log.execute("SELECT selection, pairs FROM metric").fetchall()
sys.exit(0 if 1.2 < speed < 5 and len(rows) == 90 and
         all(r == (3, 8) for r in rows) else 1)
PY
echo "what is sent is what takes least, and it says so"
