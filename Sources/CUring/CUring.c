/* The parts of the ring that run rarely, and the one system call of a turn. */
#define _GNU_SOURCE
#include "CUring.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a submission that the kernel refuses for want of memory is tried again. */
enum { retries_max = 1000 };

/* The sets of setup flags to try, the best first: 6.1, 6.0, 5.19, and what always works. */
static const struct { unsigned flags; unsigned features; } attempts[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
         IORING_SETUP_SUBMIT_ALL,
     CURING_HAS_SINGLE_ISSUER | CURING_HAS_DEFER_TASKRUN | CURING_HAS_TASKRUN_FLAG |
         CURING_HAS_SUBMIT_ALL},
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
         IORING_SETUP_SUBMIT_ALL,
     CURING_HAS_SINGLE_ISSUER | CURING_HAS_COOP_TASKRUN | CURING_HAS_TASKRUN_FLAG |
         CURING_HAS_SUBMIT_ALL},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
     CURING_HAS_COOP_TASKRUN | CURING_HAS_TASKRUN_FLAG | CURING_HAS_SUBMIT_ALL},
    {IORING_SETUP_SUBMIT_ALL, CURING_HAS_SUBMIT_ALL},
};

/* The kernel has every operation that the ring uses. Multishot receive came in the version (6.0)
 * that brought SEND_ZC; there is no probe of its own. */
static void probe(struct curing *c) {
    struct io_uring_probe *known = io_uring_get_probe_ring(&c->ring);
    if (known != NULL) {
        if (io_uring_opcode_supported(known, IORING_OP_SEND_ZC))
            c->features |= CURING_HAS_MULTISHOT;
        io_uring_free_probe(known);
    }
    if (c->ring.features & IORING_FEAT_CQE_SKIP) c->features |= CURING_HAS_SKIP_SUCCESS;
    if (c->ring.features & CURING_FEAT_NO_IOWAIT) {
        c->features |= CURING_HAS_NO_IOWAIT;
        c->enter_flags |= CURING_ENTER_NO_IOWAIT;
    }
    if (io_uring_register_ring_fd(&c->ring) == 1) {
        c->features |= CURING_HAS_REGISTERED_RING;
        c->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
}

struct curing *curing_make(uint32_t entries, uint32_t completions, int32_t *code) {
    struct curing *c = calloc(1, sizeof *c);
    if (c == NULL) {
        *code = -ENOMEM;
        return NULL;
    }
    *code = -EINVAL;
    c->enter_flags = IORING_ENTER_GETEVENTS;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts && *code == -EINVAL; i++) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        parameters.flags = attempts[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        parameters.cq_entries = completions;
        *code = io_uring_queue_init_params(entries, &c->ring, &parameters);
        c->features = attempts[i].features;
    }
    if (*code < 0) {
        free(c);
        return NULL;
    }
    c->wake_descriptor = eventfd(0, EFD_CLOEXEC);
    if (c->wake_descriptor < 0) *code = -errno;
    c->times = calloc(c->ring.sq.ring_entries, sizeof *c->times);
    c->endings = calloc(c->ring.sq.ring_entries, sizeof *c->endings);
    if (c->times == NULL || c->endings == NULL) *code = -ENOMEM;
    if (*code < 0) {
        curing_end(c);
        return NULL;
    }
    /* Slot n of the queue always names submission n, so a submit only moves the tail. */
    for (unsigned i = 0; i < c->ring.sq.ring_entries; i++) c->ring.sq.array[i] = i;
    probe(c);
    return c;
}

uint64_t curing_raise_locked_limit(int32_t *exempt) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2];
    *exempt = syscall(SYS_capget, &header, held) == 0 &&
              (held[0].effective & (1U << CAP_IPC_LOCK)) != 0;
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) getrlimit(RLIMIT_MEMLOCK, &limit);
    }
    return (uint64_t)limit.rlim_cur;
}

void curing_end(struct curing *c) {
    io_uring_queue_exit(&c->ring);
    if (c->wake_descriptor >= 0) close(c->wake_descriptor);
    free(c->times);
    free(c->endings);
    free(c);
}

int curing_provide(struct curing *c, void *ring_memory, void *buffers, uint32_t count,
                   uint32_t bytes) {
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)ring_memory;
    registration.ring_entries = count;
    int code = io_uring_register_buf_ring(&c->ring, &registration, 0);
    if (code < 0) return code;
    c->lent = ring_memory;
    c->buffers = buffers;
    c->buffer_bytes = bytes;
    c->buffer_mask = (uint32_t)io_uring_buf_ring_mask(count);
    c->features |= CURING_HAS_BUFFER_RING;
    io_uring_buf_ring_init(c->lent);
    return 0;
}

/* Makes what is queued visible to the kernel; returns how much of it is not taken yet. */
static unsigned publish(struct curing *c) {
    struct io_uring_sq *sq = &c->ring.sq;
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

static int enter(struct curing *c, unsigned queued, unsigned awaited) {
    c->enters++;
    return io_uring_enter((unsigned)c->ring.enter_ring_fd, queued, awaited, c->enter_flags, NULL);
}

/* Whether an enter would bring in something, as far as can be seen without one. */
static int anything_to_take(struct curing *c) {
    if (!(c->features & CURING_HAS_TASKRUN_FLAG)) return 1;
    unsigned flags = IO_URING_READ_ONCE(*c->ring.sq.kflags);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static int submit_all(struct curing *c, int waiting) {
    unsigned queued = publish(c);
    for (int refused = 0;;) {
        int awaited = waiting && io_uring_cq_ready(&c->ring) == 0;
        if (queued == 0 && !awaited && !anything_to_take(c)) return 0;
        int code = enter(c, queued, (unsigned)awaited);
        queued = publish(c);
        if (code < 0 && code != -EINTR) {
            int passing = code == -EAGAIN || code == -EBUSY;
            if (!passing || ++refused > retries_max) return c->failure = code;
            sched_yield();
            continue;
        }
        /* Everything must have been taken: a send that never waits is promised to happen now. */
        if (queued == 0 && (!waiting || io_uring_cq_ready(&c->ring) != 0)) return 0;
    }
}

/* Shuts down what is to be, once everything queued before has been handed over. */
static int end_sockets(struct curing *c) {
    int code = submit_all(c, 0);
    for (unsigned i = 0; i < c->ending_count && code == 0; i++) {
        /* A peer that is gone already is as good. */
        (void)shutdown(c->endings[i].descriptor, SHUT_RDWR);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);
        if (sqe == NULL) return c->failure = -EBUSY; /* cannot be: there are as many slots */
        io_uring_prep_rw(IORING_OP_NOP, sqe, -1, NULL, 0, 0);
        sqe->user_data = c->endings[i].user_data;
    }
    c->ending_count = 0;
    return code;
}

int curing_submit(struct curing *c, int waiting) {
    if (c->failure != 0) return c->failure;
    int code = c->ending_count != 0 ? end_sockets(c) : 0;
    return code == 0 ? submit_all(c, waiting) : code;
}

void curing_make_room(struct curing *c) {
    int code = curing_submit(c, 0);
    if (code < 0) c->failure = code;
}

void curing_flush_overflow(struct curing *c) { (void)enter(c, 0, 0); }

const char *curing_errno_name(int code) { return strerrorname_np(code); }
const char *curing_errno_text(int code) { return strerrordesc_np(code); }

void curing_timeout(struct curing *c, uint64_t nanoseconds, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    struct __kernel_timespec *time = &c->times[0];
    if (sqe != &c->spare) time = &c->times[sqe - c->ring.sq.sqes];
    time->tv_sec = (int64_t)(nanoseconds / 1000000000u);
    time->tv_nsec = (long long)(nanoseconds % 1000000000u);
    io_uring_prep_rw(IORING_OP_TIMEOUT, sqe, -1, time, 1, 0);
    sqe->user_data = user_data;
}
