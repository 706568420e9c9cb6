/* Error codes and error messages.
 *
 * A function that can fail returns an int: zero on success, or one of the
 * negative codes below. The code says what the caller may do about it; the
 * message says what happened, for a human. The function that first detects an
 * error writes the message, and each caller that knows something more (which
 * file, which peer) wraps it on the way up:
 *
 *     open log: read segment 7: bad checksum at offset 8192
 *
 * Broken invariants are not errors. They are asserted.
 */

#ifndef CORE_ERR_H_
#define CORE_ERR_H_

#define ERR_MSG_SIZE 512

#define ERR_MAP(X)                                 \
    X(ERR_NOMEM, -1, "out of memory")              \
    X(ERR_INVALID, -2, "invalid argument")         \
    X(ERR_IO, -3, "input/output error")            \
    X(ERR_CORRUPT, -4, "data is corrupt")          \
    X(ERR_FULL, -5, "no room left")                \
    X(ERR_AGAIN, -6, "try again later")            \
    X(ERR_UNREACHABLE, -7, "peer is unreachable")  \
    X(ERR_BUSY, -8, "resource is in use")          \
    X(ERR_NOT_FOUND, -9, "no such thing")          \
    X(ERR_NOT_FINITE, -10, "number is not finite") \
    X(ERR_DIVERGED, -11, "replicas differ")        \
    X(ERR_INTERRUPTED, -12, "interrupted")         \
    X(ERR_CLOSED, -13, "closed by the other end")

enum err_code {
#define X(NAME, VALUE, TEXT) NAME = VALUE,
    ERR_MAP(X)
#undef X
};

/* The message of the last error. Owned by the caller, usually on its stack. */
struct err {
    char msg[ERR_MSG_SIZE];
};

/* Write the message of a newly detected error. Return @code, so that a failing
 * function can end with `return err_set(e, ERR_CORRUPT, ...)`. A NULL @e
 * discards the message. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prefix the message in @e with some context and ": ". Return @code. */
int err_wrap(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Write "@call: strerror(errno)". Return ERR_FULL for ENOSPC and EDQUOT,
 * ERR_NOMEM for ENOMEM, ERR_NOT_FOUND for ENOENT, ERR_IO for the rest. */
int err_errno(struct err *e, const char *call);

/* Describe @code in a few words. Never NULL. */
const char *err_str(int code);

#endif /* CORE_ERR_H_ */
