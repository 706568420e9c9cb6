/* Unit tests of cli/opt.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opt.h"
#include "core/clock.h"
#include "tests/support/test.h"

#define ARGS_MAX 16

/* A command with an option of each kind. */
static struct {
    bool json, batch_given;
    const char *data;
    struct opt_list text;
    uint64_t batch, segment, timeout;
    double lr;
} v;

static const struct opt OPTS[] = {
    {.name = "json", .kind = OPT_FLAG, .value = &v.json, .help = "print JSON"},
    {.name = "data",
     .kind = OPT_STRING,
     .value = &v.data,
     .arg = "FILE",
     .help = "data to read"},
    {.name = "text",
     .kind = OPT_LIST,
     .value = &v.text,
     .arg = "S",
     .help = "a text"},
    {.name = "batch",
     .kind = OPT_U64,
     .value = &v.batch,
     .arg = "B",
     .help = "samples of a clock",
     .given = &v.batch_given,
     .min = 1,
     .max = 1 << 20},
    {.name = "lr",
     .kind = OPT_F64,
     .value = &v.lr,
     .arg = "X",
     .help = "learning rate",
     .min = 0,
     .max = INFINITY},
    {.name = "segment-size",
     .kind = OPT_SIZE,
     .value = &v.segment,
     .arg = "BYTES",
     .help = "bytes of a segment",
     .min = 4096,
     .max = INFINITY},
    {.name = "peer-timeout",
     .kind = OPT_SECONDS,
     .value = &v.timeout,
     .arg = "TIME",
     .help = "how long a peer may be silent before it counts as lost, which "
             "is a sentence long enough to be wrapped\nand a second line",
     .min = 0.1,
     .max = 600},
};

static const struct opt_command COMMAND = {
    .name = "train mlr",
    .summary = "Train softmax regression.",
    .usage = "train mlr --data F [options]",
    .details = "It takes a while.",
    .examples = "lyre train mlr --data a.svm\nlyre train mlr --data b.svm",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static int set_up(void **state)
{
    (void)state;
    memset(&v, 0, sizeof v);
    v.batch = 64;
    v.timeout = 5 * CLOCK_S;
    return 0;
}

/* Parse the words of @line. *words is set to the words that are no options. */
static int parse(char *line, char **words, int *n_words, struct err *e)
{
    char *argv[ARGS_MAX + 1] = {NULL}, *save = NULL;
    static char name[] = "mlr";
    int argc = 1;

    argv[0] = name;
    for (char *w = strtok_r(line, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save)) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = w;
    }
    const int status = opt_parse(&COMMAND, argc, argv, n_words, e);
    for (int i = 0; status == 0 && i < *n_words; i++) {
        words[i] = argv[i + 1];
    }
    return status;
}

static void takes(const char *line)
{
    char *words[ARGS_MAX], *copy = strdup(line);
    struct err e = {.msg = ""};
    int n;

    assert_non_null(copy);
    if (parse(copy, words, &n, &e) != 0) {
        fail_msg("%s: %s", line, e.msg);
    }
    free(copy);
}

static void refuses(const char *line, const char *msg)
{
    char *words[ARGS_MAX], *copy = strdup(line);
    struct err e = {.msg = ""};
    int n;

    assert_non_null(copy);
    assert_int_equal(parse(copy, words, &n, &e), ERR_INVALID);
    assert_string_equal(e.msg, msg);
    free(copy);
}

static void test_options_and_words_may_be_mixed(void **state)
{
    char line[] = "run1 --json --batch 128 run2 --lr=0.25 - -- --data", *w[16];
    int n = 0;

    (void)state;
    assert_int_equal(parse(line, w, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_string_equal(w[0], "run1");
    assert_string_equal(w[1], "run2");
    assert_string_equal(w[2], "-");
    assert_string_equal(w[3], "--data");
    assert_true(v.json);
    assert_true(v.batch_given);
    assert_int_equal(v.batch, 128);
    assert_true(v.lr == 0.25);
}

static void test_options_not_given_keep_their_defaults(void **state)
{
    (void)state;
    takes("run1");
    assert_int_equal(v.batch, 64);
    assert_false(v.batch_given);
    assert_false(v.json);
    assert_null(v.data);
}

static void test_strings_keep_the_last_and_lists_keep_all(void **state)
{
    char line[] = "--data a --data b --text x --text=y", *w[16];
    int n;

    (void)state;
    assert_int_equal(parse(line, w, &n, NULL), 0);
    assert_string_equal(v.data, "b");
    assert_int_equal(v.text.n, 2);
    assert_string_equal(v.text.item[0], "x");
    assert_string_equal(v.text.item[1], "y");
}

static void test_a_list_that_is_full_refuses_more(void **state)
{
    (void)state;
    v.text.n = OPT_LIST_MAX;
    refuses("--text x", "option --text: more than 256 times");
}

static void test_unknown_options_name_the_nearest(void **state)
{
    (void)state;
    refuses("--bacth 3", "unknown option --bacth; did you mean --batch?");
    refuses("--bacth=3", "unknown option --bacth; did you mean --batch?");
    refuses("--Batch 3", "unknown option --Batch; did you mean --batch?");
    refuses("--peer_timeout 3",
            "unknown option --peer_timeout; did you mean --peer-timeout?");
    refuses("--segment 1M",
            "unknown option --segment; did you mean --segment-size?");
    refuses("-data x", "unknown option -data; did you mean --data?");
    refuses("--halp", "unknown option --halp; did you mean --help?");
    refuses("--zzz", "unknown option --zzz; lyre train mlr --help lists those "
                     "there are");
    refuses("-5", "unknown option -5; lyre train mlr --help lists those there "
                  "are");
}

static void test_values_are_there_or_refused(void **state)
{
    char text[] = "--text --other", *w[16]; /* Not an option: a text. */
    int n;

    (void)state;
    refuses("--batch", "option --batch needs a value, B");
    refuses("--data --json", "option --data needs a value, FILE");
    refuses("--json=1", "option --json takes no value");
    assert_int_equal(parse(text, w, &n, NULL), 0);
    assert_string_equal(v.text.item[0], "--other");
}

static void test_numbers_are_checked_to_the_last_character(void **state)
{
    (void)state;
    refuses("--batch 12x", "option --batch: '12x' is not a whole number");
    refuses("--batch -1", "option --batch: '-1' is not a whole number");
    refuses("--batch 1.5", "option --batch: '1.5' is not a whole number");
    refuses("--batch=", "option --batch: '' is not a whole number");
    refuses("--batch 99999999999999999999",
            "option --batch: '99999999999999999999' is not a whole number");
    refuses("--lr 0.1.2", "option --lr: '0.1.2' is not a number");
    refuses("--lr nan", "option --lr: 'nan' is not a number");
    refuses("--lr inf", "option --lr: 'inf' is not a number");
    refuses("--lr=", "option --lr: '' is not a number");
}

static void test_numbers_out_of_range_name_the_range(void **state)
{
    (void)state;
    refuses("--batch 0", "option --batch: 0 is out of range, 1 to 1048576");
    refuses("--lr -0.5", "option --lr: -0.5 is out of range, at least 0");
    refuses("--peer-timeout 50ms",
            "option --peer-timeout: 50ms is out of range, 0.1s to 600s");
    refuses("--segment-size 1K",
            "option --segment-size: 1K is out of range, at least 4096");
    assert_int_equal(v.batch, 64); /* Refused values change nothing. */
}

static void test_sizes_have_suffixes(void **state)
{
    (void)state;
    takes("--segment-size 4096");
    assert_int_equal(v.segment, 4096);
    takes("--segment-size 64M");
    assert_int_equal(v.segment, (uint64_t)64 << 20);
    takes("--segment-size 2T");
    assert_int_equal(v.segment, (uint64_t)2 << 40);
    refuses("--segment-size 64Q", "option --segment-size: '64Q' is not a size, "
                                  "like 4096, 64M or 1G");
    refuses("--segment-size 64MM", "option --segment-size: '64MM' is not a "
                                   "size, like 4096, 64M or 1G");
    refuses("--segment-size 18014398509481984K",
            "option --segment-size: '18014398509481984K' is not a size, like "
            "4096, 64M or 1G");
}

static void test_times_have_units(void **state)
{
    static const struct {
        const char *line;
        uint64_t ns;
    } cases[] = {{"--peer-timeout 5", 5 * CLOCK_S},
                 {"--peer-timeout 0.5", CLOCK_S / 2},
                 {"--peer-timeout 5s", 5 * CLOCK_S},
                 {"--peer-timeout 200ms", 200 * CLOCK_MS},
                 {"--peer-timeout 2m", 120 * CLOCK_S}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        takes(cases[i].line);
        assert_int_equal(v.timeout, cases[i].ns);
    }
    refuses("--peer-timeout 5y", "option --peer-timeout: '5y' is not a time, "
                                 "like 5s, 200ms or 2m");
    refuses("--peer-timeout=", "option --peer-timeout: '' is not a time, like "
                               "5s, 200ms or 2m");
}

static void test_a_time_too_long_to_count_is_refused(void **state)
{
    uint64_t ns = 7;
    const struct opt opt = {.name = "wait",
                            .kind = OPT_SECONDS,
                            .value = &ns,
                            .arg = "TIME",
                            .help = "unbounded"};
    const struct opt_command c = {
        .name = "x", .summary = "", .usage = "x", .opts = &opt, .n_opts = 1};
    char a0[] = "x", a1[] = "--wait", a2[] = "1e300";
    char *argv[] = {a0, a1, a2};
    struct err e;
    int n;

    (void)state;
    assert_int_equal(opt_parse(&c, 3, argv, &n, &e), ERR_INVALID);
    assert_string_equal(e.msg,
                        "option --wait: '1e300' is not a time that can be "
                        "counted");
    assert_int_equal(ns, 7);
}

static void test_nearest_knows_slips_and_beginnings(void **state)
{
    static const char *const WORDS[] = {
        "train", "resume", "eval", "replay", "durability", "lr", NULL};

    (void)state;
    assert_string_equal(opt_nearest("tarin", WORDS), "train");
    assert_string_equal(opt_nearest("trian", WORDS), "train");
    assert_string_equal(opt_nearest("resum", WORDS), "resume");
    assert_string_equal(opt_nearest("rpelay", WORDS), "replay");
    assert_string_equal(opt_nearest("dura", WORDS), "durability");
    assert_null(opt_nearest("xyzzy", WORDS));
    assert_null(opt_nearest("", WORDS));
    assert_null(opt_nearest("zz", WORDS)); /* Two edits from lr, and all new. */
}

static void test_nearest_gives_up_on_endless_words(void **state)
{
    static const char *const WORDS[] = {"train", NULL};
    char word[4096];

    (void)state;
    memset(word, 't', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(opt_nearest(word, WORDS));
}

static void test_help_shows_options_defaults_and_examples(void **state)
{
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(f);
    opt_help(&COMMAND, f);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "usage: lyre train mlr --data F [options]\n"));
    assert_non_null(strstr(text, "  --batch B               samples of a clock "
                                 "(default 64)\n"));
    assert_non_null(strstr(text, "and a second line (default 5s)\n"));
    assert_non_null(strstr(text, "  --help  "));
    assert_non_null(strstr(text, "\nIt takes a while.\n"));
    assert_non_null(strstr(text, "\n  lyre train mlr --data b.svm\n"));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_options_and_words_may_be_mixed, set_up),
        cmocka_unit_test_setup(test_options_not_given_keep_their_defaults,
                               set_up),
        cmocka_unit_test_setup(test_strings_keep_the_last_and_lists_keep_all,
                               set_up),
        cmocka_unit_test_setup(test_a_list_that_is_full_refuses_more, set_up),
        cmocka_unit_test_setup(test_unknown_options_name_the_nearest, set_up),
        cmocka_unit_test_setup(test_values_are_there_or_refused, set_up),
        cmocka_unit_test_setup(test_numbers_are_checked_to_the_last_character,
                               set_up),
        cmocka_unit_test_setup(test_numbers_out_of_range_name_the_range,
                               set_up),
        cmocka_unit_test_setup(test_sizes_have_suffixes, set_up),
        cmocka_unit_test_setup(test_times_have_units, set_up),
        cmocka_unit_test(test_a_time_too_long_to_count_is_refused),
        cmocka_unit_test(test_nearest_knows_slips_and_beginnings),
        cmocka_unit_test(test_nearest_gives_up_on_endless_words),
        cmocka_unit_test_setup(test_help_shows_options_defaults_and_examples,
                               set_up),
    };
    return cmocka_run_group_tests_name("cli_opt", tests, NULL, NULL);
}
