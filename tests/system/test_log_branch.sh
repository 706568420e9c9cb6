#!/usr/bin/env bash
# Runs that go on from the past of others, and what is found out with them:
# branch, bisect, and models without some batches.
. "$(dirname "$0")/lib.sh" "$@"
cd "$work"
make_data 4000

train() {
    check "training" "$lyre" train mlr --test test.svm --batch 16 --threads 1 \
        --quiet --peers 4 "$@"
}

echo "branch: the same settings make the same run"
train --data train.svm --run trunk --clocks 120 --segment-size 64K \
    --digest-every 40
want=$(last_digest trunk 0)
expect_status 0 "$lyre" branch trunk --clock 80 --run same
expect_said "same: clocks 0 to 80 of trunk, "
check "resume" "$lyre" resume same --threads 1 --quiet
for p in 0 1 2 3; do
    [ "$(last_digest same $p)" = "$want" ] || fail "peer $p of the branch"
done
expect_status 0 "$lyre" log verify same
expect_status 0 "$lyre" replay same --verify --peer 2
expect_status 1 "$lyre" branch trunk --clock 80 --run same
expect_said "same is there already: name another --run"
expect_status 1 "$lyre" branch trunk --clock 121 --run never --clocks 200
[ ! -e never ] && [ ! -e never.partial ] || fail "half a branch"
expect_status 2 "$lyre" branch trunk --clock 120 --run never
expect_said "nothing is left behind clock 120"

echo "branch: other settings make another run, and neither needs the other"
expect_status 0 "$lyre" branch trunk --clock 80 --run other --lr 0.2 \
    --consistency pipeline:2 --multicast ring --select svd:4 --codec bf16 \
    --clocks 130
check "resume" "$lyre" resume other --threads 1 --quiet
expect_status 0 "$lyre" replay other --clock 80
"$lyre" replay trunk --clock 80 >at-80
cmp -s out at-80 || fail "the branch has another past"
[ "$(last_digest other 0)" = "$(last_digest other 3)" ] || fail "replicas"
[ "$(last_digest other 0)" != "$want" ] || fail "nothing is other"
other=$(last_digest other 1)
expect_status 2 "$lyre" branch other --clock 100 --run never \
    --consistency bsp
expect_said "batches are on their way at clock 100"
# One that was stopped at once has still its own settings.
expect_status 0 "$lyre" branch trunk --clock 80 --run twice --lr 0.2 --clocks 90
expect_status 0 "$lyre" branch trunk --clock 80 --run once --lr 0.2 --clocks 90
check "resume" "$lyre" resume once --threads 1 --quiet
check "resume" "$lyre" resume twice --threads 1 --quiet --clocks 81
check "resume" "$lyre" resume twice --threads 1 --quiet
[ "$(last_digest once 0)" = "$(last_digest twice 0)" ] || fail "resumed branch"
# The old run goes on from within a segment that the branches share: peer 3
# lost its last clocks, so all go back to before the branch.
size=$(stat -c %s trunk/peer-3/segments/00000001.seg)
rm -f trunk/peer-3/segments/0000000[2-9].seg trunk/peer-3/segments/0000001*.seg
cp trunk/peer-3/segments/00000001.seg cut.seg
truncate -s $((size / 2)) cut.seg
mv cut.seg trunk/peer-3/segments/00000001.seg
rm -f trunk/peer-3/index.db*
check "resume" "$lyre" resume trunk --threads 1 --quiet
[ "$(last_digest trunk 0)" = "$want" ] || fail "the old run went another way"
expect_status 0 "$lyre" log verify other
[ "$(last_digest other 1)" = "$other" ] || fail "the old run hurt its branch"
expect_status 0 "$lyre" log compact trunk --keep 3
[ "$(last_digest other 1)" = "$other" ] || fail "compacting hurt the branch"
rm -rf trunk
[ "$(last_digest other 1)" = "$other" ] || fail "removing hurt the branch"
expect_status 0 "$lyre" log verify other
expect_status 0 "$lyre" log compact other --keep 10
check "resume" "$lyre" resume other --threads 1 --quiet --clocks 140
expect_status 0 "$lyre" branch other --clock 135 --run again --lr 0.1 \
    --clocks 150
check "resume" "$lyre" resume again --threads 1 --quiet
expect_status 0 "$lyre" log verify again

echo "a peer that goes bad at clock 100 is found, and left out"
awk 'NR % 4 == 3 { $1 = 7 } { print }' train.svm >sevens.svm
train --data train.svm --run good --clocks 160 --lr 0.3
expect_status 0 "$lyre" branch good --clock 100 --run bad-later \
    --data sevens.svm
check "resume" "$lyre" resume bad-later --threads 1 --quiet
for metric in loss accuracy; do
    expect_status 0 "$lyre" bisect bad-later --data test.svm --metric $metric \
        --json
    python3 - "$work/out" <<'END' || fail "bisect by $metric"
import json, sys
s = json.load(open(sys.argv[1]))
print(s["metric"], s["clock"], s["before"], s["after"], s["best"], s["worst"])
assert 100 < s["clock"] <= 125, s["clock"]
assert s["after"]["clock"] == s["before"]["clock"] + 1 == s["clock"], s
assert len(s["points"]) == 32, len(s["points"])
END
done
cp "$work/out" bisected
expect_status 0 env LYRE_ISA=scalar "$lyre" bisect bad-later --data test.svm \
    --metric accuracy --json --threads 1
expect_status 0 "$lyre" bisect good --data test.svm --from 20 --json
grep -q '"clock": null' out || fail "a good run got worse"
expect_status 0 "$lyre" bisect bad-later --data test.svm --class 7
expect_said "loss on "
expect_status 2 "$lyre" bisect bad-later --data test.svm --class x
expect_status 0 "$lyre" blame bad-later --clock 101..115
[ "$(awk '/ peer / && /batches/ && !/^clocks/ { print $4; exit }' out)" = "2," ] ||
    fail "blame does not name peer 2 first"
expect_status 0 "$lyre" diff bad-later --from 100 --to 115 --json
python3 - "$work/out" <<'END' || fail "diff does not name peer 2"
import json, sys
s = json.load(open(sys.argv[1]))
moved = [sum(x["moved"] * p["share"] for x in s["columns"]
             for p in x["peers"] if p["peer"] == i) for i in range(4)]
assert max(moved) == moved[2], moved
END
accuracy() {
    "$lyre" eval "$@" --data test.svm --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["accuracy"])'
}
bad=$(accuracy bad-later)
mended=$(accuracy bad-later --without peer=2,clock=100..159)
good=$(accuracy good)
python3 -c "
bad, mended, good = $bad, $mended, $good
print(bad, mended, good)
assert mended > bad + (good - bad) / 2" || fail "leaving peer 2 out helps little"
expect_status 0 "$lyre" replay good --without peer=3,clock=200..300
cp out none
expect_status 0 "$lyre" replay good
cmp -s out none || fail "leaving nothing out changed something"
expect_status 2 "$lyre" replay good --without peer=x
expect_said "peer=P, clock=A..B or peer=P,clock=A..B is wanted"
expect_status 2 "$lyre" replay good --verify --without peer=1
