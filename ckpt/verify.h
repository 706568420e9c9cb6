/* Looking for damage in a log. Nothing is repaired. */

#ifndef CKPT_VERIFY_H_
#define CKPT_VERIFY_H_

#include <stdint.h>

#include "core/err.h"

struct ckpt_verify_report {
    uint64_t segments;
    uint64_t records;   /* Valid ones. */
    uint64_t bytes;     /* Of these, and of headers. */
    uint64_t first;     /* Where the log begins: 0, or a snapshot's clock. */
    uint64_t clocks;    /* Steps first..clocks-1 are whole. */
    uint64_t snapshots; /* Good ones. */
    uint64_t torn;   /* Bytes of a torn tail: no damage, they are cut when the
                      * log is gone on with. */
    uint64_t behind; /* Records that the index lacks: no damage either. */
    uint64_t findings;
};

/* Go through all of the log in @dir, and compare it with its index:
 *
 *     every header and checksum; nothing but valid records, but for a torn tail
 *     steps in order, one for each clock, behind the batches they name
 *     every snapshot: files, digests, and those of the log at its clock
 *     every row of the index speaks of a record as it is, digests too
 *
 * @fn is called with a line for each finding: what is wrong, and where.
 *
 * Errors: 0 although there are findings. ERR_NOT_FOUND (no log), ERR_CORRUPT (a
 *         segment is missing or a header damaged: nothing else was looked at),
 *         ERR_IO, ERR_NOMEM. */
int ckpt_verify(const char *dir,
                struct ckpt_verify_report *report,
                void (*fn)(void *arg, const char *finding),
                void *arg,
                struct err *e);

#endif /* CKPT_VERIFY_H_ */
