/* A ring's promises kept with epoll: sends happen in the submit, receives when their socket is
 * readable, reads of files at once where the page cache has them. Files that would wait are read
 * by helper threads (reads.c); sockets are in poll_sockets.c. Nothing here blocks, and nothing is
 * allocated once the tables have grown to what is in use. */
#define _GNU_SOURCE
#include "poll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* MARK: files, time, and the rest */

static void read_file(struct cpoll *p, const struct operation *o) {
    struct iovec part = {o->bytes, o->count};
    ssize_t count = preadv2(o->fd, &part, 1, (off_t)o->number, RWF_NOWAIT);
    if (count == (ssize_t)o->count) {
        poll_complete(p, o->token, (int32_t)count, 0);
        return;
    }
    /* A part of it, or none, is in the page cache; or the file is over, which costs little. */
    int must_wait = count >= 0 || errno == EAGAIN || errno == EOPNOTSUPP || errno == EINVAL ||
                    errno == ENOSYS || errno == EPERM;
    if (!must_wait) {
        poll_complete(p, o->token, -errno, 0);
        return;
    }
    if (p->reads != NULL &&
        readers_add(p->reads, o->fd, o->bytes, o->count, o->number, o->token) == 0)
        return;
    poll_complete(p, o->token, -EAGAIN, 0);
}

static void take_reads(struct cpoll *p) {
    uint64_t count;
    (void)!read(p->done, &count, sizeof count);
    uint64_t token;
    int32_t result;
    while (readers_take(p->reads, &token, &result)) poll_complete(p, token, result, 0);
}

static void cancel(struct cpoll *p, const struct operation *o) {
    int32_t result = -ENOENT;
    for (uint32_t id = *poll_bucket(p, o->number); id != 0; id = poll_waiting(p, id)->link) {
        if (poll_waiting(p, id)->token != o->number) continue;
        int fd = poll_waiting(p, id)->fd;
        poll_finish(p, id, -ECANCELED);
        (void)poll_watch(p, fd);
        result = 0;
        break;
    }
    for (uint32_t i = 0; i < p->timer_count && result != 0; i++) {
        if (p->timers[i].token != o->number) continue;
        poll_complete(p, o->number, -ECANCELED, 0);
        p->timers[i] = p->timers[--p->timer_count];
        result = 0;
    }
    poll_complete(p, o->token, result, 0);
}

static uint64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_timer(struct cpoll *p, const struct operation *o) {
    if (p->timer_count == p->timers_max) {
        struct timer *more = realloc(p->timers, 2 * (size_t)p->timers_max * sizeof *more);
        if (more == NULL) {
            poll_complete(p, o->token, -ENOMEM, 0);
            return;
        }
        p->timers = more;
        p->timers_max *= 2;
    }
    p->timers[p->timer_count++] = (struct timer){monotonic() + o->number, o->token};
}

static uint32_t first_timer(const struct cpoll *p) {
    uint32_t first = 0;
    for (uint32_t i = 1; i < p->timer_count; i++)
        if (p->timers[i].at < p->timers[first].at) first = i;
    return first;
}

static void ring_timers(struct cpoll *p) {
    if (p->timer_count == 0) return;
    uint64_t now = monotonic();
    while (p->timer_count != 0) {
        uint32_t first = first_timer(p);
        if (p->timers[first].at > now) return;
        poll_complete(p, p->timers[first].token, -ETIME, 0);
        p->timers[first] = p->timers[--p->timer_count];
    }
}

/* Milliseconds until the first timer; -1 for ever. */
static int milliseconds_left(const struct cpoll *p) {
    if (p->timer_count == 0) return -1;
    uint64_t at = p->timers[first_timer(p)].at;
    uint64_t now = monotonic();
    return at <= now ? 0 : (int)((at - now + 999999) / 1000000);
}

static void arm_wake(struct cpoll *p, uint64_t token) {
    p->is_wake_armed = !p->is_wake_pending;
    p->wake_token = token;
    if (p->is_wake_pending) poll_complete(p, token, sizeof(uint64_t), 0);
    p->is_wake_pending = 0;
}

static void take_wake(struct cpoll *p) {
    uint64_t count;
    if (read(p->wake, &count, sizeof count) < 0) return;
    if (p->is_wake_armed) poll_complete(p, p->wake_token, sizeof count, 0);
    else p->is_wake_pending = 1;
    p->is_wake_armed = 0;
}

/* MARK: turns */

static void run(struct cpoll *p, const struct operation *o) {
    switch (o->kind) {
    case CPOLL_SEND_NOW:
    case CPOLL_SEND:
        poll_send_some(p, o);
        break;
    case CPOLL_ACCEPT:
        /* Whoever gave up between the word of him and the accept must not be waited for. */
        (void)fcntl(o->fd, F_SETFL, fcntl(o->fd, F_GETFL) | O_NONBLOCK);
        poll_await(p, o);
        break;
    case CPOLL_READ:
        read_file(p, o);
        break;
    case CPOLL_CANCEL:
        cancel(p, o);
        break;
    case CPOLL_SHUTDOWN:
        /* A peer that is gone already is as good. */
        (void)shutdown(o->fd, SHUT_RDWR);
        poll_complete(p, o->token, 0, 0);
        break;
    case CPOLL_CLOSE:
        poll_close_socket(p, o);
        break;
    case CPOLL_TIMEOUT:
        set_timer(p, o);
        break;
    case CPOLL_WAKE:
        arm_wake(p, o->token);
        break;
    default:
        poll_await(p, o);
    }
}

static void run_queue(struct cpoll *p) {
    for (uint32_t i = 0; i < p->queued; i++) run(p, &p->queue[i]);
    p->queued = 0;
}

void cpoll_queue(struct cpoll *p, uint32_t kind, int fd, const void *bytes, uint32_t count,
                 uint64_t number, uint64_t user_data) {
    if (p->queued == p->entries) run_queue(p);
    struct operation *o = &p->queue[p->queued++];
    o->token = user_data;
    o->number = number;
    o->bytes = (void *)(uintptr_t)bytes;
    o->fd = fd;
    o->count = count;
    o->kind = kind;
}

void cpoll_lend(struct cpoll *p, uint16_t id) { p->lent[p->lent_count++] = id; }

static int look(struct cpoll *p, int milliseconds) {
    p->enters++;
    int count = epoll_wait(p->epoll, p->events, events_max, milliseconds);
    if (count < 0 && errno != EINTR) return p->failure = -errno;
    for (int i = 0; i < count; i++) {
        int fd = p->events[i].data.fd;
        if (fd == p->wake) take_wake(p);
        else if (fd == p->done) take_reads(p);
        else poll_settle(p, fd, p->events[i].events);
    }
    ring_timers(p);
    return p->failure;
}

int cpoll_submit(struct cpoll *p, int waiting) {
    if (p->failure != 0) return p->failure;
    run_queue(p);
    do {
        int must_wait = waiting && p->taken == p->completed;
        int code = look(p, must_wait ? milliseconds_left(p) : 0);
        if (code != 0) return code;
    } while (waiting && p->taken == p->completed);
    return 0;
}

struct curing_completion cpoll_next(struct cpoll *p) {
    if (p->taken == p->completed) {
        p->taken = p->completed = 0;
        return (struct curing_completion){0, 0, 0, 0};
    }
    struct curing_entry *entry = &p->completions[p->taken++];
    return (struct curing_completion){entry->user_data, entry->result, entry->flags, 1};
}

/* MARK: making and ending */

static int add_event(struct cpoll *p, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int32_t open_all(struct cpoll *p) {
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->epoll < 0 || p->wake < 0 || p->done < 0) return errno;
    if (add_event(p, p->wake) != 0 || add_event(p, p->done) != 0) return errno;
    p->queue = calloc(p->entries, sizeof *p->queue);
    p->completions = calloc(p->completions_max, sizeof *p->completions);
    p->lent = calloc(p->buffer_count + 1, sizeof *p->lent);
    p->timers = calloc(p->timers_max, sizeof *p->timers);
    if (p->queue == NULL || p->completions == NULL || p->lent == NULL || p->timers == NULL)
        return ENOMEM;
    /* Who has buffers to receive into may read files as well. */
    if (p->buffer_count != 0 && (p->reads = readers_make(p->done)) == NULL) return ENOMEM;
    return 0;
}

struct cpoll *cpoll_make(uint32_t entries, uint32_t completions, void *buffers, uint32_t count,
                         uint32_t bytes, int32_t *code) {
    struct cpoll *p = calloc(1, sizeof *p);
    *code = ENOMEM;
    if (p == NULL) return NULL;
    p->entries = entries;
    p->completions_max = completions;
    p->timers_max = 8;
    p->buffers = buffers;
    p->buffer_count = count;
    p->buffer_bytes = bytes;
    *code = open_all(p);
    if (*code != 0) {
        cpoll_end(p);
        return NULL;
    }
    for (uint32_t id = count; id > 0; id--) cpoll_lend(p, (uint16_t)(id - 1));
    return p;
}

void cpoll_end(struct cpoll *p) {
    if (p->reads != NULL) readers_end(p->reads);
    if (p->epoll >= 0) close(p->epoll);
    if (p->wake >= 0) close(p->wake);
    if (p->done >= 0) close(p->done);
    poll_forget(&p->watched);
    poll_forget(&p->waiting);
    free(p->queue);
    free(p->completions);
    free(p->lent);
    free(p->timers);
    free(p);
}

int32_t cpoll_wake_descriptor(const struct cpoll *p) { return p->wake; }

uint64_t cpoll_enters(const struct cpoll *p) { return p->enters; }
