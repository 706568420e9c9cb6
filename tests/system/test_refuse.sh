#!/usr/bin/env bash
# What training refuses, and how it says so: numbers that are not finite, data
# and settings that differ between peers or from the run's, runs that are there
# already or in use, logs that are missing.
. "$(dirname "$0")/lib.sh"

make_data 1000
train="$lyre train mlr --data $work/train.svm"

# A row whose logits overflow: the clock, the peer and the row are named.
cp "$work/train.svm" "$work/huge.svm"
printf '3 1:3e38 2:3e38 3:3e38\n' >>"$work/huge.svm"
expect_status 4 "$lyre" train mlr --data "$work/huge.svm" --run "$work/nan" \
    --peers 2 --batch 16 --epochs 3 --optimizer sgd --lr 10 --quiet
grep -Eq 'clock [0-9]+, peer [01]: row 1001 of .*not finite|clock [0-9]+, peer [01]: row 1001' \
    "$work/out" || { cat "$work/out"; fail "clock, peer and row are not named"; }
expect_said "smaller --lr"
# The log leads back to before it.
check "replay after NaN" "$lyre" replay "$work/nan" --digest
check "verify after NaN" "$lyre" log verify "$work/nan"

# A run is never written over.
# shellcheck disable=SC2086 # A command in a variable.
check "a run" $train --run "$work/run" --peers 2 --clocks 20 --quiet
before=$(last_digest "$work/run" 1)
# shellcheck disable=SC2086
expect_status 1 $train --run "$work/run" --peers 2 --clocks 20
expect_said "holds a run already"
[ "$(last_digest "$work/run" 1)" = "$before" ] || fail "the run was changed"

# Resuming a complete run changes nothing; going on further does.
check "resume a complete run" "$lyre" resume "$work/run"
[ "$(last_digest "$work/run" 1)" = "$before" ] || fail "the run was changed"
check "resume beyond the end" "$lyre" resume "$work/run" --clocks 30 --json
[ "$(json clock "$work/out")" = 30 ] || fail "it did not end at clock 30"
# shellcheck disable=SC2086
check "30 at once" $train --run "$work/run30" --peers 2 --clocks 30 --quiet
[ "$(last_digest "$work/run" 0)" = "$(last_digest "$work/run30" 0)" ] ||
    fail "20 clocks and 10 more are not 30 clocks"

# Other data than it began with.
cp "$work/train.svm" "$work/kept.svm"
sed -i '1s/^[0-9]*/7/; 2s/^[0-9]*/8/' "$work/train.svm"
expect_status 2 "$lyre" resume "$work/run" --clocks 40
expect_said "is not what the run began with"
cp "$work/kept.svm" "$work/train.svm"

# Replicas cannot be equal where some never hear of others.
for how in "bsp ring" "pipeline:2 random:2"; do
    expect_status 2 $train --run "$work/none" --peers 4 --repair none \
        --consistency "${how% *}" --multicast "${how#* }"
    expect_said "use --repair lazy:L, --multicast all or --consistency ssp:S"
    expect_status 2 $train --run "$work/none" --peers 4 --repair sync:5 \
        --consistency "${how% *}" --multicast "${how#* }"
    expect_said "use --repair lazy:L, --multicast all or --consistency ssp:S"
done
expect_status 2 $train --run "$work/none" --peers 4 --repair rotate:5 \
    --consistency ssp:2
expect_said "use --multicast random:Q, halton:Q or ring"
expect_status 2 "$lyre" simulate mlr --data "$work/train.svm" --peers 4 \
    --multicast ring --repair none
expect_said "leaves out for good"
expect_status 2 $train --run "$work/none" --peers 4 --repair nothing
expect_said "is no kind of repair: lazy:L, sync:S, rotate:S or none"
check "all, and nothing to repair" $train --run "$work/none" --peers 2 \
    --clocks 20 --multicast ring --repair none --quiet
[ "$(last_digest "$work/none" 0)" = "$before" ] ||
    fail "repair none is not lazy where nobody is left out"

# A log is missing.
mv "$work/run/peer-1" "$work/aside"
expect_status 1 "$lyre" resume "$work/run" --clocks 40
expect_said "the logs of 1 peers, the run has 2"
mv "$work/aside" "$work/run/peer-1"
expect_status 1 "$lyre" resume "$work/nothing"
expect_status 1 "$lyre" replay "$work/run" --clock 31
expect_said "goes to clock 30"

# Peers with other settings do not train together; both say so.
meet="--peers 2 --rendezvous file://$work --clocks 20 --quiet"
# shellcheck disable=SC2086
$train --run "$work/mixed" --rank 0 $meet --lr 1 >"$work/rank0" 2>&1 &
# shellcheck disable=SC2086
expect_status 2 $train --run "$work/mixed" --rank 1 $meet --lr 2
expect_said "other data or other settings"
status=0
wait $! || status=$?
[ $status = 2 ] || fail "rank 0 ends with $status"

# A directory of one peer is in use by one process at a time.
# shellcheck disable=SC2086
$train --run "$work/busy" --clocks 1000000 --quiet >"$work/busy.out" 2>&1 &
pid=$!
for _ in $(seq 100); do
    sleep 0.05
    [ -e "$work/busy/peer-0/index.db" ] && break
done
sleep 0.3
expect_status 1 "$lyre" resume "$work/busy"
kill -INT $pid
wait $pid || true
check "verify after a second process tried" "$lyre" log verify "$work/busy"
echo "all that is wrong is refused and named"
