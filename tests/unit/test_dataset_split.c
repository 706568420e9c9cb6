/* Unit tests of dataset/split.h. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "dataset/split.h"
#include "tests/support/test.h"

#define N 500 /* Rows. */

static void put_file(const char *path, const char *line, int n)
{
    gzFile f = gzopen(path, strstr(path, ".gz") != NULL ? "wb" : "wbT");

    assert_non_null(f);
    gzputs(f, "# comment\n");
    for (int i = 0; i < n; i++) {
        gzprintf(f, line, i);
    }
    assert_int_equal(gzclose(f), Z_OK);
}

/* Count in @seen the rows "x <i>:1"; they ascend in a file. */
static int count_rows(const char *path, unsigned seen[N])
{
    gzFile f = gzopen(path, "rb");
    char line[64];
    int n = 0, last = -1, i;

    assert_non_null(f);
    assert_non_null(gzgets(f, line, sizeof line));
    assert_string_equal(line, "# comment\n");
    while (gzgets(f, line, sizeof line) != NULL) {
        assert_int_equal(sscanf(line, "x %d:1\n", &i), 1);
        assert_true(i > last && i < N);
        last = i;
        seen[i]++;
        n++;
    }
    gzclose(f);
    return n;
}

static void check_split(const char *path, const char *train, const char *test)
{
    unsigned seen[N] = {0};
    struct dataset_split s = {.share = 0.2, .seed = 3, .prefix = "part"};
    struct err e;

    put_file(path, "x %d:1\n", N);
    if (dataset_split(&s, path, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_string_equal(s.train, train);
    assert_string_equal(s.test, test);
    assert_int_equal(s.n_test, N / 5);
    assert_int_equal(count_rows(train, seen), s.n_train);
    assert_int_equal(count_rows(test, seen), s.n_test);
    for (int i = 0; i < N; i++) {
        assert_int_equal(seen[i], 1);
    }
    unlink(path);
    unlink(train);
    unlink(test);
}

static void test_every_row_goes_to_one_of_the_files(void **state)
{
    (void)state;
    check_split("in.svm", "part.train.svm", "part.test.svm");
    check_split("in.svm.gz", "part.train.svm.gz", "part.test.svm.gz");
    check_split("in", "part.train.svm", "part.test.svm");
}

static void test_the_seed_chooses_the_rows(void **state)
{
    struct dataset_split s = {.share = 0.5, .prefix = "part"};
    unsigned seen[3][N] = {{0}};

    (void)state;
    put_file("in.svm", "x %d:1\n", N);
    for (int i = 0; i < 3; i++) {
        s.seed = i < 2 ? 1 : 2;
        assert_int_equal(dataset_split(&s, "in.svm", NULL), 0);
        count_rows(s.test, seen[i]);
    }
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_not_equal(seen[0], seen[2], sizeof seen[0]);
    unlink("in.svm");
    unlink(s.train);
    unlink(s.test);
}

static void check_error(const char *path, double share, const char *want)
{
    struct dataset_split s = {.share = share, .prefix = "never"};
    struct err e;

    assert_int_equal(dataset_split(&s, path, &e), ERR_INVALID);
    assert_string_equal(e.msg, want);
    assert_int_equal(access("never.train.svm", F_OK), -1);
}

static void test_what_cannot_be_divided_is_refused(void **state)
{
    (void)state;
    put_file("in.svm", "x %d:1\n", 1);
    check_error("in.svm", 0.5, "split in.svm: 1 rows cannot be divided");
    check_error("in.svm", 1, "split in.svm: a share of 1: between 0 and 1");
    unlink("in.svm");
    check_error(TEST_SOURCE_DIR "/tests/data/good/rows.idx", 0.5,
                "split " TEST_SOURCE_DIR "/tests/data/good/rows.idx: IDX "
                "cannot be divided line by line");
}

static void test_both_files_get_at_least_one_row(void **state)
{
    struct dataset_split s = {.share = 0.001, .prefix = "part"};

    (void)state;
    put_file("in.svm", "x %d:1\n", 2);
    assert_int_equal(dataset_split(&s, "in.svm", NULL), 0);
    assert_int_equal(s.n_test, 1);
    s.share = 0.999;
    assert_int_equal(dataset_split(&s, "in.svm", NULL), 0);
    assert_int_equal(s.n_train, 1);
    unlink("in.svm");
    unlink(s.train);
    unlink(s.test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_goes_to_one_of_the_files),
        cmocka_unit_test(test_the_seed_chooses_the_rows),
        cmocka_unit_test(test_what_cannot_be_divided_is_refused),
        cmocka_unit_test(test_both_files_get_at_least_one_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
