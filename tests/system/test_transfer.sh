#!/usr/bin/env bash
# Whole matrices in place of pairs, real processes on loopback: all replicas
# have the same bits, the model is that of pairs but for rounding, logs replay,
# and a killed job goes on.
. "$(dirname "$0")/lib.sh"

make_data 2000

# train NAME OPTION...
train() {
    local name=$1
    shift
    check "$name" "$lyre" train mlr --data "$work/train.svm" \
        --test "$work/test.svm" --run "$work/$name" --batch 8 --clocks 40 \
        --digest-every 10 --threads 1 --json "$@"
    cp "$work/out" "$work/$name.json"
}

# verify NAME PEERS: all digests of all logs, and all peers end alike.
verify() {
    local first
    first=$(last_digest "$work/$1" 0)
    for ((p = 0; p < $2; p += 2)); do
        check "replay $1, peer $p" "$lyre" replay "$work/$1" --peer "$p" \
            --verify --threads 2
        expect_said "as in training"
        [ "$(last_digest "$work/$1" "$p")" = "$first" ] ||
            fail "$1: peer $p ends differently"
    done
}

# nearly A B: the matrices of two runs differ by rounding only, and differ
# from zero by more.
nearly() {
    local run
    for run in "$1" "$2"; do
        check "export $run" "$lyre" log export "$work/$run" --clock 40 \
            --peer 0 --out "$work/$run.npy"
    done
    python3 - "$work/$1.npy" "$work/$2.npy" <<'PY' || fail "$1 is not $2"
import array, sys
def read(name):
    data = open(name, "rb").read()
    start = 10 + int.from_bytes(data[8:10], "little")
    values = array.array("f")
    values.frombytes(data[start:])
    return values
a, b = read(sys.argv[1]), read(sys.argv[2])
size = max(map(abs, a))
apart = max(abs(x - y) for x, y in zip(a, b))
print(f"largest {size:.4g}, apart by {apart:.2g}")
sys.exit(0 if len(a) == len(b) and size > .01 and apart < 1e-5 * size else 1)
PY
}

sizes="1 3 4"
optimizers="momentum rowgrad adagrad"
killed="matrix-allreduce powersgd:3"
[ -z "$brief" ] || { sizes=3; optimizers=rowgrad; killed=matrix-allreduce; }
for peers in $sizes; do
    train "sv-$peers" --peers $peers --optimizer sgd --sparsify 0 --lr 0.3
    for t in matrix-ps matrix-allreduce; do
        train "$t-$peers" --peers $peers --transfer $t --optimizer sgd --lr 0.3
        verify "$t-$peers" $peers
        nearly "$t-$peers" "sv-$peers"
    done
done
# A sum of full rank is sent whole: there are 23 classes.
train powersgd-full --peers 3 --transfer powersgd:23 --optimizer sgd --lr 0.3
verify powersgd-full 3
nearly powersgd-full sv-3

for optimizer in $optimizers; do
    for t in matrix-ps matrix-allreduce powersgd:2; do
        train "$t-$optimizer" --peers 3 --transfer $t --optimizer $optimizer \
            --decay 1e-4
        verify "$t-$optimizer" 3
    done
done

# A peer is killed; the job goes on from where all were, to the same end.
for t in $killed; do
    run="$work/kill-$t"
    "$lyre" train mlr --data "$work/train.svm" --run "$run" --batch 8 \
        --clocks 1000 --digest-every 500 --threads 1 --peers 3 --transfer $t \
        --optimizer sgd --lr 0.3 >"$work/killed" 2>&1 &
    pid=$!
    for ((i = 0; i < 200; i++)); do
        sleep 0.05
        [ ! -d "$run/peer-2/segments" ] || break
    done
    sleep 0.1
    victims=$(pgrep -P $pid || true)
    [ -n "$victims" ] || fail "$t: the job ended before a peer was killed"
    kill -9 "$(echo "$victims" | tail -1)" || fail "$t: no peer to kill"
    if wait $pid; then
        fail "$t: the job went on without a peer"
    fi
    check "resume $t" "$lyre" resume "$run"
    verify "kill-$t" 3
done
train ended --peers 3 --clocks 1000 --transfer matrix-allreduce \
    --optimizer sgd --lr 0.3 --digest-every 500
[ "$(last_digest "$work/ended" 0)" = \
    "$(last_digest "$work/kill-matrix-allreduce" 0)" ] ||
    fail "a job that was killed ends differently"

# What does not go together is refused, and what does is named.
refuse() {
    local said=$1
    shift
    expect_status 2 "$lyre" train mlr --data "$work/train.svm" \
        --run "$work/refused" --peers 2 "$@"
    expect_said "$said"
    [ ! -e "$work/refused" ] || fail "refused, but begun: $*"
}
refuse "powersgd:R with R from 1 to 256" --transfer powersgd
refuse "matrix-allreduce, powersgd:R" --transfer matrix
refuse "goes with --consistency bsp only" --transfer matrix-ps --consistency ssp:2
refuse "goes with --select none only" --transfer matrix-ps --select svd:4
refuse "goes with --multicast all only" --transfer matrix-ps --multicast ring
refuse "goes with --codec f32 only" --transfer matrix-ps --codec bf16
refuse "goes with --sparsify 0 only" --transfer matrix-ps --sparsify 0.1
expect_status 2 "$lyre" train mlr --data "$work/train.svm" \
    --run "$work/rank" --peers 2 --transfer powersgd:99
expect_said "rank 99 of a matrix"
expect_status 2 "$lyre" simulate mlr --data "$work/train.svm" --peers 2 \
    --transfer matrix-ps
expect_said "sv only"

# auto: pairs of sparse vectors are the fewest bytes.
train auto --peers 2 --transfer auto
[ "$(json transfer "$work/auto.json")" = sv ] || fail "auto is not sv"
echo "matrices that travel whole end as pairs do"
