/* faults: makes a program's disk fail, on demand, while it runs.
 *
 *   FAULTS_DIR      files under this directory are affected
 *   FAULTS_CONTROL  a file with one rule a line, read before every affected call; no file or an
 *                   empty one: no faults
 *
 * A rule:  OPERATION FAULT [NUMBER] [file=NAME] [after=N] [times=N] [below=OFFSET]
 *   operation  write (also writev, pwrite, ...), sync (fsync, fdatasync, msync), read, truncate
 *              (also fallocate), open (for writing or creating)
 *   fault      enospc, eio, edquot, erofs, eacces
 *              short NUMBER    write or read so many bytes only
 *              stall NUMBER    wait so many milliseconds, then go on (with the next rule)
 *              crash           end in a fault of the calling thread
 *   file=      only the file with this last path component
 *   after=     let so many matching calls pass first
 *   times=     then apply to so many calls only
 *   below=     only at file offsets below this one (8192: LMDB's meta pages)
 *
 * Counting begins anew when the text of the file changes. Reads and writes that a program asks
 * of io_uring are out of reach here, as are page faults on mappings. */
#include "files.h"
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

enum { RULES_MAX = 16, TEXT_MAX = 4096, CRASH = 1 << 16 };

struct rule {
    char operation[12];
    char file[64];
    int error;
    long limit;      /* short: bytes, or -1 */
    long stall;      /* milliseconds, or 0 */
    long after, times, below;
    long seen;
};

static char directory[PATH_MAX], control[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[TEXT_MAX];
static struct rule rules[RULES_MAX];
static int rule_count;

__attribute__((constructor)) static void prepare(void) {
    files_directory("FAULTS_DIR", directory);
    const char *named = getenv("FAULTS_CONTROL");
    if (named) snprintf(control, sizeof control, "%s", named);
}

static int parse(char *line, struct rule *rule) {
    char *next, *word = strtok_r(line, " \t", &next);
    if (!word || word[0] == '#') return 0;
    memset(rule, 0, sizeof *rule);
    rule->limit = rule->times = rule->below = -1;
    snprintf(rule->operation, sizeof rule->operation, "%s", word);
    word = strtok_r(NULL, " \t", &next);
    if (!word) return 0;
    if (!strcmp(word, "enospc")) rule->error = ENOSPC;
    else if (!strcmp(word, "eio")) rule->error = EIO;
    else if (!strcmp(word, "edquot")) rule->error = EDQUOT;
    else if (!strcmp(word, "erofs")) rule->error = EROFS;
    else if (!strcmp(word, "eacces")) rule->error = EACCES;
    else if (!strcmp(word, "crash")) rule->error = CRASH;
    else if (!strcmp(word, "short") || !strcmp(word, "stall")) {
        char *number = strtok_r(NULL, " \t", &next);
        if (!number) return 0;
        if (word[1] == 'h') rule->limit = atol(number);
        else rule->stall = atol(number);
    } else {
        return 0;
    }
    while ((word = strtok_r(NULL, " \t", &next))) {
        if (!strncmp(word, "file=", 5)) snprintf(rule->file, sizeof rule->file, "%s", word + 5);
        else if (!strncmp(word, "after=", 6)) rule->after = atol(word + 6);
        else if (!strncmp(word, "times=", 6)) rule->times = atol(word + 6);
        else if (!strncmp(word, "below=", 6)) rule->below = atol(word + 6);
    }
    return 1;
}

static void read_control(void) {
    char now[TEXT_MAX] = {0};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        long count = syscall(SYS_read, fd, now, TEXT_MAX - 1);
        now[count > 0 ? count : 0] = 0;
        syscall(SYS_close, fd);
    }
    if (!strcmp(now, text)) return;
    memcpy(text, now, sizeof text);
    rule_count = 0;
    char *next, *line = strtok_r(now, "\n", &next);
    for (; line && rule_count < RULES_MAX; line = strtok_r(NULL, "\n", &next))
        rule_count += parse(line, &rules[rule_count]);
}

/* What is to happen to one call: 0, or an errno; `limit` becomes the bytes allowed, or -1. */
static int decide(const char *operation, const char *path, int64_t offset, long *limit) {
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    long stall = 0;
    int error = 0;
    *limit = -1;
    pthread_mutex_lock(&lock);
    read_control();
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->operation, operation)) continue;
        if (rule->file[0] && strcmp(rule->file, last)) continue;
        if (rule->below >= 0 && (offset < 0 || offset >= rule->below)) continue;
        long turn = rule->seen++ - rule->after;
        if (turn < 0 || (rule->times >= 0 && turn >= rule->times)) continue;
        if (rule->stall) {
            stall += rule->stall;
            continue;
        }
        error = rule->error;
        *limit = rule->limit;
        break;
    }
    pthread_mutex_unlock(&lock);
    if (stall) {
        struct timespec wait = {stall / 1000, stall % 1000 * 1000000};
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {}
    }
    if (error == CRASH) *(volatile int *)8 = 0;
    return error;
}

static int on_file(const char *operation, int fd, int64_t offset, long *limit) {
    char path[PATH_MAX];
    int saved = errno;
    *limit = -1;
    if (!directory[0] || !control[0] || fd < 0 || files_path(fd, path) != 0 ||
        (strcmp(path, directory) != 0 && !files_below(directory, path))) {
        errno = saved;
        return 0;
    }
    if (offset == -1) offset = (int64_t)lseek(fd, 0, SEEK_CUR);
    int error = decide(operation, path, offset, limit);
    errno = error ? error : saved;
    return error;
}

/* Copies the first `limit` bytes' worth of parts. */
static int cut(const struct iovec *parts, int count, long limit, struct iovec *out) {
    int used = 0;
    for (int i = 0; i < count && limit > 0; i++) {
        out[used] = parts[i];
        if ((long)out[used].iov_len > limit) out[used].iov_len = (size_t)limit;
        limit -= (long)out[used++].iov_len;
    }
    return used;
}

#define FAULTY(operation, at)                                                                   \
    long limit;                                                                                 \
    if (on_file(operation, fd, at, &limit)) return -1

#define FAULTY_BYTES(operation, at)                                                             \
    FAULTY(operation, at);                                                                      \
    if (limit >= 0 && count > (size_t)limit) count = (size_t)limit

#define FAULTY_PARTS(operation, at)                                                             \
    FAULTY(operation, at);                                                                      \
    struct iovec fewer[IOV_MAX];                                                                \
    if (limit >= 0) {                                                                           \
        count = cut(parts, count, limit, fewer);                                                \
        parts = fewer;                                                                          \
    }

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    FAULTY_BYTES("write", -1);
    return real(fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    FAULTY_BYTES("write", offset);
    return real(fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return pwrite(fd, bytes, count, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    FAULTY_PARTS("write", -1);
    return real(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    FAULTY_PARTS("write", offset);
    return real(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}
ssize_t read(int fd, void *bytes, size_t count) {
    REAL(ssize_t, "read", int, void *, size_t);
    FAULTY_BYTES("read", -1);
    return real(fd, bytes, count);
}
ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
    REAL(ssize_t, "pread", int, void *, size_t, off_t);
    FAULTY_BYTES("read", offset);
    return real(fd, bytes, count, offset);
}
ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset) {
    return pread(fd, bytes, count, offset);
}
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, "preadv", int, const struct iovec *, int, off_t);
    FAULTY_PARTS("read", offset);
    return real(fd, parts, count, offset);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    FAULTY("sync", 0);
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    FAULTY("sync", 0);
    return real(fd);
}
int ftruncate(int fd, off_t bytes) {
    REAL(int, "ftruncate", int, off_t);
    FAULTY("truncate", bytes);
    return real(fd, bytes);
}
int ftruncate64(int fd, off64_t bytes) { return ftruncate(fd, bytes); }
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    FAULTY("truncate", offset);
    return real(fd, mode, offset, bytes);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
    return fallocate(fd, mode, offset, bytes);
}
int posix_fallocate(int fd, off_t offset, off_t bytes) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    long limit;
    int error = on_file("truncate", fd, offset, &limit);
    return error ? error : real(fd, offset, bytes);
}
int posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
    return posix_fallocate(fd, offset, bytes);
}
/* The mapping's file is not looked up: rules with file= do not match it. */
int msync(void *address, size_t count, int flags) {
    REAL(int, "msync", void *, size_t, int);
    long limit;
    if (directory[0] && control[0]) {
        int saved = errno, error = decide("sync", "", 0, &limit);
        errno = error ? error : saved;
        if (error) return -1;
    }
    return real(address, count, flags);
}

static int open_file(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int saved = errno;
    if (directory[0] && control[0] && (flags & (O_CREAT | O_WRONLY | O_RDWR)) &&
        files_named(folder, name, path) == 0 && files_below(directory, path)) {
        long limit;
        int error = decide("open", path, 0, &limit);
        if (error) {
            errno = error;
            return -1;
        }
    }
    errno = saved;
    return (int)syscall(SYS_openat, folder, name, flags, mode);
}

#define MODE(after)                                                                             \
    mode_t mode = 0;                                                                            \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                        \
        va_list list;                                                                           \
        va_start(list, after);                                                                  \
        mode = va_arg(list, mode_t);                                                            \
        va_end(list);                                                                           \
    }
int open(const char *name, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, name, flags, mode);
}
int openat(int folder, const char *name, int flags, ...) {
    MODE(flags)
    return open_file(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
    MODE(flags)
    return open_file(folder, name, flags, mode);
}
