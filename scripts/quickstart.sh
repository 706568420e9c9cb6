#!/usr/bin/env bash
# From nothing to a trained model that can be rebuilt at any moment of its
# training: which of well over a hundred languages is a name in?
#
#     scripts/quickstart.sh
#
# Needs Debian 12; root for the first run, which installs packages. May be run
# again: it works in build/release and build/quickstart, and removes there only
# what it made itself.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

PEERS=4
DIGEST_EVERY=20
WORK=build/quickstart
LYRE=build/release/lyre

step() {
    printf '\n[%3d s] %s\n' "$SECONDS" "$*"
}

# Show a command as one would type it, and run it.
run() {
    local line="  \$"
    for word in "$@"; do
        case $word in
        *' '*) line="$line '$word'" ;;
        *) line="$line $word" ;;
        esac
    done
    printf '%s\n' "$line"
    "$@"
}

step "Install what is missing: compiler, libraries, translations"
# shellcheck disable=SC2086 # Lists of names.
packages_need $PACKAGES_BUILD $PACKAGES_DATA
packages_need_translations

step "Build lyre"
packages_run cmake -S . -B build/release -G Ninja
packages_run ninja -C build/release lyre
run $LYRE --version

step "Make langid: names in many languages, split for training and testing"
mkdir -p $WORK
run python3 scripts/langid.py --out $WORK
for part in train test; do
    run $LYRE data featurize $WORK/langid.$part.tsv --out $WORK/$part.svm
done

step "Train $PEERS peers, each on its share, for one epoch"
rm -rf $WORK/run
run $LYRE train mlr --data $WORK/train.svm --test $WORK/test.svm \
    --run $WORK/run --peers $PEERS --epochs 1 --consistency bsp \
    --digest-every $DIGEST_EVERY

step "How good is it on names it has not seen?"
run $LYRE eval $WORK/run --data $WORK/test.svm

step "Rebuild the matrix as it was half-way, from the log of another peer"
last=$($LYRE replay $WORK/run --digest | sed -n 's/^clock \([0-9]*\) .*/\1/p')
past=$((last / 2 / DIGEST_EVERY * DIGEST_EVERY))
run $LYRE replay $WORK/run --peer $((PEERS - 1)) --clock $past --digest |
    tee $WORK/replayed
trained=$($LYRE log show $WORK/run --peer 0 --clock $past |
    grep "^clock $past matrix")
if [ "$(tail -1 $WORK/replayed)" != "$trained" ]; then
    echo "this is not what peer 0 had in training: $trained" >&2
    exit 1
fi
echo "  the same bits as peer 0 had in training"

step "Which language is it? The likeliest three, with their probabilities"
run $LYRE predict $WORK/run --top 3 --text \
    'Königreich der Niederlande' 'République tchèque' 'Południowa Afryka'

cat <<END

Done in $SECONDS s. What to try next, in $PWD:

  $LYRE replay $WORK/run --verify
      rebuild every clock that has a digest, and compare
  $LYRE replay $WORK/run --clock 10 --out W.npy
      look at a matrix with numpy.load()
  $LYRE log show $WORK/run --clock $past
      what that clock did
  $LYRE train mlr --data $WORK/train.svm --run $WORK/mine --peers 2 --epochs 5
      stop it with Ctrl-C, then: $LYRE resume $WORK/mine
  $LYRE train mlr --help
      optimizers, consistency, several machines
END
