/* A run as commands look at it: the replica of some peer at some clock. */

#ifndef CLI_PAST_H_
#define CLI_PAST_H_

#include <stdbool.h>
#include <stdint.h>

#include "cli/opt.h"
#include "core/err.h"
#include "core/pool.h"
#include "train/replica.h"

/* What the user may choose. All zero is the default. */
struct past_options {
    uint64_t clock;
    bool clock_given; /* Else the last clock. */
    uint64_t peer;
    bool peer_given;         /* Else the lowest that has a log. */
    uint64_t threads;        /* 0: one for each CPU. */
    struct opt_list without; /* What replay leaves out: see cli/span.h. */
};

/* The options --clock, --peer and --threads, for the table of a command. */
#define PAST_OPTS(OPTIONS)                                                   \
    {.name = "clock",                                                        \
     .kind = OPT_U64,                                                        \
     .value = &(OPTIONS).clock,                                              \
     .given = &(OPTIONS).clock_given,                                        \
     .arg = "C",                                                             \
     .help = "take the parameters of this clock (default: the last)"},       \
        {.name = "peer",                                                     \
         .kind = OPT_U64,                                                    \
         .value = &(OPTIONS).peer,                                           \
         .given = &(OPTIONS).peer_given,                                     \
         .arg = "P",                                                         \
         .help = "read the log of this peer (default: the lowest)",          \
         .min = 0,                                                           \
         .max = UINT32_MAX},                                                 \
    {                                                                        \
        .name = "threads", .kind = OPT_U64, .value = &(OPTIONS).threads,     \
        .arg = "T", .help = "threads (default: one for each CPU)", .min = 1, \
        .max = POOL_THREADS_MAX                                              \
    }

struct past {
    struct pool *pool;
    struct train_replica replica; /* At clock 0 after opening. */
    uint32_t peer;                /* Whose log it is. */
};

/* Open the run directory @dir. Errors: as train_replica_open(). */
int past_open(struct past *p,
              const char *dir,
              const struct past_options *o,
              struct err *e);
void past_close(struct past *p);

/* Replay to @clock (TRAIN_CLOCK_LAST: the last), with a line of progress where
 * it takes long. Errors: as train_replica_seek(). */
int past_seek(struct past *p, uint64_t clock, struct err *e);

/* Replay to where @o asks for, leaving out what it says. Errors: as seek, and
 * ERR_INVALID: not what can be left out. */
int past_go(struct past *p, const struct past_options *o, struct err *e);

/* The option --without, for the table of a command. */
#define PAST_OPT_WITHOUT(OPTIONS)                                            \
    {                                                                        \
        .name = "without", .kind = OPT_LIST, .value = &(OPTIONS).without,    \
        .arg = "WHOSE",                                                      \
        .help = "leave out batches: peer=P, clock=A..B, peer=P,clock=A..B; " \
                "may be\ngiven again. Later batches stay what they were, "   \
                "computed with them:\nthe model is approximately what it "   \
                "would be"                                                   \
    }

/* The clock that @o asks for, for past_seek(). */
uint64_t past_clock(const struct past_options *o);

/* The name of matrix @i. */
const char *past_name(const struct past *p, size_t i);

/* Write the matrices as they are to "@out": of several, "OUT-NAME.npy" each.
 * Errors: as npy_write(). */
int past_write(const struct past *p, const char *out, struct err *e);

/* The matrix called @name; NULL: the first. Errors: ERR_INVALID: none. */
int past_matrix(const struct past *p,
                const char *name,
                size_t *i,
                struct err *e);

/* The label that column @j of @matrix is about, or NULL: about none. */
const char *past_column(const struct past *p, size_t matrix, uint32_t j);

/* How many CPUs this process may use, at most POOL_THREADS_MAX. */
size_t past_cpus(void);

/* Open the pool that @threads asks for: 0 means one for each CPU. */
int past_pool(struct pool **pool, uint64_t threads, struct err *e);

#endif /* CLI_PAST_H_ */
