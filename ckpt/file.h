/* How the log writes files: a table of functions, so that tests can make any of
 * them fail, and drop or tear what was not synced.
 *
 * They return -1 and set errno as the system calls do that they stand for.
 * Reading is not here: the log maps what it reads.
 */

#ifndef CKPT_FILE_H_
#define CKPT_FILE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

struct ckpt_fs {
    int (*open)(struct ckpt_fs *fs, const char *path, int flags);
    ssize_t (*write)(struct ckpt_fs *fs,
                     int fd,
                     const void *data,
                     size_t size,
                     uint64_t offset);
    int (*sync)(struct ckpt_fs *fs, int fd); /* Data, and size. */
    int (*truncate)(struct ckpt_fs *fs, int fd, uint64_t size);
    int (*close)(struct ckpt_fs *fs, int fd);
    int (*unlink)(struct ckpt_fs *fs, const char *path);
    int (*mkdir)(struct ckpt_fs *fs, const char *path);
    int (*rmdir)(struct ckpt_fs *fs, const char *path);
    int (*rename)(struct ckpt_fs *fs, const char *from, const char *to);
    int (*sync_dir)(struct ckpt_fs *fs, const char *path);
};

/* The real files. */
struct ckpt_fs *ckpt_fs_real(void);

/* The path "@dir/@name" in @path. Errors: ERR_INVALID: too long. */
#define CKPT_PATH_SIZE 4096
int ckpt_path(char path[CKPT_PATH_SIZE],
              const char *dir,
              const char *name,
              struct err *e);

/* Write all of it. Errors: ERR_FULL, ERR_IO; a part may be written. */
int ckpt_file_write(struct ckpt_fs *fs,
                    int fd,
                    const void *data,
                    size_t size,
                    uint64_t offset,
                    struct err *e);

/* Make a directory if it is not there, and the name durable. Errors: ERR_FULL,
 * ERR_IO, ERR_NOT_FOUND (its parent). */
int ckpt_dir_make(struct ckpt_fs *fs, const char *path, struct err *e);

/* Take the lock "@dir/lock" (flock): held until *fd is closed.
 * Errors: ERR_BUSY: another process, or another log of this one, holds it. */
int ckpt_dir_lock(const char *dir, int *fd, struct err *e);

/* Does a process of this machine hold the lock "@dir/lock"? Asks the kernel
 * (/proc/locks), and never takes it: that could turn a writer away. */
bool ckpt_dir_is_locked(const char *dir);

#endif /* CKPT_FILE_H_ */
