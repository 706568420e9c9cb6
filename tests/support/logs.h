/* Small logs for tests, and files that fail.
 *
 * A story is a log whose every byte follows from a seed: batches of a few
 * peers, steps that apply them, digests now and then.
 */

#ifndef TESTS_SUPPORT_LOGS_H_
#define TESTS_SUPPORT_LOGS_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/file.h"
#include "ckpt/log.h"
#include "ckpt/step.h"
#include "core/blob.h"
#include "core/log.h"
#include "sv/apply.h"
#include "sv/rows.h"

#define LOGS_PATH_SIZE 256
#define LOGS_J         7
#define LOGS_K         23
#define LOGS_RUN       UINT64_C(0xfeedfacecafebeef)

/* Make an empty directory, in memory where there is such a place, and remove
 * one with all it has. */
void logs_dir_make(char dir[LOGS_PATH_SIZE]);
void logs_dir_remove(const char *dir);

/* Whole files. read: the caller frees *data. */
void logs_file_read(const char *dir,
                    const char *name,
                    uint8_t **data,
                    size_t *size);
void logs_file_write(const char *dir,
                     const char *name,
                     const uint8_t *data,
                     size_t size);

struct logs_story {
    uint64_t seed;
    uint32_t peers;
    uint16_t matrices; /* All (LOGS_K, LOGS_J). */
    enum sv_rule rule;
};

/* The batch of peer @origin; its form changes with clock and origin. */
void logs_batch(const struct logs_story *s,
                uint32_t origin,
                uint64_t clock,
                uint16_t matrix,
                struct sv_batch *b);

/* What is added to rows of a matrix by the op with this sequence. */
void logs_rows(const struct logs_story *s,
               uint64_t clock,
               uint16_t matrix,
               uint32_t sequence,
               struct sv_row_block *b);

/* What the step of @clock does: it applies batches of this clock and, of peers
 * with odd numbers, of the one before, and now and then two blocks of rows. */
void logs_step(const struct logs_story *s,
               uint64_t clock,
               struct ckpt_step *step);

/* The digest that is logged behind the step before @clock: every third. */
bool logs_digest(const struct logs_story *s,
                 uint64_t clock,
                 struct hash128 *digest);

/* All records of a clock, in the order of the log. */
struct blob *logs_clock(const struct logs_story *s, uint64_t clock);

/* Options for a log of peer 0 in @dir: no thread is waited for longer than a
 * sync asks. */
struct ckpt_log_options logs_options(const char *dir);

/* Put clocks @from..@to - 1. */
int logs_put(struct ckpt_log *log,
             const struct logs_story *s,
             uint64_t from,
             uint64_t to,
             struct err *e);

/* Write a whole log with clocks 0..n-1. */
void logs_write(const struct logs_story *s,
                const struct ckpt_log_options *o,
                uint64_t n);

/* Fail the test unless the log in @dir has clocks 0..n-1 of the story. */
void logs_check(const struct logs_story *s, const char *dir, uint64_t n);

/* A sink that counts warnings and worse. */
struct logs_sink {
    struct log log;
    int n_warnings;
    char last[512];
};
void logs_sink_init(struct logs_sink *s);

/* Files that fail: the call number fail_at (from 0), or from there on. What was
 * not synced is remembered. */
#define LOGS_FILES_MAX 64

struct logs_fs {
    struct ckpt_fs fs;
    long fail_at; /* -1: never. */
    bool forever;
    bool half;  /* A write that fails writes half of it before. */
    int cause;  /* errno. */
    long n_ops; /* So far. */
    size_t n_files;
    struct {
        char path[LOGS_PATH_SIZE];
        int fd; /* -1: closed. */
        uint64_t size, synced;
        bool named; /* The directory was synced. */
    } files[LOGS_FILES_MAX];
};
void logs_fs_init(struct logs_fs *f);

/* Lose what was not synced: each file keeps a part of its unsynced tail that
 * follows from @seed, or has holes of zeros in it. */
void logs_fs_power_cut(struct logs_fs *f, uint64_t seed);

#endif /* TESTS_SUPPORT_LOGS_H_ */
