/* A program started by this one that never outlives it.
 *
 * Three processes: this one, the program, and a guard. The guard holds the reading end of a pipe,
 * the lifeline, whose only writing end is here: when this process is gone, for whatever reason,
 * the guard reads the end of the file and stops the program. PR_SET_PDEATHSIG alone is not
 * enough: the kernel forgets it when a program changes its user, as servers do. */
#define _GNU_SOURCE
#include "CPrimitives.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the guard reads when the program was stopped by its owner. */
static const char released = 1;
/* Longest that the guard waits for the program to end by itself. */
static const int guard_wait_milliseconds = 10000;

/* In the program: waits for the word to go, then becomes the shell. Never returns. */
static void become_program(int go, int fault, const char *command, const cpu_set_t *cores) {
    char word;
    /* No word: the parent has gone before there was a guard. */
    if (read(go, &word, 1) != 1) _exit(0);
    setsid();
    if (cores && sched_setaffinity(0, sizeof *cores, cores) != 0) {
        int code = errno;
        if (write(fault, &code, sizeof code) < 0) _exit(126);
        _exit(126);
    }
    int empty = open("/dev/null", O_RDWR);
    if (empty >= 0) {
        dup2(empty, 0);
        dup2(empty, 1);
        if (empty > 2) close(empty);
    }
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* In the guard: waits for the end of the lifeline. Only system calls: the parent has threads. */
static void stand_guard(int lifeline, int program, pid_t id) {
    setsid();
    /* Nothing of the parent's stays open here, neither its pipes nor its terminal. */
    if (dup2(lifeline, 0) < 0 || dup2(program, 1) < 0) _exit(1);
    syscall(SYS_close_range, 2u, ~0u, 0u);
    char word;
    ssize_t count;
    do count = read(0, &word, 1);
    while (count < 0 && errno == EINTR);
    if (count == 1) _exit(0);
    syscall(SYS_pidfd_send_signal, 1, SIGTERM, NULL, 0u);
    struct pollfd end = {.fd = 1, .events = POLLIN};
    poll(&end, 1, guard_wait_milliseconds);
    syscall(SYS_pidfd_send_signal, 1, SIGKILL, NULL, 0u);
    /* What the program started itself and did not take with it. */
    kill(-id, SIGKILL);
    _exit(0);
}

static void close_both(const int ends[2]) {
    close(ends[0]);
    close(ends[1]);
}

static int pipe_above(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    /* Not among the standard ones, which the children replace. */
    for (int i = 0; i < 2; i++) {
        if (ends[i] > 2) continue;
        int other = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
        if (other < 0) return errno;
        close(ends[i]);
        ends[i] = other;
    }
    return 0;
}

/* Forks the program and its guard; signals are blocked in all three. */
static int fork_both(cprim_child *child, const char *command, const cpu_set_t *cores,
                     const int go[2], const int lifeline[2], const int fault[2]) {
    pid_t id = fork();
    if (id < 0) return errno;
    if (id == 0) {
        close(go[1]);
        close(lifeline[1]);
        become_program(go[0], fault[1], command, cores);
    }
    child->id = id;
    int program = (int)syscall(SYS_pidfd_open, id, 0);
    int code = program < 0 ? errno : 0;
    pid_t guard = code ? -1 : fork();
    if (guard == 0) {
        int place = fcntl(program, F_DUPFD, 3);
        stand_guard(lifeline[0], place, id);
    }
    if (guard < 0 && code == 0) code = errno;
    if (program >= 0) close(program);
    if (code == 0 && write(go[1], &released, 1) != 1) code = errno;
    if (code != 0) {
        kill(id, SIGKILL);
        while (waitpid(id, NULL, 0) < 0 && errno == EINTR) {}
        return code;
    }
    child->guard = guard;
    return 0;
}

int cprim_child_start(cprim_child *child, const char *command, const int *cores,
                      size_t core_count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < core_count; i++) {
        if (cores[i] < 0 || cores[i] >= CPU_SETSIZE) return EINVAL;
        CPU_SET(cores[i], &set);
    }
    int go[2], lifeline[2], fault[2];
    int code = pipe_above(go);
    if (code != 0) return code;
    if ((code = pipe_above(lifeline)) != 0) {
        close_both(go);
        return code;
    }
    if ((code = pipe_above(fault)) != 0) {
        close_both(go);
        close_both(lifeline);
        return code;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = fork_both(child, command, core_count ? &set : NULL, go, lifeline, fault);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close_both(go);
    close(lifeline[0]);
    close(fault[1]);
    child->lifeline = lifeline[1];
    if (code != 0) {
        close(lifeline[1]);
    } else {
        /* Closed when the shell begins; before, it may say why it cannot. */
        int said = 0;
        ssize_t count;
        do count = read(fault[0], &said, sizeof said);
        while (count < 0 && errno == EINTR);
        if (count == sizeof said) {
            cprim_child_stop(child, 0);
            code = said;
        }
    }
    close(fault[0]);
    return code;
}

int cprim_child_has_ended(const cprim_child *child) {
    siginfo_t info = {0};
    int code = waitid(P_PID, (id_t)child->id, &info, WEXITED | WNOHANG | WNOWAIT);
    return code != 0 || info.si_pid != 0;
}

void cprim_child_stop(cprim_child *child, int milliseconds) {
    /* Not reaped yet, so that its number, which is its group's, is still its own. */
    if (!cprim_child_has_ended(child)) kill(-child->id, SIGTERM);
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (int waited = 0; waited < milliseconds && !cprim_child_has_ended(child); waited += 10)
        nanosleep(&pause, NULL);
    kill(-child->id, SIGKILL);
    kill(child->id, SIGKILL);
    while (waitpid(child->id, NULL, 0) < 0 && errno == EINTR) {}
    if (write(child->lifeline, &released, 1) < 0) { /* The guard is gone; so is its work. */ }
    close(child->lifeline);
    while (waitpid(child->guard, NULL, 0) < 0 && errno == EINTR) {}
}
