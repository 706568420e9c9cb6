#!/usr/bin/env bash
# Real processes on loopback: every mode and optimizer trains, and every 10th
# clock is rebuilt to the digest that training took, with other threads and
# instructions than training had.
. "$(dirname "$0")/lib.sh"

make_data 2000
isas=scalar
for isa in avx2 avx512 neon; do
    LYRE_ISA=$isa "$lyre" --version >/dev/null 2>&1 && isas="$isas $isa"
done
echo "instruction sets: $isas"

# train NAME OPTION...
train() {
    local name=$1
    shift
    check "$name" "$lyre" train mlr --data "$work/train.svm" \
        --test "$work/test.svm" --run "$work/$name" --batch 8 --clocks 60 \
        --digest-every 10 --json "$@"
    cp "$work/out" "$work/$name.json"
}

# Every digest of every peer's log, in another way than it was trained.
verify() {
    local name=$1 peers=$2 isa
    [ -z "$brief" ] || peers=1
    for ((p = 0; p < peers; p++)); do
        for isa in $isas; do
            LYRE_ISA=$isa check "replay $name, peer $p, $isa" "$lyre" replay \
                "$work/$name" --peer "$p" --verify --threads 3
            expect_said "clock 10 matrix W"
            expect_said "clock 60 matrix W"
        done
    done
}

for mode in bsp pipeline:2 ssp:2 asp adaptive:0-4; do
    train "mode-$mode" --peers 4 --threads 1 --consistency "$mode"
    verify "mode-$mode" 4
done
for optimizer in sgd momentum rowgrad adagrad; do
    train "optimizer-$optimizer" --peers 4 --threads 1 --optimizer "$optimizer" \
        --decay 1e-4 --sparsify 0.01
    verify "optimizer-$optimizer" 4
done
train dense-u --peers 2 --sparsify 0 --bias
verify dense-u 2
train unbiased --peers 2 --sparsify 0.02:unbiased --consistency ssp:1
verify unbiased 2

for schedule in "bsp random:1" "ssp:2 halton:2" "asp ring"; do
    name="multicast-${schedule// /-}"
    train "$name" --peers 4 --threads 1 --consistency "${schedule% *}" \
        --multicast "${schedule#* }" --repair lazy:3
    verify "$name" 4
done

# Without repair a batch reaches whom the schedule names, and counts for more:
# the factor is in the log.
for schedule in "ssp:2 random:2" "asp halton:2" "adaptive:0-4 ring"; do
    name="none-${schedule// /-}"
    train "$name" --peers 5 --threads 1 --consistency "${schedule% *}" \
        --multicast "${schedule#* }" --repair none
    verify "$name" 5
    for p in 0 1 2 3 4; do
        check "verify log of $name" "$lyre" log verify "$work/$name" --peer "$p"
    done
done
for c in $(seq 20 40); do
    check "show $c" "$lyre" log show "$work/none-ssp:2-random:2" --clock "$c"
    cat "$work/out"
done >"$work/shown"
# One of (P - 2) / (Q - 1) batches comes, and counts so many times.
grep -q "apply to W the batch of peer [123], clock [0-9]*, 3 times" \
    "$work/shown" || fail "no batch counts three times"
grep -q "apply to W the batch of peer 4, clock [0-9]*$" "$work/shown" ||
    fail "the neighbour's batches do not count once"
check "reindex" "$lyre" log reindex "$work/none-ssp:2-random:2" --peer 0
check "replay after reindex" "$lyre" replay "$work/none-ssp:2-random:2" --verify

# Where the mode promises equal replicas, they are equal.
for name in mode-bsp mode-pipeline:2 optimizer-momentum dense-u \
    multicast-bsp-random:1; do
    a=$(last_digest "$work/$name" 0)
    b=$(last_digest "$work/$name" 1)
    [ "$a" = "$b" ] || fail "$name: peers 0 and 1 end differently"
    [ "$(json digest "$work/$name.json")" = "$a" ] ||
        fail "$name: the summary has another digest"
done
# And it has learned: 23 classes, so chance is .04.
python3 - "$work/mode-bsp.json" <<'PY' || fail "bsp has not learned"
import json, sys
sys.exit(0 if json.load(open(sys.argv[1]))["accuracy"] > .3 else 1)
PY
echo "all modes and optimizers replay to the bit"
