/* A prepared SQLite statement.
 *
 * Binding does not return an error. The first failure sticks to the statement
 * and ckpt_stmt_run() reports it, so that a query reads as a query:
 *
 *     ckpt_stmt_u64(s, 1, row->clock);
 *     ckpt_stmt_f64(s, 2, row->loss);
 *     return ckpt_stmt_run(s, e);
 *
 * Columns are bound by position, from 1, in the order of the SQL text. One
 * connection and its statements belong to one thread.
 */

#ifndef CKPT_STMT_H_
#define CKPT_STMT_H_

#include <stdint.h>

#include <sqlite3.h>

#include "core/err.h"

struct ckpt_stmt {
    sqlite3_stmt *raw;
    int sticky; /* First SQLite code that was not OK, or SQLITE_OK. */
};

int ckpt_stmt_prepare(struct ckpt_stmt *s,
                      sqlite3 *db,
                      const char *sql,
                      struct err *e);
void ckpt_stmt_finalize(struct ckpt_stmt *s);

/* A u64 is stored as the i64 of the same bits. Text must outlive the next run.
 */
void ckpt_stmt_u64(struct ckpt_stmt *s, int column, uint64_t value);
void ckpt_stmt_text(struct ckpt_stmt *s, int column, const char *value);

/* NaN becomes NULL, as SQLite has it. */
void ckpt_stmt_f64(struct ckpt_stmt *s, int column, double value);

/* A column of the row that stands there; columns are counted from 0 here. */
uint64_t ckpt_stmt_get_u64(const struct ckpt_stmt *s, int column);

double ckpt_stmt_get_f64(const struct ckpt_stmt *s, int column); /* NULL: NaN */

/* Valid until the next row. NULL: SQL's NULL. */
const char *ckpt_stmt_get_text(const struct ckpt_stmt *s, int column);

/* Go to the next row of a query: 1, or 0 behind the last, when it is ready to
 * be run again. Errors: as run. */
int ckpt_stmt_next(struct ckpt_stmt *s, struct err *e);

/* Run a statement that yields no rows, and make it ready to be bound again,
 * whether it succeeded or not.
 *
 * Errors: ERR_BUSY  another process holds the database.
 *         ERR_IO    anything else. The message is SQLite's. */
int ckpt_stmt_run(struct ckpt_stmt *s, struct err *e);

#endif /* CKPT_STMT_H_ */
