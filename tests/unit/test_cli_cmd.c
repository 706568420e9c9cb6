/* Unit tests of cli/cmd.h: what commands say of a log that lies, which no
 * training writes. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckpt/log.h"
#include "ckpt/step.h"
#include "cli/cmd.h"
#include "core/hash.h"
#include "tests/support/test.h"
#include "train/run.h"

#define CLOCKS 3
#define BAD    2 /* The digest of this clock is not that of its W. */

struct fixture {
    char dir[32];
    char peer_dir[64];
    struct hash128 digest; /* Of W, which stays zero. */
};

static char *run_json(void)
{
    static char a[] = "a", b[] = "b", *classes[] = {a, b};
    struct train_run run;
    char *text;

    train_run_init(&run);
    strcpy(run.model, "mlr");
    run.n_peers = 1;
    run.batch = 1;
    run.clocks = CLOCKS;
    run.n_rows = 1;
    run.data = strdup("none.svm");
    run.schema.n_features = 4;
    run.schema.n_classes = 2;
    run.schema.classes = classes;
    assert_int_equal(train_run_to_json(&run, &text, NULL), 0);
    run.schema = (struct dataset_schema){0}; /* Not ours to free. */
    train_run_fini(&run);
    return text;
}

/* A step that does nothing, and the digest of the clock it leads to. */
static void put_clock(struct ckpt_log *log, uint64_t clock, struct hash128 h)
{
    struct ckpt_step step;
    struct buf out;

    buf_init(&out);
    ckpt_step_init(&step);
    ckpt_step_reset(&step, clock);
    assert_int_equal(ckpt_step_write(&out, 0, 0, &step, NULL), 0);
    assert_int_equal(ckpt_digest_write(&out, 0, 0, clock + 1, 0, h), 0);
    struct blob *blob = blob_copy(out.data, out.size);
    assert_non_null(blob);
    assert_int_equal(ckpt_log_put(log, blob, NULL), 0);
    blob_unref(blob);
    ckpt_step_fini(&step);
    buf_fini(&out);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct ckpt_log_options o = {.dir = f->peer_dir, .run = 7};
    struct ckpt_log *log;
    char *json = run_json();
    struct mat w;

    assert_non_null(f);
    strcpy(f->dir, "/tmp/lyre-cmd-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->peer_dir, sizeof f->peer_dir, "%s/peer-0", f->dir);
    assert_int_equal(mat_init(&w, 4, 2, NULL), 0);
    f->digest = hash_mat(&w);
    mat_fini(&w);
    o.run_json = json;
    assert_int_equal(ckpt_log_create(&log, &o, NULL), 0);
    for (uint64_t c = 0; c < CLOCKS; c++) {
        struct hash128 h = f->digest;
        h.low ^= c + 1 == BAD;
        put_clock(log, c, h);
    }
    assert_int_equal(ckpt_log_close(log, NULL), 0);
    free(json);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Run lyre replay --verify up to @clock with its output going to @text. */
static int verify(const struct fixture *f, char *clock, char *text, size_t size)
{
    char a0[] = "replay", a2[] = "--verify", a3[] = "--clock", dir[32];
    char *argv[] = {a0, dir, a2, a3, clock};
    FILE *file = tmpfile();
    const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);

    strcpy(dir, f->dir);
    assert_non_null(file);
    fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    const int status = cmd_replay(5, argv);
    fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    assert_true(dup2(err, STDERR_FILENO) >= 0);
    assert_int_equal(close(out), 0);
    assert_int_equal(close(err), 0);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return status;
}

static void test_verify_finds_a_digest_that_differs(void **state)
{
    const struct fixture *f = *state;
    char clock[] = "3", text[4096], want[256], right[HASH_HEX_SIZE],
         wrong[HASH_HEX_SIZE];
    struct hash128 h = f->digest;

    hash_hex(h, right);
    h.low ^= 1;
    hash_hex(h, wrong);
    assert_int_equal(verify(f, clock, text, sizeof text), CMD_DIVERGED);
    snprintf(want, sizeof want, "clock 1 matrix W digest %s ok\n", right);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof want,
             "clock 2 matrix W digest %s MISMATCH, in training %s\n", right,
             wrong);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof want, "clock 3 matrix W digest %s ok\n", right);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "lyre: 1 of 3 digests differ from those of "
                                 "training, from clock 2 on\n"));
}

static void test_verify_stops_at_the_clock_it_is_given(void **state)
{
    const struct fixture *f = *state;
    char clock[] = "1", text[4096];

    assert_int_equal(verify(f, clock, text, sizeof text), CMD_OK);
    assert_non_null(strstr(text, "1 digest at 1 clock, as in training\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verify_finds_a_digest_that_differs,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_verify_stops_at_the_clock_it_is_given, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("cli_cmd", tests, NULL, NULL);
}
