/* Reads of files by helper threads: one queue for all who ask, a list of what is done for each.
 *
 * Everything here is under one lock, for a few instructions at a time; only the reads are not. */
#define _GNU_SOURCE
#include "reads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { helpers_max = 2, stack_bytes = 64 << 10 };

struct job {
    struct job *next;
    struct readers *owner;
    uint64_t token;
    uint64_t offset;
    void *bytes;
    uint32_t count;
    int32_t fd;
    int32_t result;
};

struct readers {
    int done;
    /* Jobs that a thread has begun. */
    int begun;
    int is_ended;
    struct job *finished;
    struct job **finished_last;
    struct job *vacant;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct job *first;
static struct job **last = &first;
static int helper_count;

static void release(struct readers *r) {
    for (struct job *j = r->vacant, *next; j != NULL; j = next) {
        next = j->next;
        free(j);
    }
    free(r);
}

static int32_t read_all(const struct job *j) {
    ssize_t count;
    do {
        count = pread(j->fd, j->bytes, j->count, (off_t)j->offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (int32_t)count;
}

static void *help(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "brim-read");
    pthread_mutex_lock(&lock);
    for (;;) {
        struct job *j = first;
        if (j == NULL) {
            pthread_cond_wait(&more, &lock);
            continue;
        }
        first = j->next;
        if (first == NULL) last = &first;
        struct readers *r = j->owner;
        r->begun++;
        pthread_mutex_unlock(&lock);
        j->result = read_all(j);
        pthread_mutex_lock(&lock);
        r->begun--;
        j->next = NULL;
        if (r->is_ended) {
            free(j);
            if (r->begun == 0) release(r);
            continue;
        }
        *r->finished_last = j;
        r->finished_last = &j->next;
        uint64_t one = 1;
        (void)!write(r->done, &one, sizeof one);
    }
    return NULL;
}

/* Under the lock: starts what is missing; whether there is at least one. */
static int start_helpers(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (helper_count < helpers_max) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, help, NULL) != 0) break;
        helper_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return helper_count > 0;
}

struct readers *readers_make(int done) {
    struct readers *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->done = done;
    r->finished_last = &r->finished;
    pthread_mutex_lock(&lock);
    int is_there = start_helpers();
    pthread_mutex_unlock(&lock);
    if (is_there) return r;
    free(r);
    return NULL;
}

void readers_end(struct readers *r) {
    pthread_mutex_lock(&lock);
    for (struct job **place = &first; *place != NULL;) {
        struct job *j = *place;
        if (j->owner != r) {
            place = &j->next;
            continue;
        }
        *place = j->next;
        free(j);
    }
    last = &first;
    while (*last != NULL) last = &(*last)->next;
    *r->finished_last = r->vacant;
    r->vacant = r->finished;
    r->is_ended = 1;
    if (r->begun == 0) release(r);
    pthread_mutex_unlock(&lock);
}

int readers_add(struct readers *r, int fd, void *bytes, uint32_t count, uint64_t offset,
                uint64_t token) {
    pthread_mutex_lock(&lock);
    struct job *j = r->vacant;
    if (j != NULL) r->vacant = j->next;
    else if ((j = malloc(sizeof *j)) == NULL) {
        pthread_mutex_unlock(&lock);
        return ENOMEM;
    }
    *j = (struct job){.owner = r, .token = token, .offset = offset, .bytes = bytes,
                      .count = count, .fd = fd};
    *last = j;
    last = &j->next;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
    return 0;
}

int readers_take(struct readers *r, uint64_t *token, int32_t *result) {
    pthread_mutex_lock(&lock);
    struct job *j = r->finished;
    if (j != NULL) {
        r->finished = j->next;
        if (r->finished == NULL) r->finished_last = &r->finished;
        *token = j->token;
        *result = j->result;
        j->next = r->vacant;
        r->vacant = j;
    }
    pthread_mutex_unlock(&lock);
    return j != NULL;
}
