/* Making the ring with liburing, the one system call of a turn, and what runs rarely. */
#define _GNU_SOURCE
#include "CUring.h"

#include <liburing.h>
#include <linux/capability.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* io_uring_enter flag: a wait for completions is not counted as iowait (6.15). */
#define ENTER_NO_IOWAIT (1U << 7)
/* Feature bit that says the flag above is known (6.15). */
#define FEAT_NO_IOWAIT (1U << 17)

/* The header's drawing is liburing's. */
#define SAME(ours, field, theirs, other) \
    _Static_assert(offsetof(struct ours, field) == offsetof(struct theirs, other), #field)
_Static_assert(sizeof(struct curing_submission) == sizeof(struct io_uring_sqe), "submission");
SAME(curing_submission, opcode, io_uring_sqe, opcode);
SAME(curing_submission, flags, io_uring_sqe, flags);
SAME(curing_submission, priority, io_uring_sqe, ioprio);
SAME(curing_submission, descriptor, io_uring_sqe, fd);
SAME(curing_submission, offset, io_uring_sqe, off);
SAME(curing_submission, address, io_uring_sqe, addr);
SAME(curing_submission, count, io_uring_sqe, len);
SAME(curing_submission, operation_flags, io_uring_sqe, msg_flags);
SAME(curing_submission, user_data, io_uring_sqe, user_data);
SAME(curing_submission, buffer_group, io_uring_sqe, buf_group);
SAME(curing_submission, personality, io_uring_sqe, personality);
SAME(curing_submission, file_index, io_uring_sqe, file_index);
_Static_assert(sizeof(struct curing_entry) == sizeof(struct io_uring_cqe), "completion");
SAME(curing_entry, result, io_uring_cqe, res);
SAME(curing_entry, flags, io_uring_cqe, flags);
_Static_assert(sizeof(struct curing_lent) == sizeof(struct io_uring_buf), "lent buffer");
SAME(curing_lent, count, io_uring_buf, len);
SAME(curing_lent, id, io_uring_buf, bid);
SAME(curing_lent, tail, io_uring_buf_ring, tail);
_Static_assert(CURING_OP_SEND == IORING_OP_SEND && CURING_OP_RECEIVE == IORING_OP_RECV, "op");
_Static_assert(CURING_BUFFER_SELECT == 1 << IOSQE_BUFFER_SELECT_BIT, "flag");
_Static_assert(CURING_SKIP_SUCCESS == 1 << IOSQE_CQE_SKIP_SUCCESS_BIT, "flag");
_Static_assert(CURING_POLL_FIRST == IORING_RECVSEND_POLL_FIRST, "flag");
_Static_assert(CURING_RECEIVE_MULTISHOT == IORING_RECV_MULTISHOT, "flag");
_Static_assert(CURING_SEND_NOW == (MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL), "flag");
_Static_assert(CURING_QUEUE_OVERFLOW == IORING_SQ_CQ_OVERFLOW, "flag");

const int32_t curing_stream = SOCK_STREAM;
const int32_t curing_close_on_exec = SOCK_CLOEXEC;
const int32_t curing_no_wait = SOCK_NONBLOCK;

/* How often a submission that the kernel refuses for want of memory is tried again. */
enum { retries_max = 1000 };

/* The ring with what only this file sees; `shared` comes first, so that one is the other. */
struct owned {
    struct curing shared;
    struct io_uring ring;
    /* One per submission slot: the kernel reads it when the slot is submitted. */
    struct __kernel_timespec *times;
    /* Where the read of the eventfd lands; its value is not used. */
    uint64_t wake_word;
    /* Flags of every enter. */
    uint32_t enter_flags;
};

static struct owned *own(struct curing *c) { return (struct owned *)c; }

/* MARK: making and ending */

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

/* Multishot receive came in the version (6.0) that brought SEND_ZC; it has no probe of its own. */
static void probe(struct owned *o) {
    struct curing *c = &o->shared;
    struct io_uring_probe *known = io_uring_get_probe_ring(&o->ring);
    if (known != NULL) {
        if (io_uring_opcode_supported(known, IORING_OP_SEND_ZC))
            c->features |= CURING_HAS_MULTISHOT;
        io_uring_free_probe(known);
    }
    if (o->ring.features & IORING_FEAT_CQE_SKIP) c->features |= CURING_HAS_SKIP_SUCCESS;
    if (o->ring.features & FEAT_NO_IOWAIT) {
        c->features |= CURING_HAS_NO_IOWAIT;
        o->enter_flags |= ENTER_NO_IOWAIT;
    }
    if (io_uring_register_ring_fd(&o->ring) == 1) {
        c->features |= CURING_HAS_REGISTERED_RING;
        o->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
}

/* Takes over the queues that liburing has mapped. */
static void adopt(struct owned *o) {
    struct curing *c = &o->shared;
    c->submission_head = o->ring.sq.khead;
    c->submission_tail = o->ring.sq.ktail;
    c->submission_flags = o->ring.sq.kflags;
    c->submissions = (struct curing_submission *)o->ring.sq.sqes;
    c->submission_mask = o->ring.sq.ring_entries - 1;
    c->filled = *c->submission_tail;
    c->completion_head = o->ring.cq.khead;
    c->completion_tail = o->ring.cq.ktail;
    c->completions = (struct curing_entry *)o->ring.cq.cqes;
    c->completion_mask = o->ring.cq.ring_entries - 1;
    /* Slot n of the queue always names submission n, so a submit only moves the tail. */
    for (unsigned i = 0; i <= c->submission_mask; i++) o->ring.sq.array[i] = i;
}

struct curing *curing_make(uint32_t entries, uint32_t completions, int32_t *code) {
    struct owned *o = calloc(1, sizeof *o);
    if (o == NULL) {
        *code = -ENOMEM;
        return NULL;
    }
    *code = -EINVAL;
    o->enter_flags = IORING_ENTER_GETEVENTS;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts && *code == -EINVAL; i++) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        parameters.flags = attempts[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        parameters.cq_entries = completions;
        *code = io_uring_queue_init_params(entries, &o->ring, &parameters);
        o->shared.features = attempts[i].features;
    }
    if (*code < 0) {
        free(o);
        return NULL;
    }
    o->shared.wake_descriptor = eventfd(0, EFD_CLOEXEC);
    if (o->shared.wake_descriptor < 0) *code = -errno;
    adopt(o);
    o->times = calloc(o->ring.sq.ring_entries, sizeof *o->times);
    o->shared.endings = calloc(o->ring.sq.ring_entries, sizeof *o->shared.endings);
    if (o->times == NULL || o->shared.endings == NULL) *code = -ENOMEM;
    if (*code < 0) {
        curing_end(&o->shared);
        return NULL;
    }
    probe(o);
    return &o->shared;
}

void curing_end(struct curing *c) {
    struct owned *o = own(c);
    io_uring_queue_exit(&o->ring);
    if (c->wake_descriptor >= 0) close(c->wake_descriptor);
    free(o->times);
    free(c->endings);
    free(o);
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

int curing_provide(struct curing *c, void *ring_memory, void *buffers, uint32_t count,
                   uint32_t bytes) {
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)ring_memory;
    registration.ring_entries = count;
    int code = io_uring_register_buf_ring(&own(c)->ring, &registration, 0);
    if (code < 0) return code;
    c->lent = ring_memory;
    c->lent[0].tail = 0;
    c->buffers = buffers;
    c->buffer_bytes = bytes;
    c->buffer_mask = count - 1;
    c->features |= CURING_HAS_BUFFER_RING;
    return 0;
}

/* MARK: submitting */

/* Makes what is queued visible to the kernel; returns how much of it is not taken yet. */
static unsigned publish(struct curing *c) {
    __atomic_store_n(c->submission_tail, c->filled, __ATOMIC_RELEASE);
    return c->filled - __atomic_load_n(c->submission_head, __ATOMIC_ACQUIRE);
}

static int enter(struct curing *c, unsigned queued, unsigned awaited) {
    struct owned *o = own(c);
    c->enters++;
    return io_uring_enter((unsigned)o->ring.enter_ring_fd, queued, awaited, o->enter_flags, NULL);
}

static int has_completions(struct curing *c) {
    return *c->completion_head != __atomic_load_n(c->completion_tail, __ATOMIC_ACQUIRE);
}

/* Whether an enter would bring in something, as far as can be seen without one. */
static int anything_to_take(struct curing *c) {
    if (!(c->features & CURING_HAS_TASKRUN_FLAG)) return 1;
    unsigned flags = __atomic_load_n(c->submission_flags, __ATOMIC_RELAXED);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static int submit_all(struct curing *c, int waiting) {
    unsigned queued = publish(c);
    for (int refused = 0;;) {
        int awaited = waiting && !has_completions(c);
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
        if (queued == 0 && (!waiting || has_completions(c))) return 0;
    }
}

static struct io_uring_sqe *take(struct curing *c) {
    return (struct io_uring_sqe *)curing_take(c);
}

/* Shuts down what is to be, once everything queued before has been handed over. */
static int end_sockets(struct curing *c) {
    int code = submit_all(c, 0);
    /* The queue is empty now and there are as many slots as endings, so none is made room for. */
    uint32_t count = c->ending_count;
    c->ending_count = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        /* A peer that is gone already is as good. */
        (void)shutdown(c->endings[i].descriptor, SHUT_RDWR);
        struct io_uring_sqe *sqe = take(c);
        sqe->opcode = IORING_OP_NOP;
        sqe->user_data = c->endings[i].user_data;
    }
    return code;
}

int curing_submit(struct curing *c, int waiting) {
    if (c->failure != 0) return c->failure;
    int code = c->ending_count != 0 ? end_sockets(c) : 0;
    return code == 0 ? submit_all(c, waiting) : code;
}

void curing_make_room(struct curing *c) { (void)curing_submit(c, 0); }

void curing_flush_overflow(struct curing *c) { (void)enter(c, 0, 0); }

/* MARK: operations */

void curing_accept(struct curing *c, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user_data;
}

void curing_receive_into(struct curing *c, int fd, void *bytes, uint32_t count,
                         uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_recv(sqe, fd, bytes, count, 0);
    sqe->user_data = user_data;
}

void curing_send(struct curing *c, int fd, const void *bytes, uint32_t count,
                 uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_send(sqe, fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    sqe->user_data = user_data;
}

void curing_await_room(struct curing *c, int fd, int repeatedly, uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    if (repeatedly) {
        io_uring_prep_poll_multishot(sqe, fd, POLLOUT);
    } else {
        io_uring_prep_poll_add(sqe, fd, POLLOUT);
    }
    sqe->user_data = user_data;
}

int64_t curing_held(int fd) {
    int held = 0;
    return ioctl(fd, SIOCOUTQ, &held) == 0 && held > 0 ? held : 0;
}

int curing_gone(int fd) {
    struct pollfd asked = {.fd = fd};
    return poll(&asked, 1, 0) > 0 && (asked.revents & (POLLERR | POLLHUP)) != 0;
}

int64_t curing_room(int fd) {
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0) return 0;
    /* What is queued, as TCP counts it and as others do. */
    uint32_t used = memory[SK_MEMINFO_WMEM_QUEUED];
    if (used < memory[SK_MEMINFO_WMEM_ALLOC]) used = memory[SK_MEMINFO_WMEM_ALLOC];
    uint32_t all = memory[SK_MEMINFO_SNDBUF];
    /* A byte costs up to two: the kernel's own part of each packet, and rounding. */
    return used < all ? (all - used) / 2 : 0;
}

int64_t curing_receive_now(int fd, void *bytes, uint32_t count) {
    ssize_t received;
    do received = recv(fd, bytes, count, MSG_DONTWAIT);
    while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}

void curing_read(struct curing *c, int fd, void *bytes, uint32_t count, uint64_t offset,
                 uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_read(sqe, fd, bytes, count, offset);
    sqe->user_data = user_data;
}

void curing_cancel(struct curing *c, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->user_data = user_data;
}

void curing_shutdown(struct curing *c, int fd, uint64_t user_data) {
    if (c->ending_count > c->submission_mask) curing_make_room(c);
    if (c->failure != 0) return;
    c->endings[c->ending_count++] = (struct curing_ending){user_data, fd};
}

void curing_close(struct curing *c, int fd, uint64_t user_data) {
    if (c->ending_count != 0) curing_make_room(c);
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_close(sqe, fd);
    sqe->user_data = user_data;
}

void curing_timeout(struct curing *c, uint64_t nanoseconds, uint64_t user_data) {
    struct owned *o = own(c);
    struct io_uring_sqe *sqe = take(c);
    if (c->failure != 0) return;
    struct __kernel_timespec *time = &o->times[sqe - o->ring.sq.sqes];
    time->tv_sec = (int64_t)(nanoseconds / 1000000000u);
    time->tv_nsec = (long long)(nanoseconds % 1000000000u);
    io_uring_prep_timeout(sqe, time, 0, 0);
    sqe->user_data = user_data;
}

void curing_arm_wake(struct curing *c, uint64_t user_data) {
    struct owned *o = own(c);
    struct io_uring_sqe *sqe = take(c);
    io_uring_prep_read(sqe, c->wake_descriptor, &o->wake_word, sizeof o->wake_word, 0);
    sqe->user_data = user_data;
}

/* MARK: errors */

const char *curing_errno_name(int code) { return strerrorname_np(code); }
const char *curing_errno_text(int code) { return strerrordesc_np(code); }
