"use strict";
/* Draws the charts of a report from the JSON in #data. */
(function () {
    const errors = document.getElementById("errors");
    window.addEventListener("error", function (event) {
        errors.hidden = false;
        errors.textContent += "This page failed: " + event.message + " ";
    });

    const data = JSON.parse(document.getElementById("data").textContent);
    const root = document.documentElement;
    const each = document.getElementById("each");
    const COLOURS = 7;
    const SHAPES = ["circle", "rect", "triangle", "rectRot", "crossRot",
        "star"];
    const MARKS = 7; // Markers of a line with many points, about.
    const PRINT_BAR = 24; // Pixels.
    const AXES = {
        clock: ["clock", short],
        seconds: ["seconds", short],
        bytes: ["bytes sent by a peer", bytes],
    };
    const CHARTS = [].concat(
        across("loss", "nats per sample",
            ["loss", "loss_mean", "test_loss"], short),
        across("accuracy", "share that is right",
            ["accuracy", "accuracy_mean", "test_accuracy"], short),
        {id: "bytes", x: "clock", y: "bytes per clock", format: bytes,
            zero: true, metrics: ["bytes_sent", "bytes_sent_mean",
                "bytes_received_mean"]},
        {id: "error", x: "clock", y: "relative error", format: short,
            zero: true, metrics: ["selection_error", "selection_error_mean"],
            nothing: "All pairs were sent: there is no error."},
        {id: "staleness", x: "clock", y: "clocks", format: short, zero: true,
            metrics: ["staleness", "staleness_mean", "staleness_bound"]});
    const DOTTED = new Set(["bytes_received_mean", "staleness_bound"]);
    let charts = [];

    function across(name, y, metrics, format) {
        return Object.keys(AXES).map(function (x) {
            return {id: name + "-" + x, x: x, y: y, metrics: metrics,
                format: format, log: name === "loss"};
        });
    }

    function short(x) {
        const units = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
        for (const [size, unit] of units) {
            if (Math.abs(x) >= size) {
                return +(x / size).toPrecision(4) + unit;
            }
        }
        return String(+x.toPrecision(4));
    }

    function bytes(x) {
        const units = [[1e12, " TB"], [1e9, " GB"], [1e6, " MB"], [1e3, " kB"]];
        for (const [size, unit] of units) {
            if (Math.abs(x) >= size) {
                return +(x / size).toPrecision(4) + unit;
            }
        }
        return +x.toPrecision(4) + " B";
    }

    function css(name) {
        return getComputedStyle(root).getPropertyValue(name).trim();
    }

    function colour(series) {
        return css("--c" + series % COLOURS);
    }

    /* Where a line has its markers: not where those of the others are. */
    function radii(n, series) {
        const every = Math.max(1, Math.round(n / MARKS));
        const first = Math.floor(every * (series + .5) / data.series.length) %
            every;
        return Array.from({length: n}, function (_, i) {
            return n <= 2 * MARKS || i % every === first ? 4 : 0;
        });
    }

    function isRaw(line, chart) {
        return !line.metric.endsWith("_mean") &&
            chart.metrics.includes(line.metric + "_mean");
    }

    function dataset(line, chart) {
        const c = colour(line.series), raw = isRaw(line, chart);
        const test = line.metric.startsWith("test_");
        return {
            label: data.series[line.series].name +
                (test ? ", test" : raw ? ", each clock" :
                    DOTTED.has(line.metric) ? ", " +
                    line.metric.replace("_mean", "").replace("_", " ") : ""),
            data: line.value.map(function (y, i) {
                return {x: line[chart.x][i], y: y === null ? NaN : y};
            }),
            borderColor: raw ? c + "66" : c,
            backgroundColor: c,
            borderWidth: raw ? 1 : 2,
            borderDash: test ? [7, 4] : DOTTED.has(line.metric) ? [2, 3] : [],
            pointStyle: SHAPES[line.series % SHAPES.length],
            pointRadius: raw ? 0 : radii(line.value.length, line.series),
            pointHoverRadius: raw ? 2 : 5,
            pointBorderColor: c,
            pointBorderWidth: 1.5,
            clip: 6,
            order: raw ? 1 : 0,
        };
    }

    /* Does a line span so much that only a logarithm shows it? */
    function isWide(lines) {
        let least = Infinity, greatest = 0;
        for (const line of lines) {
            for (const y of line.value) {
                if (y !== null) {
                    least = Math.min(least, y);
                    greatest = Math.max(greatest, y);
                }
            }
        }
        return least > 0 && greatest / least > 20;
    }

    function axis(title, format, zero) {
        return {
            type: "linear",
            beginAtZero: zero,
            title: {display: true, text: title, color: css("--faint")},
            ticks: {color: css("--ink"), maxTicksLimit: 7, maxRotation: 0,
                callback: format},
            grid: {color: css("--rule"), borderColor: css("--faint")},
        };
    }

    function nothing(canvas, text) {
        const p = document.createElement("p");
        p.className = "nothing";
        p.textContent = text;
        canvas.parentNode.style.height = "auto";
        canvas.replaceWith(p);
    }

    function drawLines(chart) {
        const canvas = document.getElementById(chart.id);
        if (canvas === null) {
            return; // There was nothing to draw.
        }
        const lines = data.lines.filter(function (line) {
            return chart.metrics.includes(line.metric);
        });
        const empty = lines.length === 0 || (chart.nothing &&
            lines.every(function (line) {
                return line.value.every(function (y) { return !y; });
            }));
        if (empty) {
            nothing(canvas, chart.nothing || "Nothing was measured.");
            return;
        }
        const shown = lines.filter(function (line) {
            return each.checked || !isRaw(line, chart);
        });
        const [title, format] = AXES[chart.x];
        const x = axis(title, format, false);
        const y = axis(chart.y, chart.format, chart.zero);
        x.min = 0;
        x.max = Math.max(1e-9, ...shown.map(function (line) {
            return line[chart.x][line.value.length - 1];
        }));
        x.ticks.includeBounds = false;
        if (chart.log && isWide(shown)) {
            y.type = "logarithmic";
            y.ticks.callback = function (v) {
                const digit = Math.round(v / 10 ** Math.floor(
                    Math.log10(v) + 1e-9));
                return [1, 2, 5].includes(digit) ? chart.format(v) : "";
            };
            y.title.text += ", log scale";
        }
        charts.push(new Chart(canvas, {
            type: "line",
            data: {datasets: shown.map(function (line) {
                return dataset(line, chart);
            })},
            options: options({x: x, y: y}, {
                legend: {display: false},
                tooltip: {callbacks: {
                    title: function (items) {
                        return title + " " + format(items[0].parsed.x);
                    },
                    label: function (item) {
                        return item.dataset.label + ": " +
                            chart.format(item.parsed.y);
                    },
                }},
            }),
        }));
    }

    function options(scales, plugins) {
        return {
            animation: false, responsive: true, maintainAspectRatio: false,
            normalized: true,
            interaction: {mode: "nearest", axis: "x", intersect: false},
            scales: scales, plugins: plugins,
        };
    }

    /* A part of a bar has a colour and a pattern. */
    function pattern(part) {
        const tile = document.createElement("canvas");
        tile.width = tile.height = 10;
        const g = tile.getContext("2d");
        g.fillStyle = colour(part);
        g.fillRect(0, 0, 10, 10);
        g.strokeStyle = g.fillStyle = css("--paper");
        g.lineWidth = 1.5;
        g.beginPath();
        const strokes = [
            [], [[0, 10, 10, 0], [-5, 5, 5, -5], [5, 15, 15, 5]],
            [[0, 5, 10, 5]], [[0, 0, 10, 10], [-5, 5, 5, 15], [5, -5, 15, 5]],
            [[5, 0, 5, 10]], [[0, 5, 10, 5], [5, 0, 5, 10]], [],
        ][part % 7];
        for (const [x0, y0, x1, y1] of strokes) {
            g.moveTo(x0, y0);
            g.lineTo(x1, y1);
        }
        g.stroke();
        if (part % 7 === 6) {
            g.fillRect(3, 3, 4, 4);
        }
        return g.createPattern(tile, "repeat");
    }

    function drawBars() {
        const canvas = document.getElementById("time");
        const plot = canvas.parentNode;
        plot.style.height = 110 + PRINT_BAR * data.bars.length + "px";
        const x = axis("seconds", short, true);
        const y = {ticks: {color: css("--ink"), autoSkip: false},
            grid: {display: false}, stacked: true};
        x.stacked = true;
        x.ticks.maxTicksLimit = 11;
        const settings = options({x: x, y: y}, {
            legend: {position: "top", align: "start",
                labels: {color: css("--ink"), boxWidth: 26, boxHeight: 13}},
            tooltip: {callbacks: {label: function (item) {
                return item.dataset.label + ": " + short(item.parsed.x) + " s";
            }}},
        });
        settings.indexAxis = "y";
        settings.interaction = {mode: "nearest", axis: "y", intersect: true};
        y.ticks.callback = function (i) {
            const name = data.bars[i].name;
            return name.length > 28 ? "…" + name.slice(-27) : name;
        };
        charts.push(new Chart(canvas, {
            type: "bar",
            data: {
                labels: data.bars.map(function (bar) { return bar.name; }),
                datasets: data.parts.map(function (part, k) {
                    return {
                        label: part,
                        data: data.bars.map(function (bar) {
                            return bar.seconds[k];
                        }),
                        backgroundColor: pattern(k),
                        borderColor: colour(k), borderWidth: 1,
                        maxBarThickness: 22,
                    };
                }),
            },
            options: settings,
        }));
    }

    function draw() {
        for (const chart of charts) {
            chart.destroy();
        }
        charts = [];
        CHARTS.forEach(drawLines);
        drawBars();
        root.dataset.charts = String(charts.length);
    }

    function print(on) {
        root.classList.toggle("printing", on);
        draw();
    }

    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    each.checked = data.series.length === 1;
    each.addEventListener("change", draw);
    window.matchMedia("(prefers-color-scheme: dark)")
        .addEventListener("change", draw);
    window.addEventListener("beforeprint", function () { print(true); });
    window.addEventListener("afterprint", function () { print(false); });
    draw();
})();
