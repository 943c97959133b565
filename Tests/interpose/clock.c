/* clock: sets the system's clock, for one program only.
 *
 * CLOCK_FILE names eight bytes: nanoseconds, in this machine's order and with a sign, that
 * CLOCK_REALTIME is to be ahead. Whoever writes them sets the clock at once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static volatile const int64_t *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_FILE");
    real_clock_gettime =
        (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) abort();
    void *words = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
    if (words == MAP_FAILED) abort();
    close(fd);
    ahead = words;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real_clock_gettime) begin();
    int result = real_clock_gettime(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        int64_t now = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + *ahead;
        time->tv_sec = (time_t)(now / 1000000000);
        time->tv_nsec = (long)(now % 1000000000);
    }
    return result;
}
