/* allocations: counts what a thread asks of the allocator and of the Swift runtime between two
 * moments, and writes the sums down.
 *
 *   ALLOCATIONS_OUT      where the result goes (JSON), written whole at each stop;
 *                        with ".started" behind its name an empty file, at each start
 *   ALLOCATIONS_THREADS  names of the threads to count begin with this (default "brim-worker");
 *                        empty: all threads
 *   ALLOCATIONS_CONTROL  a file that says "start" or "stop"; or use signals:
 *                        SIGRTMIN starts (from zero), SIGRTMIN+1 stops and writes
 *
 * Swift's functions are seen only if its runtime is linked dynamically, and only calls from
 * outside the runtime. Their wrappers touch no register, as the callers may expect of them.
 * A thread's name is looked at once after each start. x86-64 only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__x86_64__)
#error "allocations.c knows the registers of x86-64 only"
#endif

enum event {
    SWIFT_RETAIN, SWIFT_RELEASE, SWIFT_RETAIN_N, SWIFT_RELEASE_N, SWIFT_BRIDGE_RETAIN,
    SWIFT_BRIDGE_RELEASE, SWIFT_ALLOC_OBJECT, SWIFT_SLOW_ALLOC, SWIFT_BEGIN_ACCESS,
    SWIFT_COUNT,
    MALLOC = SWIFT_COUNT, CALLOC, REALLOC, FREE, MEMALIGN,
    EVENT_COUNT
};
static const char *const names[EVENT_COUNT] = {
    "swift_retain", "swift_release", "swift_retain_n", "swift_release_n",
    "swift_bridgeObjectRetain", "swift_bridgeObjectRelease", "swift_allocObject",
    "swift_slowAlloc", "swift_beginAccess",
    "malloc", "calloc", "realloc", "free", "memalign",
};

enum { THREADS_MAX = 512, NAME_BYTES = 16 };
struct thread {
    char name[NAME_BYTES];
    uint32_t round;
    uint64_t counts[EVENT_COUNT];
} __attribute__((aligned(64)));

static struct thread threads[THREADS_MAX];
static uint32_t thread_count;
static uint32_t round_number;
static char prefix[NAME_BYTES] = "brim-worker";
static int wants_start, wants_stop;
static __thread struct thread *claimed, *own;
static __thread uint32_t round_seen;

/* Read by the wrappers. */
__attribute__((visibility("hidden"))) int allocations_active;
__attribute__((visibility("hidden"))) void *allocations_real[SWIFT_COUNT];

static void enter_round(uint32_t now) {
    char name[NAME_BYTES + 1] = {0};
    round_seen = now;
    own = NULL;
    syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    for (int i = 0; prefix[i]; i++)
        if (prefix[i] != name[i]) return;
    if (!claimed) {
        uint32_t index = __atomic_fetch_add(&thread_count, 1, __ATOMIC_RELAXED);
        if (index >= THREADS_MAX) return;
        claimed = &threads[index];
    }
    own = claimed;
    for (int i = 0; i < NAME_BYTES; i++) own->name[i] = name[i];
    for (int i = 0; i < EVENT_COUNT; i++) own->counts[i] = 0;
    __atomic_store_n(&own->round, now, __ATOMIC_RELEASE);
}

__attribute__((visibility("hidden"))) void allocations_count(int event) {
    uint32_t now = __atomic_load_n(&round_number, __ATOMIC_RELAXED);
    if (round_seen != now) enter_round(now);
    if (own) __atomic_store_n(&own->counts[event], own->counts[event] + 1, __ATOMIC_RELAXED);
}

__attribute__((visibility("hidden"))) void allocations_resolve(void) {
    for (int i = 0; i < SWIFT_COUNT; i++)
        if (!allocations_real[i]) allocations_real[i] = dlsym(RTLD_NEXT, names[i]);
}

/* A wrapper jumps to the real function with every register but r11 (scratch at any call through
 * a linkage table) as it found it. If the real one is not known yet, vector registers are saved
 * too, as dlsym may use them. */
__asm__(
    ".text\n"
    ".macro PUSH_ALL\n"
    "    pushq %rax\n    pushq %rcx\n    pushq %rdx\n    pushq %rsi\n    pushq %rdi\n"
    "    pushq %r8\n    pushq %r9\n    pushq %r10\n    pushq %r11\n"
    ".endm\n"
    ".macro POP_ALL\n"
    "    popq %r11\n    popq %r10\n    popq %r9\n    popq %r8\n    popq %rdi\n"
    "    popq %rsi\n    popq %rdx\n    popq %rcx\n    popq %rax\n"
    ".endm\n"
    ".macro WRAPPER name, index\n"
    "    .globl \\name\n    .type \\name, @function\n"
    "\\name:\n"
    "    cmpl $0, allocations_active(%rip)\n"
    "    jne 2f\n"
    "1:  movq allocations_real+8*\\index(%rip), %r11\n"
    "    testq %r11, %r11\n"
    "    je 3f\n"
    "    jmpq *%r11\n"
    "2:  PUSH_ALL\n"
    "    movl $\\index, %edi\n"
    "    call allocations_count\n"
    "    POP_ALL\n"
    "    jmp 1b\n"
    "3:  PUSH_ALL\n"
    "    subq $512, %rsp\n"
    "    fxsave64 (%rsp)\n"
    "    call allocations_resolve\n"
    "    fxrstor64 (%rsp)\n"
    "    addq $512, %rsp\n"
    "    POP_ALL\n"
    "    jmp 1b\n"
    "    .size \\name, .-\\name\n"
    ".endm\n"
    "WRAPPER swift_retain, 0\n"
    "WRAPPER swift_release, 1\n"
    "WRAPPER swift_retain_n, 2\n"
    "WRAPPER swift_release_n, 3\n"
    "WRAPPER swift_bridgeObjectRetain, 4\n"
    "WRAPPER swift_bridgeObjectRelease, 5\n"
    "WRAPPER swift_allocObject, 6\n"
    "WRAPPER swift_slowAlloc, 7\n"
    "WRAPPER swift_beginAccess, 8\n");

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

#define COUNT(event)                                                                            \
    if (__atomic_load_n(&allocations_active, __ATOMIC_RELAXED)) allocations_count(event)

void *malloc(size_t bytes) {
    COUNT(MALLOC);
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    COUNT(CALLOC);
    return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes) {
    COUNT(REALLOC);
    return __libc_realloc(old, bytes);
}
void free(void *old) {
    if (old) COUNT(FREE);
    __libc_free(old);
}
void *memalign(size_t alignment, size_t bytes) {
    COUNT(MEMALIGN);
    return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
    COUNT(MEMALIGN);
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **out, size_t alignment, size_t bytes) {
    COUNT(MEMALIGN);
    if (alignment < sizeof(void *) || (alignment & (alignment - 1))) return EINVAL;
    void *memory = __libc_memalign(alignment, bytes);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}

static void write_counts(FILE *out, const uint64_t counts[EVENT_COUNT]) {
    for (int i = 0; i < EVENT_COUNT; i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", names[i], (unsigned long long)counts[i]);
}

static void write_result(void) {
    const char *path = getenv("ALLOCATIONS_OUT");
    char fresh[PATH_MAX];
    if (!path || snprintf(fresh, sizeof fresh, "%s.new", path) >= PATH_MAX) return;
    FILE *out = fopen(fresh, "we");
    if (!out) return;
    uint64_t total[EVENT_COUNT] = {0};
    uint32_t count = __atomic_load_n(&thread_count, __ATOMIC_RELAXED);
    int written = 0;
    fprintf(out, "{\"round\":%u,\"threads\":[", round_number);
    for (uint32_t t = 0; t < count && t < THREADS_MAX; t++) {
        if (__atomic_load_n(&threads[t].round, __ATOMIC_ACQUIRE) != round_number) continue;
        fprintf(out, "%s\n{\"name\":\"%.16s\",", written++ ? "," : "", threads[t].name);
        write_counts(out, threads[t].counts);
        fprintf(out, "}");
        for (int i = 0; i < EVENT_COUNT; i++) total[i] += threads[t].counts[i];
    }
    fprintf(out, "],\n\"total\":{");
    write_counts(out, total);
    fprintf(out, "}}\n");
    if (fclose(out) == 0) rename(fresh, path);
}

static void start(void) {
    if (allocations_active) return;
    __atomic_add_fetch(&round_number, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&allocations_active, 1, __ATOMIC_RELEASE);
    char started[PATH_MAX];
    const char *path = getenv("ALLOCATIONS_OUT");
    if (!path || snprintf(started, sizeof started, "%s.started", path) >= PATH_MAX) return;
    int fd = open(started, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
}

static void stop(void) {
    if (!allocations_active) return;
    __atomic_store_n(&allocations_active, 0, __ATOMIC_RELEASE);
    struct timespec settle = {0, 2000000};
    nanosleep(&settle, NULL);
    write_result();
}

static void on_signal(int number) {
    if (number == SIGRTMIN) __atomic_store_n(&wants_start, 1, __ATOMIC_RELAXED);
    else __atomic_store_n(&wants_stop, 1, __ATOMIC_RELAXED);
}

/* The word in the control file: 's'tart, sto'p', or 0. */
static int commanded(const char *path) {
    char word[8] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    long count = read(fd, word, sizeof word - 1);
    close(fd);
    if (count >= 5 && !strncmp(word, "start", 5)) return 's';
    if (count >= 4 && !strncmp(word, "stop", 4)) return 'p';
    return 0;
}

/* Takes the signals even if every other thread blocks them, and acts on them outside a handler. */
static void *steer(void *unused) {
    (void)unused;
    const char *control = getenv("ALLOCATIONS_CONTROL");
    sigset_t none, ours;
    sigfillset(&none);
    pthread_sigmask(SIG_BLOCK, &none, NULL);
    sigemptyset(&ours);
    sigaddset(&ours, SIGRTMIN);
    sigaddset(&ours, SIGRTMIN + 1);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
    prctl(PR_SET_NAME, "allocations");
    for (;;) {
        struct timespec wait = {0, 5000000};
        nanosleep(&wait, NULL);
        int word = control ? commanded(control) : 0;
        if (__atomic_exchange_n(&wants_start, 0, __ATOMIC_RELAXED) || word == 's') start();
        if (__atomic_exchange_n(&wants_stop, 0, __ATOMIC_RELAXED) || word == 'p') stop();
    }
    return NULL;
}

__attribute__((constructor)) static void prepare(void) {
    allocations_resolve();
    const char *named = getenv("ALLOCATIONS_THREADS");
    if (named) snprintf(prefix, sizeof prefix, "%s", named);
    if (!getenv("ALLOCATIONS_OUT")) return;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGRTMIN + 1, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, steer, NULL);
    pthread_detach(thread);
}
