#include "core/clock.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * CLOCK_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_unix_s(void)
{
    return (int64_t)time(NULL);
}

uint64_t clock_nonce(void)
{
    uint64_t x;

    if (getrandom(&x, sizeof x, 0) != (ssize_t)sizeof x) {
        x = read_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40;
    }
    return x;
}
