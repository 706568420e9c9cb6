#!/usr/bin/env bash
# A simulated job computes what a real one computes, bit for bit; the network
# that it is given costs virtual time, not accuracy; and it is repeatable.
. "$(dirname "$0")/lib.sh"

make_data 3000
job="mlr --data $work/train.svm --test $work/test.svm --peers 4 --threads 1
    --batch 8 --clocks 60"
times="--compute 1ms --apply 10us"

# simulate NAME OPTION...: the JSON object is in work/NAME.
simulate() {
    local name=$1
    shift
    # shellcheck disable=SC2086 # A list of options.
    "$lyre" simulate $job $times --json "$@" >"$work/$name" 2>"$work/out" || {
        cat "$work/out"
        fail "simulate $*"
    }
}

# same FIELD A B: two objects agree.
same() {
    [ "$(json "$1" "$work/$2")" = "$(json "$1" "$work/$3")" ] ||
        fail "$1 differs between $2 and $3"
}

# more FIELD A B FACTOR: B has at least FACTOR times as much of it as A.
more() {
    python3 -c 'import sys; a, b, f = map(float, sys.argv[1:])
sys.exit(not b >= f * a > 0)' "$(json "$1" "$work/$2")" \
        "$(json "$1" "$work/$3")" "$4" || fail "$1: $2 against $3"
}

for how in "--consistency bsp" "--consistency pipeline:3" \
    "--consistency bsp --multicast random:1 --repair lazy:4" \
    "--shards contiguous" "--shards sorted"; do
    # shellcheck disable=SC2086
    check "training with $how" "$lyre" train $job $how --run "$work/run" --quiet
    # shellcheck disable=SC2086
    simulate it $how
    [ "$(json digest "$work/it")" = "$(last_digest "$work/run" 0)" ] ||
        fail "a simulation has another digest with $how"
    [ "$(json replicas "$work/it")" = 1 ] || fail "replicas differ with $how"
    rm -r "$work/run"
done

# What a shard is survives a resume and another form of the data.
# shellcheck disable=SC2086
check "training for longer" "$lyre" train $job --clocks 80 --shards sorted \
    --run "$work/whole" --quiet
# shellcheck disable=SC2086
check "training sorted shards" "$lyre" train $job --shards sorted \
    --run "$work/run" --quiet
check "resuming" "$lyre" resume "$work/run" --clocks 80 --quiet
check "converting" "$lyre" data convert "$work/train.svm" \
    --out "$work/train.bin"
# shellcheck disable=SC2086
check "training from .bin" "$lyre" train $job --clocks 80 --shards sorted \
    --data "$work/train.bin" --run "$work/binary" --quiet
for run in run binary; do
    [ "$(last_digest "$work/$run" 1)" = "$(last_digest "$work/whole" 1)" ] ||
        fail "$run has other shards"
done
# shellcheck disable=SC2086
expect_status 2 "$lyre" simulate $job --shards some
expect_said "interleaved, contiguous or sorted"

simulate plain
simulate again
simulate sorted --shards sorted
[ "$(json digest "$work/sorted")" != "$(json digest "$work/plain")" ] ||
    fail "sorted shards are as interleaved ones"
for field in digest seconds bytes_sent messages_sent series; do
    same $field plain again
done

simulate delayed --delay 20ms
simulate thin --link 1mbit
simulate lossy --loss 2%
for net in delayed thin lossy; do
    same digest plain $net
    same accuracy plain $net
    more seconds plain $net 1.5
done
more messages_sent plain lossy 1.01

simulate slow --stragglers 25%:8
same digest plain slow
more seconds plain slow 4
more seconds_waiting plain slow 4
python3 - "$work/slow" <<'END' || fail "stragglers wait as long as others"
import json, sys
r = json.load(open(sys.argv[1]))
sys.exit(not r["seconds_waiting_stragglers"] < r["seconds_waiting"] / 3)
END

# Who need not wait for stragglers at every clock waits less for jitter.
simulate bsp --jitter 0.9 --loss 1%
simulate ssp --jitter 0.9 --loss 1% --consistency ssp:4
more seconds_waiting ssp bsp 1.1
[ "$(json replicas "$work/ssp")" -gt 1 ] || fail "ssp with equal replicas"

# Replicas that a sparse schedule leads apart are mixed, at the price of bytes,
# and the same settings give the same bits.
few="--consistency ssp:2 --multicast ring"
# shellcheck disable=SC2086
simulate apart $few --repair none
for repair in sync:5 rotate:5; do
    # shellcheck disable=SC2086
    simulate mixed $few --repair $repair
    # shellcheck disable=SC2086
    simulate mixed_again $few --repair $repair
    for field in digest seconds bytes_sent series; do
        same $field mixed mixed_again
    done
    more bytes_sent apart mixed 1.5
    # Messages that are lost are asked for, and change nothing but the time.
    # shellcheck disable=SC2086
    simulate mixed_lossy $few --repair $repair --loss 5%
    more messages_sent mixed mixed_lossy 1.01
done

echo "the table, and what is wrong with options"
# shellcheck disable=SC2086
check "the table" "$lyre" simulate $job $times --eval-every 30
expect_said "equal on all peers"
expect_said "      60 "
# shellcheck disable=SC2086
for wrong in "--link 1apple" "--loss 0.05%" "--stragglers 5" "--loss 100%"; do
    expect_status 2 "$lyre" simulate $job $wrong
    expect_said "$wrong"
done
expect_status 2 "$lyre" simulate mlr --peers 2
expect_said "--data is missing"
head -3 "$work/test.svm" >"$work/few.svm"
# shellcheck disable=SC2086
expect_status 2 "$lyre" simulate $job --data "$work/few.svm"
expect_said "not one for each"
echo "all is well"
