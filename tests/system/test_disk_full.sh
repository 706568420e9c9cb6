#!/usr/bin/env bash
# The disk of the logs fills up: training stops cleanly and says so, and goes on
# once there is room, to the model of an undisturbed run.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "a small file system needs root"
disk="$work/disk"
mkdir "$disk"
mount -t tmpfs -o size=6m tmpfs "$disk" 2>/dev/null || skip "no tmpfs here"
trap 'umount "$disk" 2>/dev/null || umount -l "$disk"; cleanup' EXIT

make_data 3000
settings="--data $work/train.svm --peers 2 --threads 1 --batch 64
    --clocks 1200 --sparsify 0 --durability 100ms"
# shellcheck disable=SC2086 # A list of options.
check "undisturbed run" "$lyre" train mlr $settings --run "$work/whole" --quiet

# shellcheck disable=SC2086
expect_status 6 "$lyre" train mlr $settings --run "$disk/run" --quiet
expect_said "No space left on device"
expect_said "lyre resume"
check "verify the log of a full disk" "$lyre" log verify "$disk/run"

mount -o remount,size=400m "$disk"
check "resume with room" "$lyre" resume "$disk/run" --quiet
for p in 0 1; do
    [ "$(last_digest "$disk/run" $p)" = "$(last_digest "$work/whole" 0)" ] ||
        fail "peer $p ends with another model"
done
echo "a full disk loses nothing"
