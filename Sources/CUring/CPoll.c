/* A ring's promises kept with epoll: sends happen in the submit, receives when their socket is
 * readable, reads of files at once where the page cache has them. Files that would wait are read
 * by helper threads (reads.c). Nothing here blocks, and nothing is allocated once the tables have
 * grown to what is in use. */
#define _GNU_SOURCE
#include "CPoll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "reads.h"

enum {
    /* Sockets that one look tells of; the others come with the next. */
    events_max = 256,
    /* New connections, and full buffers of one socket, that one look takes. */
    accepts_max = 16,
    receives_max = 8,
    buckets = 1 << 12,
};

/* Bits of a completion's flags, as the kernel's ring has them. */
enum { has_buffer = 1 << 0, is_armed = 1 << 1, buffer_shift = 16 };

struct operation {
    uint64_t token;
    uint64_t number;
    void *bytes;
    int32_t fd;
    uint32_t count;
    uint32_t kind;
};

/* An operation that waits for its socket: in the list of the socket, and of its token's bucket. */
struct waiting {
    uint64_t token;
    void *bytes;
    uint32_t count;
    int32_t fd;
    uint32_t next;
    uint32_t link;
    uint32_t kind;
    /* A repeated wait for room has been told of it, and the socket has not been full since. */
    uint32_t is_told;
};

/* What is known of a descriptor: who waits for it, and what epoll was asked to tell. */
struct watched {
    uint32_t first;
    uint32_t events;
};

struct timer {
    uint64_t at;
    uint64_t token;
};

/* A table that grows: `count` entries are mapped, all zero at first. */
struct table {
    void *base;
    size_t bytes;
};

struct cpoll {
    int epoll;
    int wake;
    /* Told of reads that helper threads have done. */
    int done;
    int failure;
    int is_wake_armed;
    int is_wake_pending;
    uint64_t wake_token;
    uint64_t enters;

    struct operation *queue;
    uint32_t queued;
    uint32_t entries;

    struct curing_entry *completions;
    uint32_t completed;
    uint32_t taken;
    uint32_t completions_max;

    uint8_t *buffers;
    uint32_t buffer_bytes;
    uint32_t buffer_count;
    /* The lent buffers; the last one given back is the first to be used again. */
    uint16_t *lent;
    uint32_t lent_count;

    struct table watched;
    struct table waiting;
    uint32_t waiting_used;
    uint32_t waiting_free;
    uint32_t heads[buckets];

    struct timer *timers;
    uint32_t timer_count;
    uint32_t timers_max;

    struct readers *reads;
    struct epoll_event events[events_max];
};

/* MARK: tables */

/* Whether entries up to `count` are there, or could be made. */
static int reach(struct table *t, size_t count, size_t entry) {
    size_t wanted = count * entry;
    if (wanted <= t->bytes) return 1;
    size_t bytes = t->bytes == 0 ? 16384 : t->bytes;
    while (bytes < wanted) bytes *= 2;
    void *base = t->base == NULL
                     ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                     : mremap(t->base, t->bytes, bytes, MREMAP_MAYMOVE);
    if (base == MAP_FAILED) return 0;
    t->base = base;
    t->bytes = bytes;
    return 1;
}

static void forget(struct table *t) {
    if (t->base != NULL) munmap(t->base, t->bytes);
}

static struct watched *watched(struct cpoll *p, int fd) {
    return &((struct watched *)p->watched.base)[fd];
}

static struct waiting *waiting(struct cpoll *p, uint32_t id) {
    return &((struct waiting *)p->waiting.base)[id];
}

static void complete(struct cpoll *p, uint64_t token, int32_t result, uint32_t flags) {
    if (p->completed == p->completions_max) {
        struct curing_entry *more =
            realloc(p->completions, 2 * (size_t)p->completions_max * sizeof *more);
        if (more == NULL) {
            p->failure = -ENOMEM;
            return;
        }
        p->completions = more;
        p->completions_max *= 2;
    }
    p->completions[p->completed++] = (struct curing_entry){token, result, flags};
}

/* MARK: who waits for a socket */

static uint32_t *bucket(struct cpoll *p, uint64_t token) {
    return &p->heads[(token * 0x9E3779B97F4A7C15u) >> 52];
}

/* Where the id of this entry stands in a list. */
static uint32_t *place_in_socket(struct cpoll *p, uint32_t id) {
    uint32_t *place = &watched(p, waiting(p, id)->fd)->first;
    while (*place != id) place = &waiting(p, *place)->next;
    return place;
}

static void drop(struct cpoll *p, uint32_t id) {
    struct waiting *w = waiting(p, id);
    *place_in_socket(p, id) = w->next;
    uint32_t *place = bucket(p, w->token);
    while (*place != id) place = &waiting(p, *place)->link;
    *place = w->link;
    w->kind = 0;
    w->next = p->waiting_free;
    p->waiting_free = id;
}

/* The last completion of one that waits. */
static void finish(struct cpoll *p, uint32_t id, int32_t result) {
    complete(p, waiting(p, id)->token, result, 0);
    drop(p, id);
}

static uint32_t wanted_events(const struct waiting *w) {
    switch (w->kind) {
    case CPOLL_ROOM:
        return EPOLLOUT;
    case CPOLL_ROOM_REPEATED:
        return w->is_told ? 0 : EPOLLOUT;
    default:
        return EPOLLIN;
    }
}

/* Asks epoll for what those want who wait; an errno if it refuses. */
static int watch(struct cpoll *p, int fd) {
    struct watched *s = watched(p, fd);
    uint32_t events = 0;
    for (uint32_t id = s->first; id != 0; id = waiting(p, id)->next)
        events |= wanted_events(waiting(p, id));
    if (events == s->events) return 0;
    struct epoll_event event = {.events = events, .data.fd = fd};
    int call = events == 0 ? EPOLL_CTL_DEL : s->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int code = epoll_ctl(p->epoll, call, fd, &event);
    if (code != 0 && events != 0 && (errno == EEXIST || errno == ENOENT)) {
        /* The descriptor was closed and opened behind our back. */
        code = epoll_ctl(p->epoll, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    }
    if (code != 0 && events != 0) return errno;
    s->events = events;
    return 0;
}

static uint32_t take_entry(struct cpoll *p) {
    uint32_t id = p->waiting_free;
    if (id != 0) {
        p->waiting_free = waiting(p, id)->next;
        return id;
    }
    id = p->waiting_used + 1;
    if (!reach(&p->waiting, (size_t)id + 1, sizeof(struct waiting))) return 0;
    p->waiting_used = id;
    return id;
}

static void await(struct cpoll *p, const struct operation *o) {
    int code = o->fd < 0 ? EBADF : 0;
    uint32_t id = 0;
    if (code == 0 && !reach(&p->watched, (size_t)o->fd + 1, sizeof(struct watched))) code = ENOMEM;
    if (code == 0 && (id = take_entry(p)) == 0) code = ENOMEM;
    if (code != 0) {
        complete(p, o->token, -code, 0);
        return;
    }
    uint32_t *head = bucket(p, o->token);
    *waiting(p, id) = (struct waiting){.token = o->token, .bytes = o->bytes, .count = o->count,
                                       .fd = o->fd, .link = *head, .kind = o->kind};
    *head = id;
    uint32_t *last = &watched(p, o->fd)->first;
    while (*last != 0) last = &waiting(p, *last)->next;
    *last = id;
    code = watch(p, o->fd);
    if (code != 0) finish(p, id, -code);
}

/* MARK: sockets */

static void accept_all(struct cpoll *p, uint32_t id) {
    uint64_t token = waiting(p, id)->token;
    int fd = waiting(p, id)->fd;
    for (int i = 0; i < accepts_max; i++) {
        int code = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (code >= 0) {
            complete(p, token, code, is_armed);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            finish(p, id, -errno);
            return;
        }
    }
}

/* Whether there may be more for this one to take. */
static int receive_some(struct cpoll *p, uint32_t id) {
    struct waiting *w = waiting(p, id);
    if (w->kind == CPOLL_RECEIVE_INTO) {
        ssize_t count = recv(w->fd, w->bytes, w->count, MSG_DONTWAIT);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR))
            finish(p, id, count >= 0 ? (int32_t)count : -errno);
        return 0;
    }
    if (p->lent_count == 0) {
        finish(p, id, -ENOBUFS);
        return 0;
    }
    uint16_t buffer = p->lent[p->lent_count - 1];
    ssize_t count = recv(w->fd, p->buffers + (size_t)buffer * p->buffer_bytes, p->buffer_bytes,
                         MSG_DONTWAIT);
    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR))
            finish(p, id, count == 0 ? 0 : -errno);
        return 0;
    }
    p->lent_count -= 1;
    uint32_t flags = has_buffer | (uint32_t)buffer << buffer_shift;
    if (w->kind == CPOLL_RECEIVE) {
        complete(p, w->token, (int32_t)count, flags | is_armed);
        return count == p->buffer_bytes;
    }
    complete(p, w->token, (int32_t)count, flags);
    drop(p, id);
    return 0;
}

static void receive_all(struct cpoll *p, uint32_t id) {
    for (int i = 0; i < receives_max && receive_some(p, id); i++) {}
}

static void tell_room(struct cpoll *p, uint32_t id) {
    struct waiting *w = waiting(p, id);
    if (w->kind == CPOLL_ROOM) {
        finish(p, id, EPOLLOUT);
    } else if (!w->is_told) {
        w->is_told = 1;
        complete(p, w->token, EPOLLOUT, is_armed);
    }
}

static void settle(struct cpoll *p, int fd, uint32_t events) {
    int is_readable = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    int has_room = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    for (uint32_t id = watched(p, fd)->first, next; id != 0; id = next) {
        next = waiting(p, id)->next;
        switch (waiting(p, id)->kind) {
        case CPOLL_ACCEPT:
            if (is_readable) accept_all(p, id);
            break;
        case CPOLL_ROOM:
        case CPOLL_ROOM_REPEATED:
            if (has_room) tell_room(p, id);
            break;
        default:
            if (is_readable) receive_all(p, id);
        }
    }
    (void)watch(p, fd);
}

/* The socket was full: whoever waits for room repeatedly is to hear of it again. */
static void socket_was_full(struct cpoll *p, int fd) {
    if (fd < 0 || (size_t)fd >= p->watched.bytes / sizeof(struct watched)) return;
    for (uint32_t id = watched(p, fd)->first; id != 0; id = waiting(p, id)->next)
        waiting(p, id)->is_told = 0;
    if (watched(p, fd)->first != 0) (void)watch(p, fd);
}

static void send_some(struct cpoll *p, const struct operation *o) {
    ssize_t count;
    do {
        count = send(o->fd, o->bytes, o->count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    int32_t result = count >= 0 ? (int32_t)count : -errno;
    if (result == (int32_t)o->count) {
        if (o->kind == CPOLL_SEND) complete(p, o->token, result, 0);
        return;
    }
    complete(p, o->token, result, 0);
    socket_was_full(p, o->fd);
}

static void close_socket(struct cpoll *p, const struct operation *o) {
    if (o->fd >= 0 && (size_t)o->fd < p->watched.bytes / sizeof(struct watched)) {
        /* Receives see the end of the stream, if a shutdown came before; the others are over. */
        if (watched(p, o->fd)->first != 0) settle(p, o->fd, EPOLLIN);
        while (watched(p, o->fd)->first != 0) finish(p, watched(p, o->fd)->first, -ECANCELED);
        /* By hand: a copy of the descriptor in another process would keep it in epoll. */
        (void)watch(p, o->fd);
    }
    complete(p, o->token, close(o->fd) == 0 ? 0 : -errno, 0);
}

/* MARK: files, time, and the rest */

static void read_file(struct cpoll *p, const struct operation *o) {
    struct iovec part = {o->bytes, o->count};
    ssize_t count = preadv2(o->fd, &part, 1, (off_t)o->number, RWF_NOWAIT);
    if (count == (ssize_t)o->count) {
        complete(p, o->token, (int32_t)count, 0);
        return;
    }
    /* A part of it, or none, is in the page cache; or the file is over, which costs little. */
    int must_wait = count >= 0 || errno == EAGAIN || errno == EOPNOTSUPP || errno == EINVAL ||
                    errno == ENOSYS || errno == EPERM;
    if (!must_wait) {
        complete(p, o->token, -errno, 0);
        return;
    }
    if (p->reads != NULL &&
        readers_add(p->reads, o->fd, o->bytes, o->count, o->number, o->token) == 0)
        return;
    complete(p, o->token, -EAGAIN, 0);
}

static void take_reads(struct cpoll *p) {
    uint64_t count;
    (void)!read(p->done, &count, sizeof count);
    uint64_t token;
    int32_t result;
    while (readers_take(p->reads, &token, &result)) complete(p, token, result, 0);
}

static void cancel(struct cpoll *p, const struct operation *o) {
    int32_t result = -ENOENT;
    for (uint32_t id = *bucket(p, o->number); id != 0; id = waiting(p, id)->link) {
        if (waiting(p, id)->token != o->number) continue;
        int fd = waiting(p, id)->fd;
        finish(p, id, -ECANCELED);
        (void)watch(p, fd);
        result = 0;
        break;
    }
    for (uint32_t i = 0; i < p->timer_count && result != 0; i++) {
        if (p->timers[i].token != o->number) continue;
        complete(p, o->number, -ECANCELED, 0);
        p->timers[i] = p->timers[--p->timer_count];
        result = 0;
    }
    complete(p, o->token, result, 0);
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
            complete(p, o->token, -ENOMEM, 0);
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
        complete(p, p->timers[first].token, -ETIME, 0);
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
    if (p->is_wake_pending) complete(p, token, sizeof(uint64_t), 0);
    p->is_wake_pending = 0;
}

static void take_wake(struct cpoll *p) {
    uint64_t count;
    if (read(p->wake, &count, sizeof count) < 0) return;
    if (p->is_wake_armed) complete(p, p->wake_token, sizeof count, 0);
    else p->is_wake_pending = 1;
    p->is_wake_armed = 0;
}

/* MARK: turns */

static void run(struct cpoll *p, const struct operation *o) {
    switch (o->kind) {
    case CPOLL_SEND_NOW:
    case CPOLL_SEND:
        send_some(p, o);
        break;
    case CPOLL_ACCEPT:
        /* Whoever gave up between the word of him and the accept must not be waited for. */
        (void)fcntl(o->fd, F_SETFL, fcntl(o->fd, F_GETFL) | O_NONBLOCK);
        await(p, o);
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
        complete(p, o->token, 0, 0);
        break;
    case CPOLL_CLOSE:
        close_socket(p, o);
        break;
    case CPOLL_TIMEOUT:
        set_timer(p, o);
        break;
    case CPOLL_WAKE:
        arm_wake(p, o->token);
        break;
    default:
        await(p, o);
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
        else settle(p, fd, p->events[i].events);
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
    forget(&p->watched);
    forget(&p->waiting);
    free(p->queue);
    free(p->completions);
    free(p->lent);
    free(p->timers);
    free(p);
}

int32_t cpoll_wake_descriptor(const struct cpoll *p) { return p->wake; }

uint64_t cpoll_enters(const struct cpoll *p) { return p->enters; }
