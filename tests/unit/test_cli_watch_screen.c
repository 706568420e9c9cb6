/* Unit tests of cli/watch_screen.h: it fits, and says what was measured. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/watch_screen.h"
#include "dataset/unicode.h"
#include "tests/support/test.h"

#define PEERS_MAX 64

struct scene {
    struct report_live live;
    struct report_live_peer *peers[PEERS_MAX];
    struct buf out;
};

static void scene_init(struct scene *s, size_t n_peers)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->out);
    s->live.dir = strdup("some/run\033[2Jwith ü and a long name, a very long "
                         "name that is much wider than any screen is");
    s->live.known = true;
    s->live.clocks = 123456789;
    s->live.n_peers_all = (uint32_t)n_peers;
    snprintf(s->live.mode, sizeof s->live.mode, "pipeline:64");
    snprintf(s->live.model, sizeof s->live.model, "mlr");
    s->live.n_peers = n_peers;
    s->live.peers = s->peers;
    for (size_t i = 0; i < n_peers; i++) {
        struct report_live_peer *p = calloc(1, sizeof *p);
        assert_non_null(p);
        s->peers[i] = p;
        p->rank = (uint32_t)i;
        p->clocks = 12345678 + i;
        p->sums = (struct report_sums){.clocks = 1000,
                                       .seconds = 100,
                                       .samples = 5e9,
                                       .sent = 1e12,
                                       .received = 1e10,
                                       .staleness = 3000,
                                       .parts = {10, 20, 5, 40, 15, 5, 5}};
        p->last.loss = 1234.56789;
        p->last.accuracy = 0.5;
        p->last.epoch = 3.25;
        p->test_loss = 0.25;
        p->test_accuracy = 0.875;
        p->test_clock = 1000;
        for (int k = 0; k < 5000; k++) {
            report_history_add(&p->loss, 1.0 / (1 + k));
            report_history_add(&p->accuracy,
                               k % 7 == 0 ? (double)NAN : (double)k);
        }
    }
}

static void scene_fini(struct scene *s)
{
    for (size_t i = 0; i < s->live.n_peers; i++) {
        free(s->peers[i]);
    }
    free(s->live.dir);
    buf_fini(&s->out);
}

/* The text, zero-terminated. */
static const char *draw(struct scene *s, const struct watch_style *style)
{
    buf_reset(&s->out);
    watch_screen(&s->out, &s->live, style);
    buf_put(&s->out, "", 1);
    assert_false(s->out.failed);
    return (const char *)s->out.data;
}

/* Count lines, and see that none is wider than @width. Escapes count nothing,
 * and are colours only. */
static size_t lines(const char *text, size_t width)
{
    const char *end = text + strlen(text);
    size_t n = 0, column = 0;

    while (text < end) {
        uint32_t c;
        if (*text == '\033') {
            text += 1 + strcspn(text, "m");
            continue;
        }
        assert_true(unicode_decode(&text, end, &c));
        column = c == '\n' ? 0 : column + 1;
        n += c == '\n';
        assert_true(column <= width);
    }
    assert_int_equal(column, 0);
    return n;
}

static void test_it_fits_every_screen(void **state)
{
    static const size_t n_peers[] = {0, 1, 2, 15, 16, PEERS_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof n_peers / sizeof n_peers[0]; i++) {
        struct scene s;
        scene_init(&s, n_peers[i]);
        for (size_t width = 1; width < 200; width += 13) {
            for (size_t height = 1; height < 60; height += 3) {
                for (int k = 0; k < 4; k++) {
                    struct watch_style style = {.width = width,
                                                .height = height,
                                                .colour = k % 2 == 1,
                                                .utf8 = k / 2 == 1};
                    assert_true(lines(draw(&s, &style), width) <= height);
                }
            }
        }
        scene_fini(&s);
    }
}

static void test_it_says_what_was_measured(void **state)
{
    struct watch_style style = {.width = 80, .height = 24};
    struct scene s;

    (void)state;
    scene_init(&s, 4);
    const char *text = draw(&s, &style);
    assert_non_null(strstr(text, "clock 12,345,678 of 123,456,789 (10%)"));
    assert_non_null(strstr(text, "epoch 3.25"));
    assert_non_null(strstr(text, "200,000,000 samples/s"));
    assert_non_null(strstr(text, "test        loss 0.2500, accuracy 0.8750"));
    assert_non_null(strstr(text, "10.0 GB"));
    assert_non_null(strstr(text, " 3.0  CCSSSEWWWWWWWAAL.\n"));
    assert_null(strchr(text, '\033'));
    assert_int_equal(lines(text, 80), 9 + 4);
    scene_fini(&s);
}

static void test_peers_that_do_not_fit_are_counted(void **state)
{
    struct watch_style style = {.width = 80, .height = 24};
    struct scene s;

    (void)state;
    scene_init(&s, 16);
    assert_non_null(strstr(draw(&s, &style), "and 2 more peers"));
    style.height = 25;
    assert_null(strstr(draw(&s, &style), "more peers"));
    scene_fini(&s);
}

static void test_a_bar_is_as_long_as_it_should_be(void **state)
{
    double parts[7];

    (void)state;
    for (uint32_t seed = 0; seed < 500; seed++) {
        size_t cells[7], sum = 0;
        for (uint32_t i = 0; i < 7; i++) {
            parts[i] = (double)((seed * 2654435761u + i * 40503u) >> 7 & 1023);
            parts[i] = i == seed % 7 ? 1e5 * parts[i] : parts[i];
        }
        watch_bar(parts, 7, 17, cells);
        for (size_t i = 0; i < 7; i++) {
            sum += cells[i];
        }
        assert_int_equal(sum, 17);
    }
    memset(parts, 0, sizeof parts);
    size_t cells[7];
    watch_bar(parts, 7, 17, cells);
    assert_int_equal(cells[0] + cells[6], 0);
}

static void test_a_history_keeps_its_shape(void **state)
{
    struct report_history *h = calloc(1, sizeof *h);
    struct buf b;

    (void)state;
    assert_non_null(h);
    for (int i = 0; i < 100000; i++) {
        report_history_add(h, i);
    }
    assert_true(h->n > REPORT_LIVE_HISTORY / 2 && h->n <= REPORT_LIVE_HISTORY);
    for (size_t i = 0; i < h->n; i++) {
        assert_true(h->value[i] == (double)((i + 1) * h->stride - 1));
    }
    buf_init(&b);
    watch_spark(&b, h, 8, false);
    assert_int_equal(b.size, 8);
    assert_memory_equal(b.data, "_.-~=+*#", 8);
    buf_fini(&b);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_fits_every_screen),
        cmocka_unit_test(test_it_says_what_was_measured),
        cmocka_unit_test(test_peers_that_do_not_fit_are_counted),
        cmocka_unit_test(test_a_bar_is_as_long_as_it_should_be),
        cmocka_unit_test(test_a_history_keeps_its_shape),
    };
    return cmocka_run_group_tests_name("watch_screen", tests, NULL, NULL);
}
