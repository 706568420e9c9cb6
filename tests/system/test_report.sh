#!/usr/bin/env bash
# lyre report: what the page says is what was measured, with one run and with
# several, in a real browser, in light, in dark and on paper.
. "$(dirname "$0")/lib.sh" "$@"

make_data 2000
cd "$work"
common="--data train.svm --test test.svm --threads 1 --batch 8 --quiet"
# shellcheck disable=SC2086
check "run" "$lyre" train mlr $common --run plain --peers 2 --clocks 150 \
    --eval-every 50
odd='odd <b>&"'"'"' ü'
# shellcheck disable=SC2086
check "selecting run" "$lyre" train mlr $common --run "$odd" --peers 3 \
    --clocks 2600 --eval-every 500 --select jcss:3 --consistency ssp:2

# A log that was torn, without an index; and one that cannot be read.
cp -r plain torn
rm torn/peer-*/index.db*
truncate -s -700 torn/peer-1/segments/00000000.seg
cp -r plain bad
printf 'XXXX' | dd of=bad/peer-1/segments/00000000.seg bs=1 seek=5000 \
    conv=notrunc status=none
rm bad/peer-1/index.db*

check "one run" "$lyre" report plain --out one.html
check "several runs" "$lyre" report plain "$odd" torn --out several.html
"$lyre" report plain --out - >piped.html || fail "--out -"
cmp -s one.html piped.html || fail "--out - writes another page"
"$lyre" report bad --out bad.html >out 2>&1 || fail "one bad log of two"
expect_said "bad, peer 1 is left out"
grep -q 'class="problem">bad, peer 1 is left out' bad.html ||
    fail "the page does not tell of the bad log"
expect_status 1 "$lyre" report nowhere --out nowhere.html
expect_status 1 "$lyre" report plain nowhere --out nowhere.html
[ ! -e nowhere.html ] || fail "an error leaves a page"
expect_status 2 "$lyre" report
expect_status 1 "$lyre" report plain --out missing/page.html
expect_said "missing/page.html"
cp one.html before.html
expect_status 1 "$lyre" report nowhere --out one.html
cmp -s one.html before.html || fail "an error changes what was there"
compgen -G '*.partial' >/dev/null && fail "a partial file is left"

# Numbers of the page, from its source, against the tables metric.
cat >compare.py <<'END'
import html.parser
import json
import math
import sqlite3
import sys


class Page(html.parser.HTMLParser):
    """Tables by id as rows of cells, the JSON, and where anything points."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.table, self.json = {}, None, ""
        self.in_cell = self.in_json = False
        self.urls, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.urls += [v for k, v in attrs.items() if k in ("src", "href")]
        if tag == "table":
            self.table = self.tables[attrs["id"]] = []
        elif tag == "tr":
            self.table.append([])
        elif tag in ("td", "th"):
            self.table[-1].append("")
            self.in_cell = True
        elif tag == "script":
            self.in_json = attrs.get("id") == "data"

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")
        self.in_json = self.in_json and tag != "script"

    def handle_data(self, data):
        if self.in_cell:
            self.table[-1][-1] += data
        if self.in_json:
            self.json += data


def metrics(run, peer):
    db = sqlite3.connect(f"file:{run}/peer-{peer}/index.db?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    return [dict(r) for r in db.execute("SELECT * FROM metric ORDER BY clock")]


def same(a, b):
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=2e-8, abs_tol=1e-12)


def number(cell):
    return None if cell == "-" else float(cell)


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def fading(rows, name):
    """The running mean of a metric, as training shows the loss."""
    total = weight = 0
    for row in rows:
        if row[name] is None:
            yield None
            continue
        w = row["samples"] if name in ("loss", "accuracy") else 1
        total = total * (1 - 1 / 50) + row[name] * w
        weight = weight * (1 - 1 / 50) + w
        yield total / weight


path, runs = sys.argv[1], {}
for word in sys.argv[2:]:
    run, _, n = word.rpartition("=")
    runs[run] = [metrics(run, p) for p in range(int(n))]
page = Page(open(path, encoding="utf-8").read())
assert not page.urls, page.urls
assert "b" not in page.tags, "markup from a name"
data = json.loads(page.json)
names = list(runs)

# What each series is of.
if len(names) == 1:
    series = [[rows] for rows in runs[names[0]]]
else:
    series = [runs[name] for name in names]
    assert [s["name"] for s in data["series"]] == names, data["series"]
assert len(data["series"]) == len(series)
seen = set()
for line in data["lines"]:
    peers, name = series[line["series"]], line["metric"]
    seen.add((line["series"], name))
    n = max(map(len, peers))
    clocks, values = line["clock"], line["value"]
    assert len(clocks) == len(values) <= 2000
    assert len(line["seconds"]) == len(line["bytes"]) == len(clocks)
    base = name.removesuffix("_mean")
    want = [{k: mean(p[c][k] for p in peers if c < len(p)) for k in p0}
            for c, p0 in enumerate(max(peers, key=len))]
    values_want = list(fading(want, base)) if name != base else \
        [w[name] for w in want]
    for c, v in zip(clocks, values):
        assert same(v, values_want[c]), (name, c, v, values_want[c])
    there = [v for v in values_want if v is not None]
    assert same(min(v for v in values if v is not None), min(there)), name
    assert same(max(v for v in values if v is not None), max(there)), name
    if not name.startswith("test_"):
        assert clocks[0] == 0 and clocks[-1] == n - 1, (name, clocks[-1])
    for axis, of in ("seconds", "seconds_clock"), ("bytes", "bytes_sent"):
        if len(peers) == 1:
            want_x = sum(r[of] for r in peers[0][:clocks[-1] + 1])
            assert math.isclose(line[axis][-1], want_x, rel_tol=1e-6), axis
for i in range(len(series)):
    assert (i, "loss") in seen and (i, "loss_mean") in seen, i

# The table of clocks: every number of it.
clocks = page.tables["clocks"]
head = clocks[0]
assert len(clocks) > 20
for row in clocks[1:]:
    row = dict(zip(head, row))
    if row["run"] not in runs:
        continue
    want = runs[row["run"]][int(row["peer"])][int(row["clock"])]
    for name in head[2:]:
        assert same(number(row[name]), want[name]), (row, name, want[name])

# Sums of each peer; and parts of a clock that do not exceed it.
for row in page.tables["peers"][1:]:
    row = dict(zip(page.tables["peers"][0], row))
    rows = runs[row["run"]][int(row["peer"])]
    assert int(row["clocks"]) == len(rows)
    for name, of in ("time", "seconds_clock"), ("selecting", "seconds_select"), \
            ("computing", "seconds_compute"), ("waiting", "seconds_wait"), \
            ("bytes sent", "bytes_sent"), ("logging", "seconds_log"):
        want = sum(r[of] or 0 for r in rows)
        assert math.isclose(float(row[name]), want, rel_tol=1e-6), (row, name)
    parts = [float(row[k]) for k in ("computing", "selecting", "encoding",
                                     "waiting", "applying", "logging")]
    assert sum(parts) <= float(row["time"]) * 1.001, row
    if "odd" in row["run"]:
        assert 0 < float(row["selecting"]), row

# The summary names the last evaluation.
summary = {row[0]: row[1:] for row in page.tables["summary"]}
for i, name in enumerate(names):
    tested = [r for r in runs[name][0] if r["test_accuracy"] is not None]
    if tested:
        want = tested[-1]["test_accuracy"]
        assert abs(float(summary["test accuracy"][i]) - want) < 1e-4, summary
assert ("multicast" in {r[0] for r in page.tables["settings"]})
END
check "the numbers of one run" python3 compare.py one.html plain=2
# The torn log has an index again, for the comparison only.
check "reindex" "$lyre" log reindex torn
check "the numbers of several runs" python3 compare.py several.html \
    plain=2 "$odd=3" torn=2

# A comparison that cannot fail is none.
sed 's/"metric":"loss","clock":\[0,1,/"metric":"loss","clock":[1,0,/' \
    one.html >wrong.html
expect_status 1 python3 compare.py wrong.html plain=2

# A log that was compacted: the index has what was measured before.
# shellcheck disable=SC2086
check "run of small segments" "$lyre" train mlr $common --run short --peers 2 \
    --clocks 400 --segment-size 16K
check "compact" "$lyre" log compact short --keep 50
expect_status 1 "$lyre" log show short --clock 100
check "report of a compacted run" "$lyre" report short --out short.html
check "the numbers of a compacted run" python3 compare.py short.html short=2
rm short/peer-*/index.db*
check "report without what is lost" "$lyre" report short --out short.html
check "watch without what is lost" "$lyre" watch short --once
expect_said "clock 400 of 400"
check "reindex" "$lyre" log reindex short
check "watch what is left" "$lyre" watch short --once
expect_said "clock 400 of 400"

# A job that is running.
# shellcheck disable=SC2086
"$lyre" train mlr $common --run running --peers 2 --clocks 10000000 &
pid=$!
for _ in $(seq 100); do
    "$lyre" report running --out running.html >"$work/out" 2>&1 &&
        grep -q '<td>running</td>' running.html && break
    sleep 0.1
done
kill -INT $pid
wait $pid || true
grep -q '<td>running</td>' running.html || fail "no report of a running job"
check "a stopped job" "$lyre" report running --out stopped.html
grep -q '<td>stopped early</td>' stopped.html || fail "not seen to be stopped"

echo "the numbers of the pages are those of the logs"
browser=$(command -v chromium || command -v chromium-browser || true)
[ -n "$browser" ] || skip "no chromium: pages were not opened in a browser"

# browse OUT FLAG... : the page is opened in a browser of its own.
browse() {
    local profile out=$1
    shift
    profile=$(mktemp -d -p "$work")
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic \
        --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --disable-dev-shm-usage \
        --user-data-dir="$profile" --virtual-time-budget=5000 \
        --window-size=1280,2400 --enable-logging=stderr --v=0 "$@" \
        >"$out" 2>"$work/console" || {
        tail -20 "$work/console"
        fail "the browser failed: $*"
    }
    rm -rf "$profile"
    ! grep -q ':CONSOLE' "$work/console" || {
        grep ':CONSOLE' "$work/console"
        fail "the page says something on the console"
    }
}

for page in one several bad running; do
    browse dom --dump-dom "file://$work/$page.html"
    grep -q 'id="errors"[^>]* hidden' dom || fail "$page.html has errors"
    charts=$(sed -n 's/.*<html[^>]* data-charts="\([0-9]*\)".*/\1/p' dom)
    want=9 # All pairs were sent: no chart of errors.
    [ "$page" != several ] || want=10
    [ "$charts" = $want ] || fail "$page.html drew '$charts' charts, not $want"
done
# A page that fails is found out, on the page and on the console.
sed 's/^"lines":/"limes":/' one.html >broken.html
if (browse dom --dump-dom "file://$work/broken.html") >"$work/out"; then
    fail "errors of a page are not noticed"
fi
expect_said "on the console"
! grep -q 'id="errors"[^>]* hidden' dom || fail "a page hides its errors"

browse shot --hide-scrollbars --screenshot="$work/light.png" \
    "file://$work/several.html"
browse shot --hide-scrollbars --blink-settings=preferredColorScheme=0 \
    --screenshot="$work/dark.png" "file://$work/several.html"
browse shot --no-pdf-header-footer --print-to-pdf="$work/page.pdf" \
    --blink-settings=preferredColorScheme=0 "file://$work/several.html"
head -c 5 page.pdf | grep -q '%PDF-' || fail "no PDF"
[ "$(stat -c %s page.pdf)" -gt 20000 ] || fail "an empty PDF"

# Dark is dark and light is light: the corner of each picture.
python3 - <<'END' || fail "the colours of the screen are not those of the user"
import struct
import zlib


def corner(path):
    """The mean of the first pixel of the first row."""
    data, at, idat = open(path, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        idat += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return sum(zlib.decompress(idat)[1:4]) / 3


assert corner("light.png") > 240, corner("light.png")
assert corner("dark.png") < 60, corner("dark.png")
END
echo "the pages work in $("$browser" --version 2>/dev/null | head -1)"
