#!/usr/bin/env bash
# All tests, from a clean clone on a fresh Debian 12 machine or again:
#
#     scripts/test.sh          everything
#     scripts/test.sh --quick  the release build with gcc and its tests only
#
# One line for each stage; a stage that fails shows all it said, and ends it.
# The last lines are the summary of ctest over the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

FUZZ_SECONDS=4
JOBS=$(nproc)
# What has threads, or talks to what has.
THREADED='core_(pool|queue|log|blob)|sv_apply|models_|ckpt_|p2p_|train_'

out=$(mktemp)
trap 'rm -f "$out"' EXIT
export CTEST_OUTPUT_ON_FAILURE=1
export CMAKE_COLOR_DIAGNOSTICS=OFF

# stage NAME COMMAND...
stage() {
    local name=$1 begun=$SECONDS status=0
    shift
    "$@" >"$out" 2>&1 || status=$?
    if [ $status != 0 ]; then
        cat "$out"
        echo "FAILED: $name, after $((SECONDS - begun)) s"
        exit 1
    fi
    printf '%-44s %4d s\n' "$name" $((SECONDS - begun))
}

# build DIRECTORY COMPILER OPTION...
build() {
    local directory=build/$1 compiler=$2
    shift 2
    cmake -S . -B "$directory" -G Ninja -DCMAKE_C_COMPILER="$compiler" "$@" &&
        ninja -C "$directory" -j "$JOBS"
}

# names_of KIND: the targets of tests/KIND.
names_of() {
    find "tests/$1" -name "$1_*.c" -printf '%f\n' | sed 's/\.c$//' | sort
}

# The benchmarks are not part of the build: see that they compile.
build_benches() {
    # shellcheck disable=SC2046 # A list of names.
    ninja -C build/gcc -j "$JOBS" $(names_of bench)
}

build_fuzzers() {
    # shellcheck disable=SC2046 # A list of names.
    cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DLYRE_FUZZ=ON &&
        ninja -C build/fuzz -j "$JOBS" $(names_of fuzz)
}

# ThreadSanitizer of clang 14 cannot live with all that newer kernels do to
# spread addresses.
test_tsan() {
    local fixed=""
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed="setarch $(uname -m) -R"
    fi
    TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
        $fixed ctest --test-dir build/tsan -j "$JOBS" \
        -R "^((unit|sim)\.($THREADED)|system\.threads)"
}

test_asan() {
    ASAN_OPTIONS="detect_stack_use_after_return=1" \
        LYRE_TEST_BRIEF=1 SWARM_SEEDS=40 \
        UBSAN_OPTIONS="print_stacktrace=1" \
        ctest --test-dir build/asan -j "$JOBS" -R '^(unit|sim|system)\.'
}

# Each fuzzer for a while, from the inputs of the tests and a corpus of its own
# that grows from run to run.
fuzz() {
    local name corpus
    for name in $(names_of fuzz); do
        corpus=build/fuzz/corpus/$name
        mkdir -p "$corpus"
        "build/fuzz/$name" -max_total_time=$FUZZ_SECONDS -timeout=10 \
            -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/$name-" \
            "$corpus" tests/data/good tests/data/bad || return 1
    done
}

# shellcheck disable=SC2086 # Lists of names.
packages_need $PACKAGES_BUILD $PACKAGES_DATA
stage "build, gcc" build gcc gcc
if [ "${1-}" != --quick ]; then
    # shellcheck disable=SC2086
    packages_need $PACKAGES_TEST
    if compgen -G 'tests/bench/bench_*.c' >/dev/null; then
        stage "build benchmarks, gcc" build_benches
    fi
    stage "build, clang" build clang clang
    stage "build, clang with ASan and UBSan" build asan clang -DLYRE_ASAN=ON
    stage "test with ASan and UBSan" test_asan
    stage "build, clang with TSan" build tsan clang -DLYRE_TSAN=ON
    stage "test with TSan" test_tsan
    if compgen -G 'tests/fuzz/fuzz_*.c' >/dev/null; then
        stage "build, clang with libFuzzer" build_fuzzers
        stage "fuzz" fuzz
    fi
fi
ctest --test-dir build/gcc -j "$JOBS"
