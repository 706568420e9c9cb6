/* Unit tests of train/run.h. */

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "train/run.h"

static struct train_run example(void)
{
    struct train_run r;

    train_run_init(&r);
    r.run = 0xfedcba9876543210;
    strcpy(r.model, "mlr");
    r.bias = true;
    r.n_peers = 4;
    r.seed = UINT64_MAX;
    r.batch = 64;
    r.clocks = 1000;
    r.rule = SV_ROWGRAD;
    r.lr = 0.1f;
    r.eps = 1e-8f;
    r.momentum = 0.9f;
    r.decay = 1e-4f;
    r.tau = 1e-3f;
    r.unbiased = true;
    r.mode = TRAIN_SSP;
    r.staleness = 3;
    r.multicast.kind = P2P_MULTICAST_RANDOM;
    r.multicast.fan_out = 2;
    r.repair_clocks = 5;
    r.digest_every = 10;
    r.until = (struct train_until){TRAIN_UNTIL_LOSS, 1.0 / 3};
    r.eval_every = 20;
    r.n_rows = 12345;
    r.data_fingerprint = 0x8000000000000001;
    r.schema.n_features = 7;
    r.data = strdup("train.svm");
    r.durability = CKPT_DURABILITY_INTERVAL;
    r.durability_ns = 1500000000;
    r.peer_timeout_ns = 5000000000;
    return r;
}

static void test_a_run_comes_back_from_its_text(void **state)
{
    struct train_run a = example(), b;
    char *text, *again;

    (void)state;
    assert_int_equal(train_run_to_json(&a, &text, NULL), 0);
    train_run_init(&b);
    assert_int_equal(train_run_from_json(&b, text, NULL), 0);
    assert_true(b.run == a.run && b.seed == a.seed);
    assert_true(b.lr == a.lr && b.eps == a.eps && b.decay == a.decay);
    assert_true(b.tau == a.tau && b.momentum == a.momentum);
    assert_true(b.unbiased && b.bias && b.mode == TRAIN_SSP);
    assert_int_equal(b.staleness, 3);
    assert_int_equal(b.multicast.kind, P2P_MULTICAST_RANDOM);
    assert_int_equal(b.multicast.fan_out, 2);
    assert_int_equal(b.repair, TRAIN_REPAIR_LAZY);
    assert_int_equal(b.repair_clocks, 5);
    assert_int_equal(b.durability_ns, a.durability_ns);
    assert_string_equal(b.data, "train.svm");
    assert_null(b.test);
    assert_true(train_run_fingerprint(&a) == train_run_fingerprint(&b));
    assert_int_equal(train_run_to_json(&b, &again, NULL), 0);
    assert_string_equal(text, again);
    free(text);
    free(again);
    train_run_fini(&a);
    train_run_fini(&b);
}

static void test_every_key_is_missed(void **state)
{
    struct train_run a = example(), b;
    char *text;
    const char *keys[] = {"\"model\"",      "\"lr\"",        "\"peers\"",
                          "\"mode\"",       "\"optimizer\"", "\"run\"",
                          "\"seed\"",       "\"multicast\"", "\"schema\"",
                          "\"durability\"", "\"repair\""};

    (void)state;
    assert_int_equal(train_run_to_json(&a, &text, NULL), 0);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct err e;
        char *broken = strdup(text), *at = strstr(broken, keys[i]);
        assert_non_null(at);
        at[1] = '?';
        train_run_init(&b);
        assert_int_equal(train_run_from_json(&b, broken, &e), ERR_CORRUPT);
        assert_non_null(strstr(e.msg, keys[i]));
        free(broken);
    }
    assert_int_equal(train_run_from_json(&b, "{", NULL), ERR_CORRUPT);
    free(text);
    train_run_fini(&a);
}

static void test_shards_are_said_unless_interleaved(void **state)
{
    struct train_run a = example(), b;
    uint64_t h = train_run_fingerprint(&a);
    struct err e;
    char *text;

    (void)state;
    assert_int_equal(train_run_to_json(&a, &text, NULL), 0);
    assert_null(strstr(text, "shards")); /* As before there was a choice. */
    free(text);
    a.shards = DATASET_SORTED;
    assert_true(train_run_fingerprint(&a) != h);
    assert_int_equal(train_run_to_json(&a, &text, NULL), 0);
    train_run_init(&b);
    assert_int_equal(train_run_from_json(&b, text, NULL), 0);
    assert_int_equal(b.shards, DATASET_SORTED);
    assert_true(train_run_fingerprint(&a) == train_run_fingerprint(&b));
    train_run_fini(&b);
    memcpy(strstr(text, "sorted"), "sordid", 6);
    train_run_init(&b);
    assert_int_equal(train_run_from_json(&b, text, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "\"shards\""));
    free(text);
    train_run_fini(&a);
}

static void test_what_training_depends_on_changes_the_fingerprint(void **state)
{
    struct train_run a = example();
    uint64_t h = train_run_fingerprint(&a);

    (void)state;
    a.run = 1;
    free(a.data);
    a.data = strdup("elsewhere/train.svm");
    a.durability = CKPT_DURABILITY_NONE;
    assert_true(train_run_fingerprint(&a) == h);
    a.lr = 0.2f;
    assert_true(train_run_fingerprint(&a) != h);
    a.lr = 0.1f;
    a.data_fingerprint++;
    assert_true(train_run_fingerprint(&a) != h);
    train_run_fini(&a);
}

static void test_modes_are_read_and_written(void **state)
{
    const char *good[] = {"bsp",         "asp",   "pipeline:0",
                          "pipeline:64", "ssp:7", "adaptive:2-16"};
    const char *bad[] = {"",
                         "bspx",
                         "bsp:1",
                         "ssp",
                         "ssp:",
                         "ssp:x",
                         "ssp:65",
                         "ssp:-1",
                         "pipeline",
                         "async",
                         "adaptive:",
                         "adaptive:3",
                         "adaptive:5-4",
                         "adaptive:0-65",
                         "adaptive:1-2x"};
    struct train_run r;

    (void)state;
    train_run_init(&r);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[32];
        assert_int_equal(train_mode_parse(&r, good[i], NULL), 0);
        train_mode_format(&r, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(train_mode_parse(&r, bad[i], NULL), ERR_INVALID);
    }
}

static void test_repair_is_read_and_written(void **state)
{
    const char *bad[] = {"",        "lazy",       "lazy:",   "lazy:0",
                         "lazy:65", "lazy:4x",    "lazy:-4", "none:4",
                         "none ",   "nonesuch",   "sync",    "sync:0",
                         "rotate:", "sync:100001"};
    char text[TRAIN_REPAIR_SIZE];
    struct train_run r;

    (void)state;
    train_run_init(&r);
    assert_int_equal(train_repair_parse(&r, "lazy:64", NULL), 0);
    assert_int_equal(r.repair, TRAIN_REPAIR_LAZY);
    assert_int_equal(r.repair_clocks, 64);
    train_repair_format(&r, text);
    assert_string_equal(text, "lazy:64");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(train_repair_parse(&r, bad[i], NULL), ERR_INVALID);
    }
    assert_int_equal(r.repair_clocks, 64);
    assert_int_equal(train_repair_parse(&r, "none", NULL), 0);
    assert_int_equal(r.repair, TRAIN_REPAIR_NONE);
    train_repair_format(&r, text);
    assert_string_equal(text, "none");
    assert_int_equal(train_repair_parse(&r, "sync:100000", NULL), 0);
    assert_int_equal(r.repair, TRAIN_REPAIR_SYNC);
    assert_int_equal(r.repair_clocks, 100000);
    assert_int_equal(train_repair_parse(&r, "rotate:1", NULL), 0);
    train_repair_format(&r, text);
    assert_string_equal(text, "rotate:1");
}

/* Nothing leads replicas apart. */
static void test_replicas_are_not_mixed_where_batches_go_to_all(void **state)
{
    struct train_run r = example();
    struct err e;

    (void)state;
    r.mode = TRAIN_SSP;
    r.repair = TRAIN_REPAIR_ROTATE;
    assert_int_equal(train_run_check(&r, &e), 0);
    r.multicast.kind = P2P_MULTICAST_ALL;
    assert_int_equal(train_run_check(&r, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "use --multicast random:Q, halton:Q or ring,"
                                  " or leave --repair away"));
    train_run_fini(&r);
}

static void test_a_log_from_before_there_were_kinds_repairs_lazily(void **state)
{
    struct train_run a = example(), b;
    char *text, *at;

    (void)state;
    assert_int_equal(train_run_to_json(&a, &text, NULL), 0);
    at = strstr(text, "\"repair\":\"lazy:5\"");
    assert_non_null(at);
    memcpy(at, "\"lazy\":7           ", 17);
    train_run_init(&b);
    assert_int_equal(train_run_from_json(&b, text, NULL), 0);
    assert_int_equal(b.repair, TRAIN_REPAIR_LAZY);
    assert_int_equal(b.repair_clocks, 7);
    train_run_fini(&b);
    memcpy(at, "\"lazy\":0           ", 17);
    train_run_init(&b);
    assert_int_equal(train_run_from_json(&b, text, NULL), ERR_CORRUPT);
    free(text);
    train_run_fini(&a);
}

/* Equal replicas cannot be where some never hear of others. */
static void test_what_leaves_out_does_not_go_with_equal_replicas(void **state)
{
    const enum train_mode modes[] = {TRAIN_BSP, TRAIN_PIPELINE};
    struct train_run r = example(), back;
    struct err e;
    char *text;

    (void)state;
    r.repair = TRAIN_REPAIR_NONE;
    for (size_t i = 0; i < 2; i++) {
        r.mode = modes[i];
        assert_int_equal(train_run_check(&r, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, "--repair lazy:L, --multicast all or "
                                      "--consistency ssp:S"));
        assert_int_equal(train_run_to_json(&r, &text, NULL), 0);
        train_run_init(&back);
        assert_int_equal(train_run_from_json(&back, text, NULL), ERR_CORRUPT);
        free(text);
        r.multicast.fan_out = 3; /* Of 4: all. */
        assert_int_equal(train_run_check(&r, NULL), 0);
        r.multicast.fan_out = 2;
    }
    r.mode = TRAIN_SSP;
    assert_int_equal(train_run_check(&r, NULL), 0);
    train_run_fini(&r);
}

static void test_defaults_fill_only_what_is_open(void **state)
{
    struct train_run r;

    (void)state;
    train_run_init(&r);
    r.rule = SV_RULE_COUNT;
    r.schema.n_classes = 144;
    train_run_default(&r, false);
    assert_int_equal(r.rule, SV_ROWGRAD);
    assert_true(r.lr == 2.0f);
    r.rule = SV_ADAGRAD;
    r.lr = 0.123f;
    r.schema.n_classes = 0;
    train_run_default(&r, true);
    assert_int_equal(r.rule, SV_ADAGRAD);
    assert_true(r.lr == 0.123f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_comes_back_from_its_text),
        cmocka_unit_test(test_every_key_is_missed),
        cmocka_unit_test(test_shards_are_said_unless_interleaved),
        cmocka_unit_test(test_what_training_depends_on_changes_the_fingerprint),
        cmocka_unit_test(test_modes_are_read_and_written),
        cmocka_unit_test(test_repair_is_read_and_written),
        cmocka_unit_test(test_replicas_are_not_mixed_where_batches_go_to_all),
        cmocka_unit_test(
            test_a_log_from_before_there_were_kinds_repairs_lazily),
        cmocka_unit_test(test_what_leaves_out_does_not_go_with_equal_replicas),
        cmocka_unit_test(test_defaults_fill_only_what_is_open),
    };
    return cmocka_run_group_tests_name("train_run", tests, NULL, NULL);
}
