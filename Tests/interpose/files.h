/* What the file interposers share: finding the real function, and whether a descriptor's file
 * lies under the watched directory. Not for programs. */
#ifndef FILES_H
#define FILES_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The next definition of `name`, looked up once. */
#define REAL(type, name, ...)                                                                   \
    static type (*real)(__VA_ARGS__);                                                           \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Real path of the directory named by `variable`; empty if it is not set. */
static void files_directory(const char *variable, char out[PATH_MAX]) {
    const char *named = getenv(variable);
    if (!named || !realpath(named, out)) out[0] = 0;
}

/* Path of an open file into `out`, by system call so that no interposer is met. */
static int files_path(int fd, char out[PATH_MAX]) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long count = syscall(SYS_readlink, link, out, PATH_MAX - 1);
    if (count <= 0) return -1;
    out[count] = 0;
    return 0;
}

/* The part of `path` below `directory`, or NULL. */
static const char *files_below(const char *directory, const char *path) {
    size_t count = strlen(directory);
    if (count == 0 || strncmp(path, directory, count) != 0 || path[count] != '/') return NULL;
    return path + count + 1;
}

/* A named file that may not exist yet: the real path of its folder, then its name. */
static int files_named(int folder, const char *name, char out[PATH_MAX]) {
    char joined[PATH_MAX];
    if (name[0] != '/' && folder != AT_FDCWD) {
        if (files_path(folder, joined) != 0) return -1;
        size_t used = strlen(joined);
        snprintf(joined + used, sizeof joined - used, "/%s", name);
    } else {
        snprintf(joined, sizeof joined, "%s", name);
    }
    char *slash = strrchr(joined, '/');
    const char *last = slash ? slash + 1 : joined;
    char resolved[PATH_MAX];
    if (slash == joined) {
        strcpy(resolved, "");
    } else if (slash) {
        *slash = 0;
        if (!realpath(joined, resolved)) return -1;
    } else if (!realpath(".", resolved)) {
        return -1;
    }
    return snprintf(out, PATH_MAX, "%s/%s", resolved, last) < PATH_MAX ? 0 : -1;
}

#endif
