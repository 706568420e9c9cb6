# Debian packages, for the scripts beside this file: source it.
# shellcheck shell=bash
# shellcheck disable=SC2034 # The lists are for those who source it.

PACKAGES_BUILD="cmake ninja-build pkg-config gcc libc6-dev python3 libfabric-dev
libopenblas-dev liblapacke-dev libsnappy-dev libsqlite3-dev libxxhash-dev zlib1g-dev
libjansson-dev libcmocka-dev libjs-chart.js"
PACKAGES_DATA="python3 iso-codes"
PACKAGES_TEST="clang libclang-rt-dev llvm clang-format iproute2 mount
procps util-linux chromium"

# Images without translations leave out the files that langid is made of.
LOCALES="--path-include=/usr/share/locale/*"

package_is_there() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# packages_run COMMAND...: quietly, with all it said if it fails.
packages_run() {
    local out
    out=$(mktemp)
    if ! "$@" >"$out" 2>&1; then
        cat "$out" >&2
        rm -f "$out"
        return 1
    fi
    rm -f "$out"
}

packages_apt() {
    DEBIAN_FRONTEND=noninteractive packages_run apt-get -q -y \
        --no-install-recommends -o "Dpkg::Options::=$LOCALES" "$@"
}

# packages_need PACKAGE...: install those that are missing.
packages_need() {
    local missing=""
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: install what these are here, if the build" \
            "finds something missing:" "$@"
        return 0
    fi
    for package in "$@"; do
        package_is_there "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages; as root: apt-get install$missing" >&2
        return 1
    fi
    echo "installing$missing"
    packages_run apt-get -q update
    # shellcheck disable=SC2086 # A list of names.
    packages_apt install $missing
}

# Install iso-codes again where its translations were left out.
packages_need_translations() {
    if compgen -G '/usr/share/locale/*/LC_MESSAGES/iso_639-3.mo' >/dev/null ||
        ! command -v dpkg-query >/dev/null; then
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "iso-codes has no translations here; as root: apt-get install" \
            "--reinstall -o Dpkg::Options::=$LOCALES iso-codes" >&2
        return 1
    fi
    echo "installing iso-codes again, with its translations"
    packages_run apt-get -q update
    packages_apt install --reinstall iso-codes
}
