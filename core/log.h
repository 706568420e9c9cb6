/* Diagnostics.
 *
 * Library code never prints: it emits messages on the sink it was given. The
 * command line installs one that writes to stderr, the tests install one that
 * records the messages and compares them with an expected story.
 *
 * Messages are lower case, have no final stop and no "key=value": write
 * "peer 3 lost, 2 left", which reads well and can be searched for.
 */

#ifndef CORE_LOG_H_
#define CORE_LOG_H_

enum log_level {
    LOG_ERROR = 1, /* Something broke, and work is lost. */
    LOG_WARN,      /* Unexpected, but we go on. */
    LOG_INFO,      /* A few lines per run: started, joined, resumed. */
    LOG_DEBUG,     /* A few lines per peer or per epoch. */
    LOG_TRACE      /* Lines per message or per step. */
};

struct log {
    void (*emit)(struct log *l, enum log_level level, const char *msg);
    enum log_level level; /* Messages above this level are dropped. */
};

/* Emit a message. A NULL @l drops it. Thread-safe iff the sink's emit is. */
void log_at(struct log *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(L, ...) log_at(L, LOG_ERROR, __VA_ARGS__)
#define log_warn(L, ...)  log_at(L, LOG_WARN, __VA_ARGS__)
#define log_info(L, ...)  log_at(L, LOG_INFO, __VA_ARGS__)
#define log_debug(L, ...) log_at(L, LOG_DEBUG, __VA_ARGS__)
#define log_trace(L, ...) log_at(L, LOG_TRACE, __VA_ARGS__)

#endif /* CORE_LOG_H_ */
