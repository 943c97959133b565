/* Who waits for which socket, and what happens when epoll tells of one. */
#define _GNU_SOURCE
#include "poll.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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

void poll_forget(struct table *t) {
    if (t->base != NULL) munmap(t->base, t->bytes);
}

static struct watched *watched(struct cpoll *p, int fd) {
    return &((struct watched *)p->watched.base)[fd];
}

struct waiting *poll_waiting(struct cpoll *p, uint32_t id) {
    return &((struct waiting *)p->waiting.base)[id];
}

void poll_complete(struct cpoll *p, uint64_t token, int32_t result, uint32_t flags) {
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

uint32_t *poll_bucket(struct cpoll *p, uint64_t token) {
    return &p->heads[(token * 0x9E3779B97F4A7C15u) >> 52];
}

/* Where the id of this entry stands in a list. */
static uint32_t *place_in_socket(struct cpoll *p, uint32_t id) {
    uint32_t *place = &watched(p, poll_waiting(p, id)->fd)->first;
    while (*place != id) place = &poll_waiting(p, *place)->next;
    return place;
}

static void drop(struct cpoll *p, uint32_t id) {
    struct waiting *w = poll_waiting(p, id);
    *place_in_socket(p, id) = w->next;
    uint32_t *place = poll_bucket(p, w->token);
    while (*place != id) place = &poll_waiting(p, *place)->link;
    *place = w->link;
    w->kind = 0;
    w->next = p->waiting_free;
    p->waiting_free = id;
}

/* The last completion of one that waits. */
void poll_finish(struct cpoll *p, uint32_t id, int32_t result) {
    poll_complete(p, poll_waiting(p, id)->token, result, 0);
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
int poll_watch(struct cpoll *p, int fd) {
    struct watched *s = watched(p, fd);
    uint32_t events = 0;
    for (uint32_t id = s->first; id != 0; id = poll_waiting(p, id)->next)
        events |= wanted_events(poll_waiting(p, id));
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
        p->waiting_free = poll_waiting(p, id)->next;
        return id;
    }
    id = p->waiting_used + 1;
    if (!reach(&p->waiting, (size_t)id + 1, sizeof(struct waiting))) return 0;
    p->waiting_used = id;
    return id;
}

void poll_await(struct cpoll *p, const struct operation *o) {
    int code = o->fd < 0 ? EBADF : 0;
    uint32_t id = 0;
    if (code == 0 && !reach(&p->watched, (size_t)o->fd + 1, sizeof(struct watched))) code = ENOMEM;
    if (code == 0 && (id = take_entry(p)) == 0) code = ENOMEM;
    if (code != 0) {
        poll_complete(p, o->token, -code, 0);
        return;
    }
    uint32_t *head = poll_bucket(p, o->token);
    *poll_waiting(p, id) = (struct waiting){.token = o->token, .bytes = o->bytes, .count = o->count,
                                       .fd = o->fd, .link = *head, .kind = o->kind};
    *head = id;
    uint32_t *last = &watched(p, o->fd)->first;
    while (*last != 0) last = &poll_waiting(p, *last)->next;
    *last = id;
    code = poll_watch(p, o->fd);
    if (code != 0) poll_finish(p, id, -code);
}

/* MARK: sockets */

static void accept_all(struct cpoll *p, uint32_t id) {
    uint64_t token = poll_waiting(p, id)->token;
    int fd = poll_waiting(p, id)->fd;
    for (int i = 0; i < accepts_max; i++) {
        int code = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (code >= 0) {
            poll_complete(p, token, code, is_armed);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            poll_finish(p, id, -errno);
            return;
        }
    }
}

/* Whether there may be more for this one to take. */
static int receive_some(struct cpoll *p, uint32_t id) {
    struct waiting *w = poll_waiting(p, id);
    if (w->kind == CPOLL_RECEIVE_INTO) {
        ssize_t count = recv(w->fd, w->bytes, w->count, MSG_DONTWAIT);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR))
            poll_finish(p, id, count >= 0 ? (int32_t)count : -errno);
        return 0;
    }
    if (p->lent_count == 0) {
        /* A buffer is missing only once there is something to receive. */
        char byte;
        ssize_t found = recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (found >= 0 || (errno != EAGAIN && errno != EINTR)) poll_finish(p, id, -ENOBUFS);
        return 0;
    }
    uint16_t buffer = p->lent[p->lent_count - 1];
    ssize_t count = recv(w->fd, p->buffers + (size_t)buffer * p->buffer_bytes, p->buffer_bytes,
                         MSG_DONTWAIT);
    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR))
            poll_finish(p, id, count == 0 ? 0 : -errno);
        return 0;
    }
    p->lent_count -= 1;
    uint32_t flags = has_buffer | (uint32_t)buffer << buffer_shift;
    if (w->kind == CPOLL_RECEIVE) {
        poll_complete(p, w->token, (int32_t)count, flags | is_armed);
        return count == p->buffer_bytes;
    }
    poll_complete(p, w->token, (int32_t)count, flags);
    drop(p, id);
    return 0;
}

static void receive_all(struct cpoll *p, uint32_t id) {
    for (int i = 0; i < receives_max && receive_some(p, id); i++) {}
}

static void tell_room(struct cpoll *p, uint32_t id) {
    struct waiting *w = poll_waiting(p, id);
    if (w->kind == CPOLL_ROOM) {
        poll_finish(p, id, EPOLLOUT);
    } else if (!w->is_told) {
        w->is_told = 1;
        poll_complete(p, w->token, EPOLLOUT, is_armed);
    }
}

void poll_settle(struct cpoll *p, int fd, uint32_t events) {
    int is_readable = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    int has_room = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    for (uint32_t id = watched(p, fd)->first, next; id != 0; id = next) {
        next = poll_waiting(p, id)->next;
        switch (poll_waiting(p, id)->kind) {
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
    (void)poll_watch(p, fd);
}

/* The socket was full: whoever waits for room repeatedly is to hear of it again. */
static void socket_was_full(struct cpoll *p, int fd) {
    if (fd < 0 || (size_t)fd >= p->watched.bytes / sizeof(struct watched)) return;
    for (uint32_t id = watched(p, fd)->first; id != 0; id = poll_waiting(p, id)->next)
        poll_waiting(p, id)->is_told = 0;
    if (watched(p, fd)->first != 0) (void)poll_watch(p, fd);
}

void poll_send_some(struct cpoll *p, const struct operation *o) {
    ssize_t count;
    do {
        count = send(o->fd, o->bytes, o->count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    int32_t result = count >= 0 ? (int32_t)count : -errno;
    if (result == (int32_t)o->count) {
        if (o->kind == CPOLL_SEND) poll_complete(p, o->token, result, 0);
        return;
    }
    poll_complete(p, o->token, result, 0);
    socket_was_full(p, o->fd);
}

void poll_close_socket(struct cpoll *p, const struct operation *o) {
    if (o->fd >= 0 && (size_t)o->fd < p->watched.bytes / sizeof(struct watched)) {
        /* Receives see the end of the stream, if a shutdown came before; the others are over. */
        if (watched(p, o->fd)->first != 0) poll_settle(p, o->fd, EPOLLIN);
        while (watched(p, o->fd)->first != 0) poll_finish(p, watched(p, o->fd)->first, -ECANCELED);
        /* By hand: a copy of the descriptor in another process would keep it in epoll. */
        (void)poll_watch(p, o->fd);
    }
    poll_complete(p, o->token, close(o->fd) == 0 ? 0 : -errno, 0);
}
