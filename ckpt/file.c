#include "ckpt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(struct ckpt_fs *fs, const char *path, int flags)
{
    (void)fs;
    return open(path, flags | O_CLOEXEC, 0644);
}

static ssize_t real_write(struct ckpt_fs *fs,
                          int fd,
                          const void *data,
                          size_t size,
                          uint64_t offset)
{
    (void)fs;
    return pwrite(fd, data, size, (off_t)offset);
}

static int real_sync(struct ckpt_fs *fs, int fd)
{
    (void)fs;
    return fdatasync(fd);
}

static int real_truncate(struct ckpt_fs *fs, int fd, uint64_t size)
{
    (void)fs;
    return ftruncate(fd, (off_t)size);
}

static int real_close(struct ckpt_fs *fs, int fd)
{
    (void)fs;
    return close(fd);
}

static int real_unlink(struct ckpt_fs *fs, const char *path)
{
    (void)fs;
    return unlink(path);
}

static int real_mkdir(struct ckpt_fs *fs, const char *path)
{
    (void)fs;
    return mkdir(path, 0755);
}

static int real_rmdir(struct ckpt_fs *fs, const char *path)
{
    (void)fs;
    return rmdir(path);
}

static int real_rename(struct ckpt_fs *fs, const char *from, const char *to)
{
    (void)fs;
    return rename(from, to);
}

static int real_sync_dir(struct ckpt_fs *fs, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc, cause;

    (void)fs;
    if (fd < 0) {
        return -1;
    }
    rc = fsync(fd);
    cause = errno;
    close(fd);
    errno = cause;
    return rc;
}

struct ckpt_fs *ckpt_fs_real(void)
{
    static struct ckpt_fs fs = {
        .open = real_open,
        .write = real_write,
        .sync = real_sync,
        .truncate = real_truncate,
        .close = real_close,
        .unlink = real_unlink,
        .mkdir = real_mkdir,
        .rmdir = real_rmdir,
        .rename = real_rename,
        .sync_dir = real_sync_dir,
    };

    return &fs;
}

int ckpt_path(char path[CKPT_PATH_SIZE],
              const char *dir,
              const char *name,
              struct err *e)
{
    int n = snprintf(path, CKPT_PATH_SIZE, "%s/%s", dir, name);

    if (n < 0 || n >= CKPT_PATH_SIZE) {
        return err_set(e, ERR_INVALID, "path too long: %.200s...", dir);
    }
    return 0;
}

int ckpt_file_write(struct ckpt_fs *fs,
                    int fd,
                    const void *data,
                    size_t size,
                    uint64_t offset,
                    struct err *e)
{
    const uint8_t *p = data;

    while (size > 0) {
        ssize_t n = fs->write(fs, fd, p, size, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return err_errno(e, "write");
        }
        p += n;
        size -= (size_t)n;
        offset += (size_t)n;
    }
    return 0;
}

static void parent_of(char parent[CKPT_PATH_SIZE], const char *path)
{
    char *slash;

    snprintf(parent, CKPT_PATH_SIZE, "%s", path);
    for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--) {
        parent[n - 1] = '\0';
    }
    slash = strrchr(parent, '/');
    if (slash == NULL) {
        strcpy(parent, ".");
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
}

int ckpt_dir_make(struct ckpt_fs *fs, const char *path, struct err *e)
{
    char parent[CKPT_PATH_SIZE];
    int rc;

    if (fs->mkdir(fs, path) == 0) {
        parent_of(parent, path);
        if (fs->sync_dir(fs, parent) == 0) {
            return 0;
        }
        rc = err_errno(e, "sync of its parent");
    } else if (errno == EEXIST) {
        return 0;
    } else {
        rc = err_errno(e, "mkdir");
    }
    return err_wrap(e, rc, "make directory %s", path);
}

int ckpt_dir_lock(const char *dir, int *fd, struct err *e)
{
    char path[CKPT_PATH_SIZE];
    int rc = ckpt_path(path, dir, "lock", e);
    int lock;

    if (rc != 0) {
        return rc;
    }
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0) {
        return err_wrap(e, err_errno(e, "open"), "lock %s", path);
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK
                 ? err_set(e, ERR_BUSY, "another process writes there")
                 : err_errno(e, "flock");
        close(lock);
        return err_wrap(e, rc, "lock %s", path);
    }
    *fd = lock;
    return 0;
}

/* "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF": the number of the file is
 * what counts, as file systems in layers give devices of their own. */
bool ckpt_dir_is_locked(const char *dir)
{
    char path[CKPT_PATH_SIZE], line[256];
    unsigned long long inode;
    struct stat st;
    bool held = false;
    FILE *f = NULL;

    if (ckpt_path(path, dir, "lock", NULL) == 0 && stat(path, &st) == 0) {
        f = fopen("/proc/locks", "re");
    }
    while (f != NULL && !held && fgets(line, sizeof line, f) != NULL) {
        held = sscanf(line, "%*d: FLOCK %*s %*s %*d %*[^:]:%*[^:]:%llu",
                      &inode) == 1 &&
               inode == (unsigned long long)st.st_ino;
    }
    if (f != NULL) {
        fclose(f);
    }
    return held;
}
