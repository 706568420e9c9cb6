/* The only source of time. */

#ifndef CORE_CLOCK_H_
#define CORE_CLOCK_H_

#include <stdint.h>

#define CLOCK_MS ((uint64_t)1000000) /* Nanoseconds. */
#define CLOCK_S  ((uint64_t)1000000000)

/* Nanoseconds since some fixed moment of the past; never goes back. */
uint64_t clock_ns(void);

/* CPU time of the process, and of the calling thread, in nanoseconds. */
uint64_t clock_cpu_ns(void);
uint64_t clock_thread_cpu_ns(void);

/* Seconds since 1970, for names and for humans only. */
int64_t clock_unix_s(void);

/* 64 bits that differ between processes and between calls, from the kernel.
 * For names of sessions: training never uses it. */
uint64_t clock_nonce(void);

#endif /* CORE_CLOCK_H_ */
