/* Unit tests of core/npy.h. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/npy.h"
#include "tests/support/test.h"

struct fixture {
    char dir[32];
    char path[64];
    struct mat m;
};

/* A matrix with J that needs padding, so that writing it would be seen. */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->dir, "/tmp/lyre-npy-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/W.npy", f->dir);
    assert_int_equal(mat_init(&f->m, 3, 5, NULL), 0);
    for (size_t k = 0; k < 3; k++) {
        for (size_t j = 0; j < 5; j++) {
            mat_row(&f->m, k)[j] = (float)(10 * k + j) + 0.5f;
        }
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    mat_fini(&f->m);
    unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0); /* So nothing else was left there. */
    free(f);
    return 0;
}

static size_t slurp(const char *path, uint8_t *data, size_t room)
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    const size_t n = fread(data, 1, room, f);
    assert_int_equal(fclose(f), 0);
    return n;
}

static void test_elements_follow_an_aligned_header(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512];

    assert_int_equal(npy_write(f->path, &f->m, NULL), 0);

    const size_t n = slurp(f->path, data, sizeof data);
    const size_t head = 10u + le_u16(data + 8);
    assert_memory_equal(data, "\x93NUMPY\x01\x00", 8);
    assert_int_equal(head % 64, 0);
    assert_int_equal(data[head - 1], '\n');
    data[head - 1] = '\0';
    assert_ptr_equal(strstr((char *)data + 10,
                            "{'descr': '<f4', 'fortran_order': False, "
                            "'shape': (3, 5), }"),
                     data + 10);
    assert_int_equal(n, head + 3 * 5 * 4);
    for (size_t i = 0; i < 15; i++) {
        const float want = (float)(10 * (i / 5) + i % 5) + 0.5f;
        assert_true(le_f32(data + head + 4 * i) == want);
    }
}

static void test_what_was_written_is_read_back(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512];
    float back[3 * 5];

    assert_int_equal(npy_write(f->path, &f->m, NULL), 0);
    const size_t n = slurp(f->path, data, sizeof data);
    const struct npy_rows rows = npy_rows_of(&f->m);
    assert_int_equal(npy_size(&rows), n);
    assert_int_equal(npy_get(back, 3, 5, 5, data, n, NULL), 0);
    for (size_t k = 0; k < 3; k++) {
        assert_memory_equal(back + 5 * k, mat_row(&f->m, k), 5 * sizeof *back);
    }
    assert_int_equal(npy_get(back, 3, 5, 5, data, n - 1, NULL), ERR_CORRUPT);
    assert_int_equal(npy_get(back, 5, 3, 3, data, n, NULL), ERR_CORRUPT);
    data[1] = 'M';
    assert_int_equal(npy_get(back, 3, 5, 5, data, n, NULL), ERR_CORRUPT);
}

/* Rows are converted piece by piece: this one is more than a piece. */
static void test_long_rows_are_whole(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[128 + 2 * 4 * 5001 + 1];
    struct mat m;

    assert_int_equal(mat_init(&m, 2, 5001, NULL), 0);
    for (size_t i = 0; i < 2 * 5001; i++) {
        mat_row(&m, i / 5001)[i % 5001] = (float)i;
    }
    assert_int_equal(npy_write(f->path, &m, NULL), 0);
    assert_int_equal(slurp(f->path, data, sizeof data), sizeof data - 1);
    for (size_t i = 0; i < 2 * 5001; i++) {
        assert_true(le_f32(data + 128 + 4 * i) == (float)i);
    }
    mat_fini(&m);
}

static void test_a_file_that_was_there_is_replaced(void **state)
{
    struct fixture *f = *state;
    uint8_t data[512];
    FILE *old = fopen(f->path, "wb");

    assert_non_null(old);
    assert_true(fputs("old", old) >= 0);
    assert_int_equal(fclose(old), 0);
    assert_int_equal(npy_write(f->path, &f->m, NULL), 0);
    assert_int_equal(slurp(f->path, data, sizeof data), 128 + 60);
}

static void test_a_missing_directory_is_named(void **state)
{
    struct fixture *f = *state;
    struct err e;

    assert_int_equal(npy_write("/nonexistent/W.npy", &f->m, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "write /nonexistent/W.npy: create: No such file "
                               "or directory");
}

/* The rename fails, because a directory is in its way: nothing is left over. */
static void test_a_failed_write_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    char partial[80];
    struct err e;

    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(npy_write(f->path, &f->m, &e), ERR_IO);
    assert_non_null(strstr(e.msg, "rename: Is a directory"));
    snprintf(partial, sizeof partial, "%s.partial", f->path);
    assert_int_equal(access(partial, F_OK), -1);
    assert_int_equal(rmdir(f->path), 0);
}

static void test_a_full_disk_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char partial[80];

    /* Whatever is written to the partial file goes to a device that is full. */
    snprintf(partial, sizeof partial, "%s.partial", f->path);
    assert_int_equal(symlink("/dev/full", partial), 0);
    assert_int_equal(npy_write(f->path, &f->m, &e), ERR_FULL);
    assert_int_equal(access(f->path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_elements_follow_an_aligned_header,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_written_is_read_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_rows_are_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_was_there_is_replaced,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_missing_directory_is_named,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_failed_write_leaves_nothing_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_disk_is_an_error, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("core_npy", tests, NULL, NULL);
}
