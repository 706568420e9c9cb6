#include "core/mat.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_SIZE ((size_t)2 << 20)

int mat_init(struct mat *m, size_t K, size_t J, struct err *e)
{
    size_t ld = mat_ld(J), size;
    uint8_t *p;

    memset(m, 0, sizeof *m);
    if (K == 0 || J == 0 || ld < J ||
        __builtin_mul_overflow(K, ld * sizeof(float), &size) ||
        size > SIZE_MAX / 2) {
        return err_set(e, ERR_INVALID, "matrix of %zu x %zu", K, J);
    }
    /* Room to move the start to a huge page; what sticks out is unmapped. */
    size = (size + HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE;
    p = mmap(NULL, size + HUGE_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return err_set(e, ERR_NOMEM, "matrix of %zu x %zu: %zu MiB", K, J,
                       size >> 20);
    }
    {
        size_t head = (HUGE_SIZE - (uintptr_t)p % HUGE_SIZE) % HUGE_SIZE;
        if (head > 0) {
            munmap(p, head);
        }
        munmap(p + head + size, HUGE_SIZE - head);
        p += head;
    }
    madvise(p, size, MADV_HUGEPAGE); /* Refused: small pages will do. */
    *m = (struct mat){.K = K, .J = J, .ld = ld, .size = size};
    m->data = (float *)(void *)p;
    return 0;
}

void mat_fini(struct mat *m)
{
    if (m->data != NULL) {
        munmap(m->data, m->size);
    }
    memset(m, 0, sizeof *m);
}
