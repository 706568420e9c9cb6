#!/bin/bash
# lyre data: info, convert, featurize and split, as a user calls them.
# usage: test_data.sh LYRE

set -eu
lyre=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../..")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "test_data: $*" >&2
    exit 1
}

# expect STATUS MESSAGE COMMAND...: the command ends so and says so on stderr.
expect() {
    local status=0
    "${@:3}" >out 2>err || status=$?
    [ "$status" = "$1" ] || fail "status $status instead of $1: ${*:3}"
    grep -qF -- "$2" err || fail "expected '$2', got '$(cat err)': ${*:3}"
}

# field FILE KEY: a number of `info --json`.
field() {
    "$lyre" data info "$1" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' \
            "$2"
}

# same KEY FILE...: all files have the same value there.
same() {
    local key=$1 first
    first=$(field "$2" "$key")
    for file in "${@:3}"; do
        [ "$(field "$file" "$key")" = "$first" ] || fail "$key of $file"
    done
}

for i in $(seq 200); do
    printf 'even\tthe number %d\nodd\tDie Zahl %d\n' $((2 * i)) $((2 * i + 1))
done >all.tsv

for command in info convert featurize split; do
    "$lyre" data $command --help | grep -q "^examples:" || fail "$command help"
done

"$lyre" data split all.tsv --test 0.25 --seed 4 --out part >/dev/null
[ "$(wc -l <part.train.tsv)" = 300 ] || fail "rows for training"
[ "$(wc -l <part.test.tsv)" = 100 ] || fail "rows for testing"
sort part.train.tsv part.test.tsv | cmp - <(sort all.tsv) || fail "rows lost"

"$lyre" data featurize part.train.tsv --out train.svm --bits 12 >/dev/null
"$lyre" data featurize part.train.tsv --out train.svm.gz --bits 12 >/dev/null
"$lyre" data featurize part.train.tsv --out train.bin --bits 12 >/dev/null
"$lyre" data convert train.svm --out converted.bin >/dev/null
head -1 train.svm | grep -q "^# lyre featurizer char:1-3 bits 12" ||
    fail "featurizer line"
zcat train.svm.gz | cmp - train.svm || fail "compressed features differ"
for key in rows classes features nonzeros labels; do
    same $key train.svm train.svm.gz train.bin converted.bin
done
same fingerprint train.svm train.svm.gz converted.bin
[ "$(field train.svm features)" = 4096 ] || fail "features"
"$lyre" data info train.bin | grep -q "^rows  *300$" || fail "info"

expect 2 "which file?" "$lyre" data info
expect 2 "--out PREFIX is missing" "$lyre" data split all.tsv
expect 2 "--outt" "$lyre" data convert train.svm --outt x.bin
expect 2 "n-grams" "$lyre" data featurize all.tsv --out x.svm --ngrams chars
expect 1 "expected label TAB text" \
    "$lyre" data featurize train.svm --out x.svm
expect 1 "read none.svm: open: No such file" "$lyre" data info none.svm
expect 1 "line 4: index 40 after 57, indices must ascend" \
    "$lyre" data info "$source/tests/data/bad/unsorted.svm"
[ ! -e x.svm ] && [ ! -e x.bin ] || fail "output of a failed command"
