/* Unit tests of dataset/sampler.h. */

#include <stdlib.h>
#include <string.h>

#include "dataset/sampler.h"
#include "tests/support/test.h"

#define N_MAX 97

/* The rows of all clocks that epochs [0, n_epochs) touch, one behind the
 * other. */
static uint32_t *collect(const struct dataset_sampler *s, uint64_t n_epochs)
{
    uint64_t n_clocks = (n_epochs * s->n_rows + s->batch - 1) / s->batch;
    uint32_t *rows = malloc(n_clocks * s->batch * sizeof *rows);

    assert_non_null(rows);
    for (uint64_t c = 0; c < n_clocks; c++) {
        dataset_sampler_get(s, c, rows + c * s->batch);
    }
    return rows;
}

static void test_every_epoch_visits_every_row_once(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= N_MAX; n += 3) {
        for (uint32_t batch = 1; batch < 2 * n; batch += 5) {
            struct dataset_sampler s = {11, 2, n, batch};
            uint32_t *rows = collect(&s, 4);
            for (size_t epoch = 0; epoch < 4; epoch++) {
                unsigned seen[N_MAX + 1] = {0};
                for (size_t i = 0; i < n; i++) {
                    assert_true(rows[epoch * n + i] < n);
                    seen[rows[epoch * n + i]]++;
                }
                for (size_t r = 0; r < n; r++) {
                    assert_int_equal(seen[r], 1);
                }
            }
            free(rows);
        }
    }
}

static void test_orders_differ_between_epochs_shards_and_seeds(void **state)
{
    struct dataset_sampler s = {11, 2, N_MAX, 8}, other;
    uint32_t *rows = collect(&s, 2), *x;
    const size_t size = N_MAX * sizeof *rows;

    (void)state;
    assert_memory_not_equal(rows, rows + N_MAX, size);
    other = s;
    other.seed++;
    x = collect(&other, 2);
    assert_memory_not_equal(rows, x, size);
    free(x);
    other = s;
    other.shard++;
    x = collect(&other, 2);
    assert_memory_not_equal(rows, x, size);
    free(x);
    free(rows);
}

static void test_a_clock_does_not_depend_on_those_before(void **state)
{
    struct dataset_sampler s = {5, 0, 50, 7};
    uint32_t *rows = collect(&s, 3), again[7];

    (void)state;
    for (uint64_t c = 21; c-- > 0;) {
        dataset_sampler_get(&s, c, again);
        assert_memory_equal(again, rows + c * 7, sizeof again);
    }
    free(rows);
}

static void test_rows_do_not_depend_on_the_size_of_the_batch(void **state)
{
    struct dataset_sampler a = {5, 0, 50, 7}, b = {5, 0, 50, 64};
    uint32_t *x = collect(&a, 3), *y = collect(&b, 3);

    (void)state;
    assert_memory_equal(x, y, 150 * sizeof *x);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_epoch_visits_every_row_once),
        cmocka_unit_test(test_orders_differ_between_epochs_shards_and_seeds),
        cmocka_unit_test(test_a_clock_does_not_depend_on_those_before),
        cmocka_unit_test(test_rows_do_not_depend_on_the_size_of_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
