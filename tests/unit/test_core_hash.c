/* Unit tests of core/hash.h. */

#include <string.h>

#include "core/hash.h"
#include "tests/support/test.h"

static void test_known_values_stay(void **state)
{
    char hex[HASH_HEX_SIZE];

    (void)state;
    /* XXH3-64 of nothing, from its specification: a log of today is read by
     * the lyre of tomorrow. */
    assert_true(hash64("", 0) == 0x2d06800538d394c2u);
    hash_hex((struct hash128){.high = 0x1, .low = 0xab}, hex);
    assert_string_equal(hex, "000000000000000100000000000000ab");
}

static void test_two_pieces_hash_like_one(void **state)
{
    uint8_t x[600];

    (void)state;
    for (size_t i = 0; i < sizeof x; i++) {
        x[i] = (uint8_t)(i * 7);
    }
    for (size_t cut = 0; cut <= sizeof x; cut += 50) {
        assert_true(hash64_two(x, cut, x + cut, sizeof x - cut) ==
                    hash64(x, sizeof x));
    }
}

static void fill(struct mat *m)
{
    for (size_t k = 0; k < m->K; k++) {
        for (size_t j = 0; j < m->J; j++) {
            mat_row(m, k)[j] = (float)(k * m->J + j);
        }
    }
}

static struct hash128 hash_of(size_t K, size_t J)
{
    struct mat m;
    struct hash128 h;
    struct err e;

    assert_int_equal(mat_init(&m, K, J, &e), 0);
    fill(&m);
    h = hash_mat(&m);
    mat_fini(&m);
    return h;
}

/* 4 x 16 has no padding, 2 x 32 neither, 8 x 8 has: the same 64 numbers. */
static void test_a_matrix_hashes_without_its_padding(void **state)
{
    struct hash128 a = hash_of(4, 16), b = hash_of(8, 8), c = hash_of(8, 7);

    (void)state;
    assert_true(a.high == b.high && a.low == b.low);
    assert_false(a.high == c.high && a.low == c.low);
}

static void test_every_bit_counts(void **state)
{
    struct mat m;
    struct hash128 before, after;
    struct err e;

    (void)state;
    assert_int_equal(mat_init(&m, 3, 5, &e), 0);
    before = hash_mat(&m);
    mat_row(&m, 2)[4] = -0.0f;
    after = hash_mat(&m);
    assert_false(before.high == after.high && before.low == after.low);
    mat_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values_stay),
        cmocka_unit_test(test_two_pieces_hash_like_one),
        cmocka_unit_test(test_a_matrix_hashes_without_its_padding),
        cmocka_unit_test(test_every_bit_counts),
    };
    return cmocka_run_group_tests_name("core_hash", tests, NULL, NULL);
}
