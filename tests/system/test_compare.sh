#!/usr/bin/env bash
# lyre compare and --until with real processes: targets that are reached or not,
# modes that fail, the report, wrong words, and what Ctrl-C leaves.
. "$(dirname "$0")/lib.sh"

netlab=$(realpath "$(dirname "$0")/../../scripts/netlab.sh")
make_data 2000
cd "$work"
common="--data train.svm --test test.svm --batch 16 --threads 1"

# train --until: all peers end at the clock that peer 0 saw.
# shellcheck disable=SC2086
check "until" "$lyre" train mlr $common --peers 3 --run until --clocks 4000 \
    --eval-every 20 --until accuracy=0.9 --json
cp out until.json
[ "$(json reached until.json)" = True ] || fail "the target was not reached"
clock=$(json clock until.json)
[ $((clock % 20)) = 0 ] && [ "$clock" -lt 4000 ] ||
    fail "reached at clock $clock"
for p in 0 1 2; do
    [ "$(last_digest until $p)" = "$(json digest until.json)" ] ||
        fail "peer $p ended elsewhere"
    check "the log of peer $p" "$lyre" replay until --peer $p --verify
    expect_said "clock $clock matrix W"
done
check "go on behind the target" "$lyre" resume until --clocks $((clock + 5))
# shellcheck disable=SC2086
check "not reached" "$lyre" train mlr $common --peers 2 --run never \
    --clocks 20 --until loss=0.0001
expect_said "loss=0.0001 not reached"
# shellcheck disable=SC2086
expect_status 2 "$lyre" train mlr $common --run x --until speed=3
expect_said "loss=X"
expect_status 2 "$lyre" train mlr --data train.svm --run x --until loss=1
expect_said "--until needs --test"

# compare MODES OPTION...: the object is in work/c.json.
compare() {
    local want=$1 modes=$2
    shift 2
    rm -rf c
    # shellcheck disable=SC2086
    expect_status "$want" "$lyre" compare mlr $common --peers 2 --dir c \
        --json --modes "$modes" "$@"
    grep '^{' out >c.json || [ "$want" != 0 ] || fail "no object"
}

compare 0 sv,sv+select=jcss:4+codec,matrix-allreduce --until accuracy=0.9 \
    --clocks 2000
python3 - c.json <<'PY' || fail "the results are wrong"
import json, sys
modes = json.load(open(sys.argv[1]))["modes"]
assert [m["mode"] for m in modes] == ["sv", "sv+select=jcss:4+codec",
                                      "matrix-allreduce"]
for m in modes:
    assert m["status"] == "reached" and m["accuracy"] >= .9, m
    assert m["clocks"] % 10 == 0 and m["peers"] == 2, m
sv, few, matrix = modes
assert sv["speedup"] == 1
assert few["bytes_per_peer_and_clock"] < sv["bytes_per_peer_and_clock"] / 2
assert matrix["bytes_per_peer_and_clock"] > 0
PY
# The same numbers as the processes wrote, and the same settings for all.
python3 - c.json c/sv.json <<'PY' || fail "not what sv wrote"
import json, sys
table, run = (json.load(open(f)) for f in sys.argv[1:])
sv = table["modes"][0]
assert sv["bytes_sent"] == run["bytes_sent"]
assert sv["accuracy"] == run["accuracy"] and sv["clocks"] == run["clock"]
assert abs(sv["seconds_waiting"] - run["seconds_waiting"]) < 1e-6
PY
grep -q "matrix-allreduce" c/report.html || fail "no report of all modes"
expect_status 1 "$lyre" compare mlr --data train.svm --dir c --modes sv
expect_said "c/sv is there already"

# A target that is too far is said, and is no failure; a mode that fails is.
compare 0 sv --until loss=0.0001 --clocks 10
expect_said "target not reached"
compare 1 sv+codec=f99,sv --until clocks=10
expect_said "sv+codec=f99: failed: --codec"
python3 - c.json <<'PY' || fail "a failed mode stops or hides the other"
import json, sys
bad, good = json.load(open(sys.argv[1]))["modes"]
assert bad["status"] == "failed" and "codec" in bad["error"]
assert good["status"] == "done" and good["clocks"] == 10
PY

# refuses TEXT OPTION...: status 2, and nothing is begun.
refuses() {
    local text=$1
    shift
    # shellcheck disable=SC2086
    expect_status 2 "$lyre" compare mlr $common --dir none "$@"
    expect_said "$text"
    [ ! -e none ] || fail "something was begun: $*"
}
refuses '"vs" is no mode' --modes sv,vs
refuses "+sel is none of the parts" --modes sv+sel
refuses "is there twice" --modes sv,sv
refuses "how many clocks?" --until clocks=many
refuses "loss=X" --until quickly
refuses "no such choice" --optimizer none

# Ctrl-C: the mode in hand ends, the next is not begun, nobody is left.
rm -rf c
# shellcheck disable=SC2086
"$lyre" compare mlr $common --peers 2 --dir c --modes sv,sv+codec \
    --clocks 1000000000 >out 2>&1 &
pid=$!
for _ in $(seq 300); do
    [ ! -s c/sv/peer-1/index.db ] || break
    sleep 0.1
done
kill -INT $pid
status=0
wait $pid || status=$?
[ $status = 130 ] || { cat out; fail "status $status after Ctrl-C"; }
expect_said "sv: failed: "
expect_said "sv+codec: failed: not begun"
! pgrep -f "$work/c" >/dev/null || fail "processes are left"
check "go on after Ctrl-C" "$lyre" resume c/sv --clocks 5

# Links: only root can make them.
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --clear-groups \
    "$lyre" --version >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    expect_status 2 setpriv --reuid 65534 --clear-groups \
        "$lyre" compare mlr $common --dir none --links 1gbit
    expect_said "--links needs root"
fi
if ! NETLAB=probe$$ "$netlab" up 1 none >/dev/null 2>&1; then
    echo "modes compare, targets end runs; no links: this machine makes none"
    exit 0
fi
NETLAB=probe$$ "$netlab" down
compare 0 sv,matrix-allreduce --links 100mbit --until clocks=100
python3 - c.json c/sv.1.json <<'PY' || fail "links and peers count differently"
import json, sys
table, peer = (json.load(open(f)) for f in sys.argv[1:])
for m in table["modes"]:
    assert m["peers"] == 2 and m["clocks"] == 100, m
    more = m["link_bytes_sent"] / m["bytes_sent"]
    assert 1 <= more < 1.5, more
assert peer["peers"][0]["rank"] == 1
PY
compare 1 sv --links quick --until clocks=10
expect_said "'quick' is not a rate"
[ ! -e c/sv ] || fail "something was begun on links that are not there"
# shellcheck disable=SC2086
"$lyre" compare mlr $common --peers 2 --dir links --modes sv --links none \
    --clocks 1000000000 >out 2>&1 &
pid=$!
for _ in $(seq 300); do
    [ ! -s links/sv/peer-1/index.db ] || break
    sleep 0.1
done
kill -INT $pid
status=0
wait $pid || status=$?
[ $status = 130 ] || { cat out; fail "status $status after Ctrl-C, with links"; }
! pgrep -f "$work/links" >/dev/null || fail "processes are left"
! ip netns list | grep -q "compare_${pid}-" || fail "hosts are left"
echo "modes compare, targets end runs, links are counted"
