/* Preloaded: counts the calls that change files, and makes one of them fail, or the process end there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long counted, chosen = -1;
static int with;
static char kinds[65536];

/* The call of that number fails with the error; it kills the process if that is 0. From here on calls are counted. */
void faults_arm(long number, int error) { memset(kinds, 0, sizeof kinds); counted = 0; chosen = number; with = error; }
long faults_counted(void) { return counted; }
/* A letter for each counted call. */
const char *faults_kinds(void) { return kinds; }

static int strikes(char kind) {
    long number = counted++;
    if (number < (long)sizeof kinds - 1) kinds[number] = kind;
    if (number != chosen) return 0;
    if (with == 0) { kill(getpid(), SIGKILL); for (;;) pause(); }
    errno = with;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(kind, type, name, parameters, arguments) \
    type name parameters { if (strikes(kind)) return -1; return REAL(name) arguments; }

ssize_t write(int fd, const void *data, size_t size) {
    if (fd > 2 && strikes('w')) return -1;
    return REAL(write)(fd, data, size);
}
CALL('w', ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
CALL('w', ssize_t, copy_file_range, (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f), (a, b, c, d, e, f))
CALL('w', ssize_t, sendfile64, (int a, int b, off64_t *c, size_t d), (a, b, c, d))
CALL('s', int, fsync, (int fd), (fd))
CALL('s', int, fdatasync, (int fd), (fd))
CALL('r', int, rename, (const char *a, const char *b), (a, b))
CALL('r', int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
CALL('l', int, link, (const char *a, const char *b), (a, b))
CALL('l', int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
CALL('u', int, unlink, (const char *a), (a))
CALL('u', int, unlinkat, (int a, const char *b, int c), (a, b, c))
CALL('u', int, rmdir, (const char *a), (a))
CALL('t', int, ftruncate64, (int fd, off64_t size), (fd, size))
CALL('m', int, mkdir, (const char *a, mode_t b), (a, b))
int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list list;
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
        if (strikes('o')) return -1;
    }
    return REAL(open64)(path, flags, mode);
}
