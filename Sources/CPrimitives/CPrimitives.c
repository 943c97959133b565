#define _GNU_SOURCE
#include "CPrimitives.h"

#include <stdatomic.h>
#include <errno.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Table for the reflected polynomial 0x82F63B78, made once before main runs. */
static uint32_t crc_table[256];

static uint32_t crc_software(uint32_t crc, const uint8_t *p, size_t n) {
    while (n--) crc = (crc >> 8) ^ crc_table[(crc ^ *p++) & 0xff];
    return crc;
}

#if defined(__x86_64__)
/* Each step of the instruction waits for the one before; three streams over parts that
 * lie side by side take no longer than one. What a part makes of the others' is its state with so
 * many zeros behind it, a linear function of its bits: a table for each of its four bytes. */
enum { crc_long_bytes = 2048, crc_short_bytes = 256 };
static uint32_t crc_long[4][256], crc_short[4][256];

/* What so many bytes of zero make of each bit: found by doubling, since what they do is linear. */
static void crc_prepare_zeros(uint32_t zeros[4][256], size_t count) {
    uint32_t of_bit[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t c = 1u << bit;
        of_bit[bit] = (c >> 8) ^ crc_table[c & 0xff];
    }
    for (; count > 1; count /= 2) {
        uint32_t twice[32];
        for (int bit = 0; bit < 32; bit++) {
            twice[bit] = 0;
            for (uint32_t rest = of_bit[bit]; rest; rest &= rest - 1)
                twice[bit] ^= of_bit[__builtin_ctz(rest)];
        }
        memcpy(of_bit, twice, sizeof of_bit);
    }
    for (int byte = 0; byte < 4; byte++) {
        zeros[byte][0] = 0;
        for (int value = 1; value < 256; value++)
            zeros[byte][value] =
                zeros[byte][value & (value - 1)] ^ of_bit[8 * byte + __builtin_ctz(value)];
    }
}

static inline uint32_t crc_zeros(uint32_t zeros[4][256], uint32_t crc) {
    return zeros[0][crc & 0xff] ^ zeros[1][crc >> 8 & 0xff] ^ zeros[2][crc >> 16 & 0xff] ^
           zeros[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_three(uint32_t crc, const uint8_t *p,
                                                            size_t part, uint32_t zeros[4][256]) {
    uint64_t first = crc, second = 0, third = 0, word;
    for (size_t at = 0; at < part; at += 8) {
        memcpy(&word, p + at, 8);
        first = __builtin_ia32_crc32di(first, word);
        memcpy(&word, p + part + at, 8);
        second = __builtin_ia32_crc32di(second, word);
        memcpy(&word, p + 2 * part + at, 8);
        third = __builtin_ia32_crc32di(third, word);
    }
    second ^= crc_zeros(zeros, (uint32_t)first);
    return (uint32_t)third ^ crc_zeros(zeros, (uint32_t)second);
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *p,
                                                               size_t n) {
    for (; n >= 3 * crc_long_bytes; p += 3 * crc_long_bytes, n -= 3 * crc_long_bytes)
        crc = crc_three(crc, p, crc_long_bytes, crc_long);
    for (; n >= 3 * crc_short_bytes; p += 3 * crc_short_bytes, n -= 3 * crc_short_bytes)
        crc = crc_three(crc, p, crc_short_bytes, crc_short);
    uint64_t c = crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
        p += 8;
        n -= 8;
    }
    while (n--) c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
    return (uint32_t)c;
}
#endif

__attribute__((constructor)) static void crc_prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        crc_table[i] = c;
    }
#if defined(__x86_64__)
    crc_prepare_zeros(crc_long, crc_long_bytes);
    crc_prepare_zeros(crc_short, crc_short_bytes);
#endif
}

uint32_t cprim_crc32c(uint32_t crc, const void *bytes, size_t count) {
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_hardware(crc, bytes, count);
#endif
    return ~crc_software(crc, bytes, count);
}

int cprim_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_nanoseconds) {
    struct timespec t, *timeout = NULL;
    if (timeout_nanoseconds >= 0) {
        t.tv_sec = timeout_nanoseconds / 1000000000;
        t.tv_nsec = timeout_nanoseconds % 1000000000;
        timeout = &t;
    }
    long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
    return r == 0 ? 0 : -errno;
}

int cprim_futex_wake(uint32_t *word, int count) {
    long r = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    return r >= 0 ? (int)r : -errno;
}

void *cprim_map(size_t count, int huge_pages) {
    void *p = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, count, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return p;
}

int cprim_may_map(size_t count) {
    void *p = mmap(NULL, count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return 0;
    munmap(p, count);
    return 1;
}

int cprim_discard(void *address, size_t count) {
    if (madvise(address, count, MADV_DONTNEED) != 0) return -errno;
    /* Or the kernel's collapsing of huge pages would fill the hole again. */
    madvise(address, count, MADV_NOHUGEPAGE);
    return 0;
}

void cprim_populate(void *address, size_t count) {
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
    /* Kernels before 5.14 refuse; whoever touches the memory pays then. */
    madvise(address, count, MADV_POPULATE_WRITE);
}

int cprim_thread_start(cprim_thread *thread, const char *name, size_t stack_bytes,
                       void (*body)(void *), void *context) {
    pthread_attr_t attributes;
    pthread_t handle;
    int code = pthread_attr_init(&attributes);
    if (code != 0) return code;
    pthread_attr_setstacksize(&attributes, stack_bytes);
    code = pthread_create(&handle, &attributes, (void *(*)(void *))body, context);
    pthread_attr_destroy(&attributes);
    if (code != 0) return code;
    pthread_setname_np(handle, name);
    thread->handle = (unsigned long)handle;
    return 0;
}

int cprim_thread_join(cprim_thread thread) { return pthread_join((pthread_t)thread.handle, NULL); }

int cprim_core_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

int cprim_pin(int core) {
    cpu_set_t set;
    if (core < 0 || core >= CPU_SETSIZE) return EINVAL;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

void cprim_thread_background(void) {
    /* Where the system refuses it, the thread is scheduled as any other. */
    struct sched_param none = {0};
    sched_setscheduler(0, SCHED_BATCH, &none);
}

int cprim_thread_id(void) { return (int)syscall(SYS_gettid); }

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t cprim_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }

/* What the cache's time is above CLOCK_MONOTONIC. */
static _Atomic int64_t cache_base;
/* What a debugger does to both times of day: added, and 0 or the moment of CLOCK_MONOTONIC at
   which they stand. */
static _Atomic int64_t debug_shift;
static _Atomic uint64_t debug_pause;

uint64_t cprim_unix_nanoseconds(void) {
    uint64_t pause = atomic_load_explicit(&debug_pause, memory_order_relaxed);
    int64_t shift = atomic_load_explicit(&debug_shift, memory_order_relaxed);
    uint64_t stood = pause ? nanoseconds(CLOCK_MONOTONIC) - pause : 0;
    return nanoseconds(CLOCK_REALTIME) - stood + (uint64_t)shift;
}

uint64_t cprim_cache_nanoseconds(uint64_t monotonic) {
    uint64_t pause = atomic_load_explicit(&debug_pause, memory_order_relaxed);
    int64_t shift = atomic_load_explicit(&debug_shift, memory_order_relaxed);
    int64_t base = atomic_load_explicit(&cache_base, memory_order_relaxed);
    int64_t now = (int64_t)((pause ? pause : monotonic) + (uint64_t)base + (uint64_t)shift);
    return now > 1000000000 ? (uint64_t)now : 1000000000;
}

void cprim_begin_cache_time(int64_t nanoseconds_ahead) {
    uint64_t base = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
    atomic_store_explicit(
        &cache_base, (int64_t)(base + (uint64_t)nanoseconds_ahead), memory_order_relaxed);
}

__attribute__((constructor)) static void begin_cache_time(void) { cprim_begin_cache_time(0); }

void cprim_shift_clock(int64_t nanoseconds_more) {
    atomic_fetch_add_explicit(&debug_shift, nanoseconds_more, memory_order_relaxed);
}

void cprim_pause_clock(int is_paused) {
    uint64_t running = 0;
    if (!is_paused) {
        atomic_store_explicit(&debug_pause, 0, memory_order_relaxed);
    } else {
        /* One that stands already goes on standing. */
        atomic_compare_exchange_strong(&debug_pause, &running, nanoseconds(CLOCK_MONOTONIC));
    }
}

int cprim_random(void *bytes, size_t count) {
    while (count > 0) {
        ssize_t n = getrandom(bytes, count, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        bytes = (char *)bytes + n;
        count -= (size_t)n;
    }
    return 0;
}

char **cprim_environment(void) { return environ; }

void cprim_spare_addresses(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        mallopt(M_ARENA_MAX, 1);
}
