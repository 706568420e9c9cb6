#!/usr/bin/env bash
# Short runs of several peers with several threads each: what a build with
# ThreadSanitizer watches. Ends with equal replicas, and replays to them.
. "$(dirname "$0")/lib.sh"

make_data 600
for mode in bsp pipeline:2 asp; do
    check "$mode" "$lyre" train mlr --data "$work/train.svm" \
        --run "$work/$mode" --peers 3 --threads 2 --batch 16 --clocks 25 \
        --digest-every 5 --durability clock --consistency $mode --quiet
    check "replay $mode" "$lyre" replay "$work/$mode" --verify --threads 3
done
[ "$(last_digest "$work/bsp" 0)" = "$(last_digest "$work/bsp" 2)" ] ||
    fail "replicas differ"
echo "threads of all kinds at work, the same bits"
