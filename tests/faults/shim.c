/* Makes the n-th system call of a kind below a folder fail, for whatever library makes it.

   Loaded by LD_PRELOAD; armed by `shim_arm` through ctypes. The C library's own calls of its functions (those of fread,
   of opendir) do not come by here, so opendir and fopen are wrapped as they are. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, OPEN, READ, WRITE, FSYNC, RENAME, STAT, UNLINK };

static char folder[PATH_MAX];
static atomic_int armed = NONE, number, first, last, calls;

/* Let the calls first ... last (from 1) of a kind below a folder fail with an error. */
void shim_arm(const char *below, int kind, int error, int from, int to) {
    armed = NONE;
    snprintf(folder, sizeof folder, "%s", below);
    number = error;
    first = from;
    last = to;
    calls = 0;
    armed = kind;
}

/* End that; return how many calls of the kind there were. */
int shim_disarm(void) {
    armed = NONE;
    return calls;
}

static int fails(enum kind kind, const char *path) {
    if (armed != (int)kind || path == NULL || strncmp(path, folder, strlen(folder)) != 0) return 0;
    int call = atomic_fetch_add(&calls, 1) + 1;
    if (call < first || call > last) return 0;
    errno = number;
    return 1;
}

static int fails_of(enum kind kind, int descriptor) {
    if (armed != (int)kind) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(kind, path);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define WRAP(result, name, parameters, arguments, test, failure) \
    result name parameters { REAL(name); if (test) return failure; return real arguments; }

#define WRAP_OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        return fails(OPEN, path) ? -1 : real(path, flags, mode); }
#define WRAP_OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        REAL(name); va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        return fails(OPEN, path) ? -1 : real(at, path, flags, mode); }
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), fails(OPEN, path), NULL)
WRAP(FILE *, fopen64, (const char *path, const char *mode), (path, mode), fails(OPEN, path), NULL)
WRAP(DIR *, opendir, (const char *path), (path), fails(OPEN, path), NULL)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), fails(OPEN, path), -1)

WRAP(ssize_t, read, (int fd, void *data, size_t n), (fd, data, n), fails_of(READ, fd), -1)
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), fails_of(READ, fd), -1)
WRAP(ssize_t, pread, (int fd, void *data, size_t n, off_t at), (fd, data, n, at), fails_of(READ, fd), -1)
WRAP(ssize_t, pread64, (int fd, void *data, size_t n, off64_t at), (fd, data, n, at), fails_of(READ, fd), -1)

WRAP(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), fails_of(WRITE, fd), -1)
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fails_of(WRITE, fd), -1)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), fails_of(WRITE, fd), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), fails_of(WRITE, fd), -1)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), fails_of(WRITE, fd), -1)
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), fails_of(WRITE, fd), -1)

WRAP(int, fsync, (int fd), (fd), fails_of(FSYNC, fd), -1)
WRAP(int, fdatasync, (int fd), (fd), fails_of(FSYNC, fd), -1)

WRAP(int, rename, (const char *from, const char *to), (from, to), fails(RENAME, from), -1)
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), fails(RENAME, from), -1)

WRAP(int, stat, (const char *path, struct stat *to), (path, to), fails(STAT, path), -1)
WRAP(int, stat64, (const char *path, struct stat64 *to), (path, to), fails(STAT, path), -1)
WRAP(int, lstat, (const char *path, struct stat *to), (path, to), fails(STAT, path), -1)
WRAP(int, lstat64, (const char *path, struct stat64 *to), (path, to), fails(STAT, path), -1)
WRAP(int, fstatat, (int at, const char *path, struct stat *to, int f), (at, path, to, f), fails(STAT, path), -1)
WRAP(int, fstatat64, (int at, const char *path, struct stat64 *to, int f), (at, path, to, f), fails(STAT, path), -1)
WRAP(int, statx, (int at, const char *restrict path, int f, unsigned m, struct statx *restrict to), (at, path, f, m, to),
     fails(STAT, path), -1)

WRAP(int, unlink, (const char *path), (path), fails(UNLINK, path), -1)
WRAP(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), fails(UNLINK, path), -1)
