/* Appending records to segments, and to the index behind them. One thread.
 *
 * Records gather in memory and are written in large pieces. Rows of the index
 * gather too, and are put in one transaction when the writer is told to.
 */

#ifndef CKPT_WRITER_H_
#define CKPT_WRITER_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/catalog.h"
#include "ckpt/file.h"
#include "ckpt/index.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/log.h"

struct ckpt_writer {
    struct ckpt_fs *fs;
    const char *dir; /* Lives as long as the writer. */
    struct log *log;
    uint64_t run;
    uint32_t peer;
    uint64_t segment_size_max;
    char *run_json; /* Owned. */

    int fd; /* Of the segment; -1: none. */
    uint32_t number;
    uint64_t first_clock;
    uint64_t written;  /* Bytes in the file, all whole records. */
    uint64_t synced;   /* Of these durable. */
    struct buf gather; /* Whole records behind them. */

    bool sync_failed; /* Nobody knows what of it is on the disk. */

    uint64_t n_steps;   /* Step records so far, gathered ones too. */
    uint64_t n_written; /* Of these in the file, */
    uint64_t n_synced;  /* and durable. */
    uint64_t bytes;     /* Written by this writer. */
    struct ckpt_index index;
    bool indexing;    /* False once the index failed. */
    struct buf rows;  /* struct ckpt_entry, not in the index yet. */
    struct buf small; /* Payloads of their steps and digests, back to back. */
};

/* Set the fields from fs to segment_size_max before; the rest is made here.
 *
 * Owner:  whatever init returns, fini is needed.
 * Errors: ERR_NOMEM. */
int ckpt_writer_init(struct ckpt_writer *w,
                     const char *run_json,
                     struct err *e);
void ckpt_writer_fini(struct ckpt_writer *w);

/* Begin segment @number, durable with its run record.
 * Errors: ERR_FULL, ERR_IO, ERR_NOMEM. */
int ckpt_writer_begin(struct ckpt_writer *w, uint32_t number, struct err *e);

/* Go on behind @size bytes of a segment that is there. What follows is cut. If
 * another log shares the file, it keeps it, and this one gets a copy.
 * Errors: ERR_FULL, ERR_IO. */
int ckpt_writer_resume(struct ckpt_writer *w,
                       const struct ckpt_segment *s,
                       uint64_t size,
                       struct err *e);

/* Open the index for writing. If it cannot be, warn, and go on without. */
void ckpt_writer_open_index(struct ckpt_writer *w);

/* Take one or more whole records. @has_step is set if a step is among them.
 * Errors: ERR_CORRUPT (not records), ERR_FULL, ERR_IO, ERR_NOMEM. */
int ckpt_writer_append(struct ckpt_writer *w,
                       const uint8_t *data,
                       size_t size,
                       bool *has_step,
                       struct err *e);

/* Write what was gathered. Errors: ERR_FULL, ERR_IO. */
int ckpt_writer_flush(struct ckpt_writer *w, struct err *e);

/* Write and sync. Errors: ERR_FULL, ERR_IO. */
int ckpt_writer_sync(struct ckpt_writer *w, struct err *e);

/* Bring the index up to what was written. Rows waiting: n_rows. */
void ckpt_writer_put_index(struct ckpt_writer *w);
size_t ckpt_writer_n_rows(const struct ckpt_writer *w);

/* After an error: keep what was written whole if it can be synced, else what
 * was synced; cut the rest. Does what can be done. */
void ckpt_writer_salvage(struct ckpt_writer *w);

#endif /* CKPT_WRITER_H_ */
