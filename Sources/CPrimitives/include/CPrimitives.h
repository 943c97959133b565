/* What Swift has no word for: prefetch, CRC-32C, futex, thread names and affinity.
 * Pure helpers; knows nothing of caching. Unsafe entry points are wrapped by Primitives. */
#ifndef CPRIMITIVES_H
#define CPRIMITIVES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void cprim_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }
/* For what will be written: no other core keeps the line. */
static inline void cprim_prefetch_to_write(const void *address) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

/* Spin hint for a core that waits on another one. */
static inline void cprim_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whether `count` bytes are the same. Keys are short: the call of memcmp costs as much as this. */
__attribute__((always_inline)) static inline int cprim_equal(
    const void *one, const void *other, size_t count) {
    const unsigned char *a = (const unsigned char *)one, *b = (const unsigned char *)other;
    uint64_t x[2], y[2];
    if (count - 16 <= 16) {
        /* Two comparisons of 16 bytes, which are an instruction or two each. */
        return (memcmp(a, b, 16) == 0) & (memcmp(a + count - 16, b + count - 16, 16) == 0);
    }
    if (count >= 16) {
        /* Ends with the last 16 bytes, some of which may have been compared already. */
        for (size_t at = 0;; at += 16) {
            if (at + 16 > count) at = count - 16;
            memcpy(x, a + at, 16);
            memcpy(y, b + at, 16);
            if (((x[0] ^ y[0]) | (x[1] ^ y[1])) != 0) return 0;
            if (at + 16 == count) return 1;
        }
    }
    if (count >= 8) {
        memcpy(&x[0], a, 8);
        memcpy(&y[0], b, 8);
        memcpy(&x[1], a + count - 8, 8);
        memcpy(&y[1], b + count - 8, 8);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    for (size_t at = 0; at < count; at++)
        if (a[at] != b[at]) return 0;
    return 1;
}

/* One bit for each of 16 bytes, the lowest for the first, that is set where a word ends: at a
 * blank, a control character (below 0x20) or 0x7f. Only the lowest bit that is set is exact. */
__attribute__((always_inline)) static inline uint32_t cprim_word_ends(const void *bytes) {
#if defined(__SSE2__)
    typedef unsigned char wide __attribute__((vector_size(16)));
    typedef char marks __attribute__((vector_size(16)));
    wide all;
    memcpy(&all, bytes, 16);
    marks ends = (marks)(all < 0x21) | (marks)(all == 0x7f);
    return (uint32_t)__builtin_ia32_pmovmskb128(ends);
#else
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    uint64_t words[2];
    uint32_t ends = 0;
    memcpy(words, bytes, 16);
    for (int at = 0; at < 2; at++) {
        uint64_t word = words[at], rubbed = word ^ ones * 0x7f;
        uint64_t found = ((word - ones * 0x21) & ~word & tops) | ((rubbed - ones) & ~rubbed & tops);
        ends |= (uint32_t)((found >> 7) * 0x0102040810204080 >> 56) << 8 * at;
    }
    return ends;
#endif
}

/* memmove; 8 to 32 bytes without a call. */
__attribute__((always_inline)) static inline void cprim_copy(
    void *target, const void *source, size_t count) {
    unsigned char *to = (unsigned char *)target;
    const unsigned char *from = (const unsigned char *)source;
    unsigned char first[16], last[16];
    if (count - 16 <= 16) {
        memcpy(first, from, 16);
        memcpy(last, from + count - 16, 16);
        memcpy(to, first, 16);
        memcpy(to + count - 16, last, 16);
    } else if (count - 8 < 8) {
        memcpy(first, from, 8);
        memcpy(last, from + count - 8, 8);
        memcpy(to, first, 8);
        memcpy(to + count - 8, last, 8);
    } else {
        memmove(target, source, count);
    }
}

/* CRC-32C (Castagnoli), RFC 3720 appendix B.4. Chain by passing the previous result; start
 * with 0. */
uint32_t cprim_crc32c(uint32_t crc, const void *bytes, size_t count);

/* futex(2), private. Wait returns 0, or -errno (EAGAIN, EINTR, ETIMEDOUT).
 * A negative timeout waits without bound. */
int cprim_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_nanoseconds);
int cprim_futex_wake(uint32_t *word, int count);

/* Anonymous private mapping of `count` bytes without swap reservation; NULL when refused. */
void *cprim_map(size_t count, int huge_pages);
/* Whether the kernel would map `count` bytes now: 1 or 0. Nothing stays mapped. */
int cprim_may_map(size_t count);
/* Gives the pages back to the kernel; the range stays mapped and reads as zero. */
int cprim_discard(void *address, size_t count);

/* Gives memory to a part of a mapping before anybody touches it; what it holds stays. */
void cprim_populate(void *address, size_t count);

/* Thread without a Swift runtime object: runs body(context), returns 0 or an errno value. */
typedef struct cprim_thread { unsigned long handle; } cprim_thread;
int cprim_thread_start(cprim_thread *thread, const char *name, size_t stack_bytes,
                       void (*body)(void *), void *context);
int cprim_thread_join(cprim_thread thread);
/* Cores this process may run on. */
int cprim_core_count(void);
/* Binds the calling thread to one core: 0 or an errno value. */
int cprim_pin(int core);
int cprim_thread_id(void);
/* The calling thread keeps its share of the cores, but does not preempt others when it wakes. */
void cprim_thread_background(void);

/* Nanoseconds of CLOCK_MONOTONIC; of CLOCK_REALTIME. */
uint64_t cprim_monotonic_nanoseconds(void);
uint64_t cprim_unix_nanoseconds(void);
/* The cache's time: what CLOCK_REALTIME said when it began, counted on by CLOCK_MONOTONIC, whose
   reading is given. It begins with the process, and anew, so far ahead, when it is told to. */
uint64_t cprim_cache_nanoseconds(uint64_t monotonic);
void cprim_begin_cache_time(int64_t nanoseconds_ahead);

/* For debugging: moves both times of day of this process, or has them stand. */
void cprim_shift_clock(int64_t nanoseconds_more);
void cprim_pause_clock(int is_paused);

/* From now on a fault that ends this process in the calling thread (SIGBUS, SIGSEGV, SIGILL,
 * SIGTRAP, SIGFPE, or an abort of its own) appends a byte to `file` first; what somebody else sends
 * does not. 0, or EBUSY if the thread is watched already. */
int cprim_fault_watch(int file);
/* The end of that, by the same thread: its descriptor, or -1. */
int cprim_fault_unwatch(void);

/* Fills with bytes from the kernel's random source; 0 or -errno. */
int cprim_random(void *bytes, size_t count);

/* The variables of this process: `NAME=value`, ending in NULL. */
char **cprim_environment(void);

/* Where address space is limited, threads share one heap of malloc: each of their own reserves 128
   MiB for a moment, and what another thread asks for meanwhile is refused. */
void cprim_spare_addresses(void);

/* A program that this process started, its guard, and the pipe that ties them together. */
typedef struct cprim_child { int id; int guard; int lifeline; } cprim_child;
/* Runs `exec command` of the shell in a session of its own, bound to these cores (none: to all
 * that this process may use), with empty input, dropped output and this process's standard
 * error. It is stopped when this process is gone, however that happened. 0 or an errno value. */
int cprim_child_start(cprim_child *child, const char *command, const int *cores,
                      size_t core_count);
/* Whether it has ended by itself; it stays to be stopped. */
int cprim_child_has_ended(const cprim_child *child);
/* Asks it and what it started to end, waits at most so long, ends them; waits for the guard. */
void cprim_child_stop(cprim_child *child, int milliseconds);

#endif
