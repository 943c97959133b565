/* powercut: records what a program does to files under a directory, so that the images that a
 * power cut could leave behind can be made (powercut.py).
 *
 *   POWERCUT_DIR    the directory
 *   POWERCUT_LOG    where to append the record
 *   POWERCUT_NOTES  a file outside the directory; what is written to it is recorded as a note,
 *                   in order: "from here on the program counted on this"
 *
 * Every call is performed and recorded under one lock, so the record's order is the order in
 * which things happened. A sync is recorded after it returned: what stands before it in the
 * record, of the same file, is on the disk. Writes through mappings are seen only as msync.
 *
 * A record: magic u32, kind u8, flags u8 (1: the write was synchronous), path bytes u16,
 * offset u64, data bytes u64; then the path below the directory, then the data. */
#include "files.h"
#include <pthread.h>
#include <sys/mman.h>

enum kind { WRITE = 1, TRUNCATE, ALLOCATE, SYNC, CREATE, RENAME, UNLINK, NOTE, SYNC_FOLDER };
enum { MAGIC = 0x54435750, SYNCHRONOUS = 1 };

struct record {
    uint32_t magic;
    uint8_t kind, flags;
    uint16_t path_bytes;
    uint64_t offset, data_bytes;
} __attribute__((packed));

static char directory[PATH_MAX], notes[PATH_MAX];
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void prepare(void) {
    files_directory("POWERCUT_DIR", directory);
    const char *log = getenv("POWERCUT_LOG"), *note = getenv("POWERCUT_NOTES");
    if (note && files_named(AT_FDCWD, note, notes) != 0) notes[0] = 0;
    if (directory[0] && log)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log,
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        long done = syscall(SYS_write, log_fd, at, count);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            fprintf(stderr, "powercut: the record cannot be written\n");
            _exit(99);
        }
        at += done;
        count -= (size_t)done;
    }
}

static void record(enum kind kind, int flags, const char *path, uint64_t offset,
                   const struct iovec *parts, int part_count, uint64_t data_bytes) {
    int saved = errno;
    struct record head = {MAGIC, (uint8_t)kind, (uint8_t)flags, (uint16_t)strlen(path), offset,
                          data_bytes};
    put(&head, sizeof head);
    put(path, head.path_bytes);
    for (int i = 0; i < part_count && data_bytes > 0; i++) {
        uint64_t count = parts[i].iov_len < data_bytes ? parts[i].iov_len : data_bytes;
        put(parts[i].iov_base, count);
        data_bytes -= count;
    }
    errno = saved;
}

/* The watched path of a descriptor ("." for the directory itself), or NULL.
 * "\1" stands for the notes file. */
static const char *watched(int fd, char path[PATH_MAX]) {
    if (log_fd < 0 || fd < 0) return NULL;
    int saved = errno;
    const char *below = NULL;
    if (files_path(fd, path) == 0) {
        below = strcmp(path, directory) == 0 ? "." : files_below(directory, path);
        if (!below && notes[0] && strcmp(path, notes) == 0) below = "\1";
    }
    errno = saved;
    return below;
}

static int is_synchronous(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_DSYNC) ? SYNCHRONOUS : 0;
}

static void record_write(int fd, const char *below, uint64_t offset, const struct iovec *parts,
                         int count, ssize_t done) {
    if (done <= 0) return;
    if (below[0] == 1)
        record(NOTE, 0, "", 0, parts, count, (uint64_t)done);
    else
        record(WRITE, is_synchronous(fd), below, offset, parts, count, (uint64_t)done);
}

/* Performs `call`, a write at `offset` (-1: at the file's own offset), and records it. */
#define WRITING(parts, count, at, call)                                                         \
    char path[PATH_MAX];                                                                        \
    const char *below = watched(fd, path);                                                      \
    if (!below) return call;                                                                    \
    pthread_mutex_lock(&order);                                                                 \
    ssize_t done = call;                                                                        \
    int64_t start = at;                                                                         \
    if (start < 0) start = (int64_t)lseek(fd, 0, SEEK_CUR) - (done > 0 ? done : 0);             \
    record_write(fd, below, (uint64_t)start, parts, count, done);                               \
    pthread_mutex_unlock(&order);                                                               \
    return done

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    struct iovec part = {(void *)bytes, count};
    WRITING(&part, 1, -1, real(fd, bytes, count));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    WRITING(parts, count, -1, real(fd, parts, count));
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    struct iovec part = {(void *)bytes, count};
    WRITING(&part, 1, offset, real(fd, bytes, count, offset));
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return pwrite(fd, bytes, count, offset);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    WRITING(parts, count, offset, real(fd, parts, count, offset));
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    REAL(ssize_t, "pwritev2", int, const struct iovec *, int, off_t, int);
    WRITING(parts, count, offset, real(fd, parts, count, offset, flags));
}

#define RECORDING(good, kind, at, call)                                                         \
    char path[PATH_MAX];                                                                        \
    const char *below = watched(fd, path);                                                      \
    if (!below || below[0] == 1) return call;                                                   \
    pthread_mutex_lock(&order);                                                                 \
    int done = call;                                                                            \
    if (done == good) record(kind, 0, below, at, NULL, 0, 0);                                   \
    pthread_mutex_unlock(&order);                                                               \
    return done

int ftruncate(int fd, off_t bytes) {
    REAL(int, "ftruncate", int, off_t);
    RECORDING(0, TRUNCATE, (uint64_t)bytes, real(fd, bytes));
}
int ftruncate64(int fd, off64_t bytes) { return ftruncate(fd, bytes); }

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    /* What only reserves blocks changes nothing. */
    if (mode == FALLOC_FL_KEEP_SIZE) return real(fd, mode, offset, bytes);
    RECORDING(0, ALLOCATE, (uint64_t)(offset + bytes), real(fd, mode, offset, bytes));
}
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
    return fallocate(fd, mode, offset, bytes);
}
int posix_fallocate(int fd, off_t offset, off_t bytes) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    RECORDING(0, ALLOCATE, (uint64_t)(offset + bytes), real(fd, offset, bytes));
}
int posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
    return posix_fallocate(fd, offset, bytes);
}

static int sync_file(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    const char *below = watched(fd, path);
    if (!below || below[0] == 1) return real(fd);
    struct stat status;
    int is_folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    pthread_mutex_lock(&order);
    int done = real(fd);
    if (done == 0) record(is_folder ? SYNC_FOLDER : SYNC, 0, below, 0, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    return done;
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    return sync_file(fd, real);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return sync_file(fd, real);
}
int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    /* Promises nothing across a power cut: performed, not recorded. */
    REAL(int, "sync_file_range", int, off64_t, off64_t, unsigned);
    return real(fd, offset, bytes, flags);
}

static int open_file(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    const char *below = NULL;
    struct stat status;
    if (log_fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && files_named(folder, name, path) == 0)
        below = files_below(directory, path);
    if (!below) return (int)syscall(SYS_openat, folder, name, flags, mode);
    pthread_mutex_lock(&order);
    int was_there = fstatat(folder, name, &status, 0) == 0;
    int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && !was_there) record(CREATE, 0, below, 0, NULL, 0, 0);
    if (fd >= 0 && was_there && (flags & O_TRUNC)) record(TRUNCATE, 0, below, 0, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    return fd;
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
int creat(const char *name, mode_t mode) {
    return open_file(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    const char *below = NULL;
    if (log_fd >= 0 && files_named(folder, name, path) == 0) below = files_below(directory, path);
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_unlinkat, folder, name, flags);
    if (done == 0 && below) record(UNLINK, 0, below, 0, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    return done;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

/* The data of a rename is the new path, below the directory; out of it counts as an unlink. */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char from_path[PATH_MAX], to_path[PATH_MAX];
    const char *source = NULL, *target = NULL;
    if (log_fd >= 0) {
        if (files_named(from_folder, from, from_path) == 0)
            source = files_below(directory, from_path);
        if (files_named(to_folder, to, to_path) == 0) target = files_below(directory, to_path);
    }
    pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (done == 0 && source && target) {
        struct iovec name = {(void *)target, strlen(target)};
        record(RENAME, 0, source, 0, &name, 1, name.iov_len);
    } else if (done == 0 && source) {
        record(UNLINK, 0, source, 0, NULL, 0, 0);
    }
    pthread_mutex_unlock(&order);
    return done;
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* A shared mapping that is synced: its bytes, as they were just before. The mapping's file is
 * looked up in the process's list of mappings. */
int msync(void *address, size_t count, int flags) {
    REAL(int, "msync", void *, size_t, int);
    if (log_fd < 0 || !(flags & MS_SYNC)) return real(address, count, flags);
    pthread_mutex_lock(&order);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[PATH_MAX + 128], path[PATH_MAX];
    const char *below = NULL;
    unsigned long start, end, offset;
    while (maps && !below && fgets(line, sizeof line, maps)) {
        path[0] = 0;
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095[^\n]", &start, &end, &offset, path) == 4 &&
            (unsigned long)address >= start && (unsigned long)address + count <= end)
            below = files_below(directory, path);
    }
    if (maps) fclose(maps);
    struct iovec part = {address, count};
    if (below)
        record(WRITE, 0, below, offset + ((unsigned long)address - start), &part, 1, count);
    int done = real(address, count, flags);
    if (below && done == 0) record(SYNC, 0, below, 0, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    return done;
}
