/* Whether a thread ended this process by a fault of its own while it did something dangerous. */
#define _GNU_SOURCE
#include "CPrimitives.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { WATCHED = 6 };
static const int watched[WATCHED] = {SIGBUS, SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGABRT};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int watchers;
static struct sigaction before[WATCHED];
/* The watched thread's descriptor; -1: it is not watched. */
static _Thread_local volatile int told = -1;

/* Only what may be called in a signal handler. The fault repeats itself when this returns, and
 * finds the handler that was there before. */
static void note_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    /* What the kernel found, or abort() has sent; a signal of somebody else is no fault. */
    int is_own = info->si_code > 0 || info->si_pid == getpid();
    if (is_own && told >= 0 && write(told, "+", 1) < 0) told = -1;
    for (int at = 0; at < WATCHED; at++)
        if (watched[at] == number) sigaction(number, &before[at], NULL);
    /* What was sent does not repeat itself, nor does a trap behind which the thread stands. */
    if (info->si_code <= 0 || number == SIGTRAP) raise(number);
}

int cprim_fault_watch(int file) {
    if (told >= 0) return EBUSY;
    struct sigaction action = {0};
    action.sa_sigaction = note_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&lock);
    if (watchers++ == 0)
        for (int at = 0; at < WATCHED; at++) sigaction(watched[at], &action, &before[at]);
    pthread_mutex_unlock(&lock);
    told = file;
    return 0;
}

int cprim_fault_unwatch(void) {
    int file = told;
    if (file < 0) return -1;
    told = -1;
    pthread_mutex_lock(&lock);
    if (--watchers == 0)
        for (int at = 0; at < WATCHED; at++) sigaction(watched[at], &before[at], NULL);
    pthread_mutex_unlock(&lock);
    return file;
}
