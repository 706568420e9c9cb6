#!/usr/bin/env bash
# A peer is killed at some moment: the others notice, say so and end with a
# status of their own; resume goes on, and the model is the one that a run
# without a kill ends with, bit for bit.
. "$(dirname "$0")/lib.sh"

make_data 4000
settings="--data $work/train.svm --peers 4 --threads 1 --batch 4 --clocks 3000
    --digest-every 100 --peer-timeout 3s --consistency bsp"

# shellcheck disable=SC2086 # A list of options.
check "undisturbed run" "$lyre" train mlr $settings --run "$work/whole" --quiet
want=$(last_digest "$work/whole" 0)

# The process of one peer: a child of the command.
child_of() {
    pgrep -P "$1" | sed -n "$(($2 + 1))p"
}

kills=0
resumes=0
run_once() {
    local pid victim status=0
    "$@" >"$work/said" 2>&1 &
    pid=$!
    # Anything from before training to its end; in the second round, when there
    # is something to resume.
    while [ "$round" = 2 ] && kill -0 $pid 2>/dev/null &&
        ! "$lyre" log ls "$run" >/dev/null 2>&1; do
        sleep 0.01
    done
    [ "$round" = 2 ] || sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
    victim=$(child_of $pid $((RANDOM % 4)) || true)
    if [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null; then
        kills=$((kills + 1))
    fi
    wait $pid || status=$?
    return $status
}

# The third round sends to one peer at once, and to the others in groups.
groups="--multicast random:1 --repair lazy:4"
# shellcheck disable=SC2086
check "undisturbed run with groups" "$lyre" train mlr $settings $groups \
    --run "$work/groups" --quiet
want_groups=$(last_digest "$work/groups" 0)

RANDOM=7
rounds="1 2 3"
peers="0 1 2 3"
[ -z "$brief" ] || { rounds="2 3"; peers=2; }
for round in $rounds; do
    run="$work/run$round"
    if [ $round = 3 ]; then
        settings="$settings $groups"
        want=$want_groups
    fi
    status=0
    # shellcheck disable=SC2086
    run_once "$lyre" train mlr $settings --run "$run" --quiet || status=$?
    tries=0
    while [ $status != 0 ]; do
        [ $status = 3 ] || {
            cat "$work/said"
            fail "status $status after a kill"
        }
        grep -q 'ended by signal 9' "$work/said" || {
            cat "$work/said"
            fail "the killed peer is not named"
        }
        tries=$((tries + 1))
        [ $tries -le 10 ] || fail "ten tries were not enough"
        # Killed before its log began: nothing to resume.
        if [ "$(find "$run" -maxdepth 1 -name 'peer-*' 2>/dev/null | wc -l)" != 4 ] ||
            ! "$lyre" log ls "$run" >/dev/null 2>&1; then
            rm -rf "$run"
            status=0
            # shellcheck disable=SC2086
            "$lyre" train mlr $settings --run "$run" --quiet \
                >"$work/said" 2>&1 || status=$?
            continue
        fi
        resumes=$((resumes + 1))
        status=0
        if [ $tries -lt 3 ]; then
            run_once "$lyre" resume "$run" --quiet || status=$?
        else
            "$lyre" resume "$run" --quiet >"$work/said" 2>&1 || status=$?
        fi
    done
    for p in 0 1 2 3; do
        [ "$(last_digest "$run" $p)" = "$want" ] ||
            fail "round $round: peer $p ends with another model"
    done
    check "verify round $round" "$lyre" replay "$run" --peer 2 --verify
done
[ $kills -gt 0 ] || fail "nothing was killed"
[ $resumes -gt 0 ] || fail "nothing was resumed"
echo "$kills kills, $resumes resumes, the same bits"

# Without repair replicas differ, and each still comes back to what its log says:
# its own batch and its left neighbour's of every clock, once. Killed after a
# while, so that there is something to resume.
# shellcheck disable=SC2086
"$lyre" train mlr $settings --consistency ssp:2 --multicast ring \
    --repair none --run "$work/none" --quiet >"$work/said" 2>&1 &
pid=$!
for _ in $(seq 100); do
    sleep 0.05
    "$lyre" log ls "$work/none" 2>/dev/null | grep -q 'clock' && break
done
kill -9 "$(child_of $pid 2)" 2>/dev/null || true
status=0
wait $pid || status=$?
if [ $status != 0 ]; then
    [ $status = 3 ] || { cat "$work/said"; fail "status $status after a kill"; }
    check "resume without repair" "$lyre" resume "$work/none" --quiet
fi
for p in $peers; do
    check "verify peer $p without repair" "$lyre" replay "$work/none" \
        --peer "$p" --verify
    check "whose batches peer $p applied" "$lyre" blame "$work/none" \
        --peer "$p" --json
    python3 - "$work/out" "$p" <<'PY' || fail "peer $p applied others, or not all"
import json, sys
peers = {x["peer"]: x["batches"] for x in json.load(open(sys.argv[1]))["peers"]}
p = int(sys.argv[2])
sys.exit(peers != {p: 3000, (p + 3) % 4: 3000})
PY
done

# Replicas that are averaged, or moved on, every ten clocks: each comes back to
# what its log says, rounds and all, and under sync they end close together.
for repair in sync:10 rotate:10; do
    run=$work/${repair%:*}
    # shellcheck disable=SC2086
    "$lyre" train mlr $settings --consistency ssp:2 --multicast ring \
        --repair $repair --run "$run" --quiet >"$work/said" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        sleep 0.05
        "$lyre" log ls "$run" 2>/dev/null | grep -q 'clock' && break
    done
    kill -9 "$(child_of $pid 2)" 2>/dev/null || true
    status=0
    wait $pid || status=$?
    if [ $status != 0 ]; then
        [ $status = 3 ] || {
            cat "$work/said"
            fail "status $status after a kill, $repair"
        }
        check "resume with $repair" "$lyre" resume "$run" --quiet
    fi
    for p in $peers; do
        check "verify peer $p with $repair" "$lyre" replay "$run" --peer "$p" \
            --verify
        # A round of the first piece begins at clock 2990, and is over by the
        # last; each peer has a record of it.
        found=0
        for clock in $(seq 2990 2999); do
            check "show" "$lyre" log show "$run" --peer "$p" --clock "$clock"
            grep -q 'what other replicas have there' "$work/out" && found=1
        done
        [ $found = 1 ] || fail "peer $p was not mixed with others at the end"
    done
done

# The survivors say who is gone and since when.
# shellcheck disable=SC2086
"$lyre" train mlr $settings --clocks 100000 --run "$work/gone" --quiet \
    >"$work/said" 2>&1 &
pid=$!
for _ in $(seq 100); do
    sleep 0.1
    "$lyre" log ls "$work/gone" 2>/dev/null | grep -q 'clock' && break
done
sleep 0.5
kill -9 "$(child_of $pid 2)"
status=0
wait $pid || status=$?
cp "$work/said" "$work/out"
[ $status = 3 ] || { cat "$work/out"; fail "status $status for a lost peer"; }
for p in 0 1 3; do
    grep -Eq "peer $p: peer 2 is gone since clock [0-9]+" "$work/out" ||
        { cat "$work/out"; fail "peer $p does not say who is gone"; }
done
expect_said "lyre resume"

# Ctrl-C: the logs are whole, the advice is there, resume goes on.
# shellcheck disable=SC2086
"$lyre" train mlr $settings --run "$work/ctrlc" >"$work/said" 2>&1 &
pid=$!
for _ in $(seq 100); do
    "$lyre" log ls "$work/ctrlc" 2>/dev/null | grep -q 'clock' && break
    sleep 0.1
done
sleep 0.3
kill -INT $pid 2>/dev/null || true
status=0
wait $pid || status=$?
cp "$work/said" "$work/out"
if [ $status = 130 ]; then
    expect_said "lyre resume $work/ctrlc"
    check "resume after Ctrl-C" "$lyre" resume "$work/ctrlc" --quiet
elif [ $status != 0 ]; then
    cat "$work/out"
    fail "status $status after Ctrl-C"
fi
[ "$(last_digest "$work/ctrlc" 3)" = "$want" ] ||
    fail "another model after Ctrl-C"
# Ctrl-C while the peers read their data or meet is Ctrl-C, too.
for _ in 1 2 3; do
    rm -rf "$work/early"
    # shellcheck disable=SC2086
    "$lyre" train mlr $settings --clocks 1000000 --run "$work/early" --quiet \
        >"$work/said" 2>&1 &
    pid=$!
    for _ in $(seq 200); do
        compgen -G "$work/early/meet-*" >/dev/null && break
        sleep 0.01
    done
    kill -INT $pid
    status=0
    wait $pid || status=$?
    cp "$work/said" "$work/out"
    [ $status = 130 ] || { cat "$work/out"; fail "status $status after an early Ctrl-C"; }
done

echo "lost peers are named, Ctrl-C loses nothing"
