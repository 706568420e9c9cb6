#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list args;

    if (e != NULL) {
        va_start(args, fmt);
        vsnprintf(e->msg, sizeof e->msg, fmt, args);
        va_end(args);
    }
    return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
    char cause[ERR_MSG_SIZE];
    va_list args;
    size_t n;

    if (e == NULL) {
        return code;
    }
    memcpy(cause, e->msg, sizeof cause);
    va_start(args, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, args);
    va_end(args);
    n = strlen(e->msg);
    snprintf(e->msg + n, sizeof e->msg - n, ": %s", cause);
    return code;
}

int err_errno(struct err *e, const char *call)
{
    int cause = errno;
    int code = ERR_IO;

    if (cause == ENOSPC || cause == EDQUOT) {
        code = ERR_FULL;
    } else if (cause == ENOMEM) {
        code = ERR_NOMEM;
    } else if (cause == ENOENT) {
        code = ERR_NOT_FOUND;
    }
    return err_set(e, code, "%s: %s", call, strerror(cause));
}

const char *err_str(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define X(NAME, VALUE, TEXT) \
    case NAME:               \
        return TEXT;
        ERR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}
