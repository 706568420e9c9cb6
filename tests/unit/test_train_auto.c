/* Unit tests of train/auto.h. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"
#include "train/auto.h"

#define P 4

enum { NONE, JCSS, SVD, MATRIX };

static struct train_auto_options options(double link)
{
    return (struct train_auto_options){
        .delivery = {.schedule = {.kind = P2P_MULTICAST_ALL, .n_peers = P},
                     .lazy = 1,
                     .last_clock = 1000},
        .link = link,
        .gradient = 0.01};
}

/* Dense pairs of J = K = 4096, 64 of them, and 8; jcss may stand. */
static struct train_auto dense(double link)
{
    struct train_auto_options o = options(link);
    struct train_auto a;

    train_auto_init(&a, &o, 64);
    a.ways[NONE].size = 64 * 8192 * 4;
    a.ways[NONE].apply = 0.04;
    a.ways[JCSS].size = a.ways[SVD].size = 8 * 8192 * 4;
    a.ways[JCSS].select = 0.001;
    a.ways[SVD].select = 0.004;
    a.ways[JCSS].apply = a.ways[SVD].apply = 0.005;
    a.ways[MATRIX].apply = 0.05;
    a.ways[MATRIX].traffic = train_cost_matrix_ring(4096, 4096, P);
    return a;
}

static void test_ways_and_quality(void **state)
{
    struct select_spec s[TRAIN_AUTO_WAYS_MAX];
    char out[TRAIN_AUTO_OUT_SIZE];

    (void)state;
    assert_int_equal(train_auto_specs(64, s), 3);
    assert_true(s[JCSS].C == 8 && s[SVD].C == 8 && s[SVD].feedback == 8);
    assert_int_equal(train_auto_specs(16, s), 3);
    assert_int_equal(s[SVD].C, TRAIN_AUTO_C_MIN);
    assert_int_equal(train_auto_specs(4, s), 1);
    assert_int_equal(train_auto_specs(TRAIN_AUTO_BATCH_MAX + 1, s), 1);

    (void)train_auto_specs(64, s);
    train_auto_judge(&s[NONE], 0, true, out);
    assert_string_equal(out, "");
    train_auto_judge(&s[JCSS], 0.05, true, out);
    assert_string_equal(out, "");
    train_auto_judge(&s[JCSS], 0.46, false, out);
    assert_string_equal(out, "error 0.46 above 0.05");
    train_auto_judge(&s[JCSS], (double)NAN, false, out);
    assert_true(out[0] != '\0');
    train_auto_judge(&s[SVD], 0.9, false, out);
    assert_string_equal(out, "");
    train_auto_judge(&s[SVD], 0.1, true, out);
    assert_string_equal(out, "v is sparse");
    s[SVD].feedback = 0;
    train_auto_judge(&s[SVD], 0.9, false, out);
    assert_string_equal(out, "error 0.90 above 0.05");
}

static void test_the_link_decides(void **state)
{
    struct train_auto a = dense(1e12);

    (void)state;
    train_auto_choose(&a);
    /* No time on the link; selecting saves applying. */
    assert_int_equal(a.chosen, JCSS);
    a.ways[JCSS].select = a.ways[SVD].select = 0.04;
    train_auto_choose(&a);
    assert_int_equal(a.chosen, NONE);

    a = dense(12.5e6);
    strcpy(a.ways[JCSS].out, "error 0.46 above 0.05");
    train_auto_choose(&a);
    assert_int_equal(train_auto_spec(&a)->kind, SELECT_SVD);
    /* Three of four copies of 2 MB at 12.5 MB/s, and the work. */
    assert_true(fabs(a.ways[NONE].predicted - (3 * 2097152 / 12.5e6 + 0.05)) <
                1e-9);
    assert_true(fabs(a.ways[MATRIX].predicted -
                     (1.5 * 67108864 / 12.5e6 + 0.06)) < 1e-9);
}

static void test_what_saves_as_much_as_it_costs_is_not_chosen(void **state)
{
    /* J of 2: pairs of 200 entries, applied in no time. */
    struct train_auto_options o = options(1e8);
    struct train_auto a;

    (void)state;
    o.gradient = 100e-6;
    train_auto_init(&a, &o, 64);
    a.ways[NONE].size = 64 * 200;
    a.ways[JCSS].size = 8 * 200;
    a.ways[JCSS].select = 336e-6; /* What three fewer copies take. */
    a.ways[SVD] = a.ways[JCSS];
    train_auto_choose(&a);
    assert_true(a.ways[JCSS].predicted < a.ways[NONE].predicted);
    assert_int_equal(a.chosen, NONE);
    /* Beyond a tie it is. */
    a.ways[JCSS].select = 300e-6;
    train_auto_choose(&a);
    assert_int_equal(a.chosen, JCSS);
}

static void test_the_matrix_is_named_and_never_chosen(void **state)
{
    struct train_auto a = dense(12.5e6);
    char text[TRAIN_AUTO_TEXT_SIZE];

    (void)state;
    a.ways[MATRIX].traffic.bytes = 1000;
    train_auto_choose(&a);
    assert_true(a.ways[MATRIX].predicted < a.ways[a.chosen].predicted);
    assert_true(a.chosen != MATRIX);
    train_auto_format(&a, text);
    assert_non_null(strstr(text, "; the matrix would be faster: see "
                                 "--transfer matrix-allreduce"));
}

static void test_a_slower_link_never_leads_to_more_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct train_auto a = dense(1e10);
        double bytes = INFINITY;
        a.o.hidden = seed % 2 == 1;
        a.o.gradient = 0.01 * (double)rng_f32(seed, 1, 0);
        for (uint32_t i = 0; i < MATRIX; i++) {
            struct train_auto_way *w = &a.ways[i];
            w->size = 1e3 + 1e6 * (double)rng_f32(seed, 2, i);
            w->select = 0.1 * (double)rng_f32(seed, 3, i);
            w->apply = 0.1 * (double)rng_f32(seed, 4, i);
            if (i > 0 && rng_below(seed, 5, i, 3) == 0) {
                strcpy(w->out, "no");
            }
        }
        for (; a.o.link > 1e3; a.o.link /= 1.1) {
            train_auto_choose(&a);
            const double now = a.ways[a.chosen].size;
            if (now > (1 + TRAIN_AUTO_TIE) * bytes) {
                fail_msg("seed=%d", (int)seed);
            }
            bytes = now;
        }
    }
}

/* A job whose clocks are what the model says of @truth, and a wait that varies
 * by @noise; @skew is waited for whatever is sent. */
struct world {
    struct train_auto truth;
    double skew, noise, error;
    uint64_t clock;
};

static struct train_auto_window one_clock(struct world *x,
                                          const struct train_auto *a)
{
    struct train_auto_way *w = &x->truth.ways[a->chosen];
    const double link = 3 * w->size / x->truth.o.link;
    const double luck = (double)rng_f32(7, 7, x->clock++);

    return (struct train_auto_window){
        .gradient = x->truth.o.gradient,
        .select = w->select,
        .encode = w->encode,
        .apply = w->apply,
        .wait = x->skew + link + x->noise * link * luck,
        .other = 0.001,
        .size = w->size,
        .error = a->chosen == NONE ? 0 : x->error};
}

/* Returns how many times numbers were fitted in @n_clocks. */
static uint32_t run(struct world *x, struct train_auto *a, uint64_t n_clocks)
{
    uint32_t n = 0;

    for (uint64_t c = 0; c < n_clocks; c++) {
        const struct train_auto_window clock = one_clock(x, a);
        n += train_auto_observe(a, &clock);
    }
    return n;
}

static void test_what_was_predicted_well_is_left_alone(void **state)
{
    struct world x = {.truth = dense(12.5e6), .noise = 0.2};
    struct train_auto a = dense(12.5e6);

    (void)state;
    train_auto_choose(&a);
    assert_int_equal(run(&x, &a, 5000), 0);
    assert_int_equal(a.chosen, JCSS);
}

static void test_a_link_that_is_slower_than_measured_is_found_out(void **state)
{
    struct world x = {.truth = dense(12.5e6), .noise = 0.1};
    struct train_auto a = dense(1e10);

    (void)state;
    a.ways[JCSS].select = a.ways[SVD].select = 0.1;
    x.truth.ways[JCSS].select = x.truth.ways[SVD].select = 0.1;
    train_auto_choose(&a);
    assert_int_equal(a.chosen, NONE);
    /* Not after one window. */
    assert_int_equal(run(&x, &a, 39), 0);
    assert_int_equal(run(&x, &a, 1), 1);
    assert_int_equal(a.chosen, JCSS);
    assert_true(fabs(a.o.link / 12.5e6 - 1) < 0.1);
    assert_int_equal(run(&x, &a, 2000), 0);
}

static void test_what_begins_to_leave_out_too_much_is_left(void **state)
{
    struct world x = {.truth = dense(12.5e6), .error = 0.06};
    struct train_auto a = dense(12.5e6);

    (void)state;
    train_auto_choose(&a);
    assert_int_equal(a.chosen, JCSS);
    assert_int_equal(run(&x, &a, 40), 1);
    assert_int_equal(a.chosen, SVD); /* It carries what it leaves. */
    assert_string_equal(a.ways[JCSS].out, "error 0.06 above 0.05");
    assert_int_equal(run(&x, &a, 2000), 0);
}

static void test_waiting_for_slow_peers_is_no_slow_link_for_long(void **state)
{
    struct world x = {.truth = dense(1e9), .skew = 0.2, .noise = 0.1};
    struct train_auto a = dense(1e9);

    (void)state;
    for (uint32_t i = JCSS; i <= SVD; i++) {
        a.ways[i].select = x.truth.ways[i].select = 0.06;
    }
    train_auto_choose(&a);
    assert_int_equal(a.chosen, NONE);
    /* Fewer bytes were tried, did not help, and were left for good. */
    assert_true(run(&x, &a, 20000) <= 4);
    assert_int_equal(a.chosen, NONE);
    assert_int_equal(run(&x, &a, 20000), 0);
}

static void test_it_comes_to_rest_in_a_restless_world(void **state)
{
    struct world x = {.truth = dense(50e6)};
    struct train_auto a = dense(50e6);
    uint32_t n = 0;

    (void)state;
    train_auto_choose(&a);
    for (uint64_t i = 0; i < 400; i++) {
        x.truth.o.link = i % 2 == 0 ? 1e9 : 5e6;
        n += run(&x, &a, 200);
    }
    assert_true(n <= 8);
}

static void test_what_is_said(void **state)
{
    struct train_auto a = dense(11.9e6);
    struct train_auto_options alone = options(0);
    char text[TRAIN_AUTO_TEXT_SIZE];

    (void)state;
    strcpy(a.ways[JCSS].out, "error 0.46 above 0.05");
    train_auto_choose(&a);
    train_auto_format(&a, text);
    assert_string_equal(
        text, "auto: svd:8, 0.09 s a clock (none 0.58 s, jcss:8 out: error "
              "0.46 above 0.05, matrix by ring all-reduce 8.52 s): the link "
              "moves 11.9 MB/s");
    alone.delivery.schedule.n_peers = 1;
    train_auto_init(&a, &alone, 1);
    train_auto_choose(&a);
    train_auto_format(&a, text);
    assert_string_equal(text,
                        "auto: none, 0.01 s a clock: one peer sends nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways_and_quality),
        cmocka_unit_test(test_the_link_decides),
        cmocka_unit_test(test_what_saves_as_much_as_it_costs_is_not_chosen),
        cmocka_unit_test(test_the_matrix_is_named_and_never_chosen),
        cmocka_unit_test(test_a_slower_link_never_leads_to_more_bytes),
        cmocka_unit_test(test_what_was_predicted_well_is_left_alone),
        cmocka_unit_test(test_a_link_that_is_slower_than_measured_is_found_out),
        cmocka_unit_test(test_what_begins_to_leave_out_too_much_is_left),
        cmocka_unit_test(test_waiting_for_slow_peers_is_no_slow_link_for_long),
        cmocka_unit_test(test_it_comes_to_rest_in_a_restless_world),
        cmocka_unit_test(test_what_is_said),
    };
    return cmocka_run_group_tests_name("auto", tests, NULL, NULL);
}
