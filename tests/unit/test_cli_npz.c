/* Unit tests of cli/npz.h. That other programs can read it is tested by
 * tests/system/test_log_tools.sh. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "cli/npz.h"
#include "core/buf.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

static const float DATA[6] = {1, 2, 3, 4, 5, 6};

static void test_entries_are_npy_files_with_their_checksums(void **state)
{
    struct npz_array arrays[] = {
        {.name = "W", .rows = {DATA, 2, 3, 3}},
        {.name = "W.h", .rows = {DATA, 6, 1, 1}},
    };
    char dir[LOGS_PATH_SIZE], path[2 * LOGS_PATH_SIZE];
    uint8_t *data;
    size_t size, at = 0;
    float back[6];

    (void)state;
    logs_dir_make(dir);
    snprintf(path, sizeof path, "%s/x.npz", dir);
    assert_int_equal(npz_write(path, arrays, 2, NULL), 0);
    logs_file_read(dir, "x.npz", &data, &size);
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *head = data + at;
        const size_t n = le_u16(head + 26), bytes = le_u32(head + 18);
        const uint8_t *file = head + 30 + n;
        assert_memory_equal(head, "PK\x03\x04", 4);
        assert_int_equal(bytes, npy_size(&arrays[i].rows));
        assert_int_equal(le_u32(head + 14), crc32(0, file, (uInt)bytes));
        assert_memory_equal(head + 30, i == 0 ? "W.npy" : "W.h.npy", n);
        assert_int_equal(npy_get(back, arrays[i].rows.K, arrays[i].rows.J,
                                 arrays[i].rows.ld, file, bytes, NULL),
                         0);
        assert_memory_equal(back, DATA, sizeof DATA);
        at += 30 + n + bytes;
    }
    assert_memory_equal(data + at, "PK\x01\x02", 4);
    assert_memory_equal(data + size - 22, "PK\x05\x06", 4);
    assert_int_equal(le_u32(data + size - 6), at); /* The directory. */
    free(data);
    logs_dir_remove(dir);
}

static void test_what_is_too_large_is_refused_before_it_is_written(void **state)
{
    struct npz_array big = {.name = "W",
                            .rows = {DATA, 1 << 20, 1 << 10, 1 << 10}};
    struct err e = {""};

    (void)state;
    assert_int_equal(npz_write("/nonexistent/x.npz", &big, 1, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "4.3 GB do not fit into an .npz: use "
                                  "--format npy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_npy_files_with_their_checksums),
        cmocka_unit_test(
            test_what_is_too_large_is_refused_before_it_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
