/* Loaded into the program under test: sets its clock, and sends it a signal at one of its steps at the destination.
 *
 * STEER_AT=SECONDS: the time at its start, since 1970; from there the clock goes on.
 * STEER_STEP=N: after the N-th volume that it puts or deletes it gets the signal STEER_SIGNAL.
 * STEER_OPENAT2=NUMBER: what the system answers to openat2, as kernels do that lack it and containers that forbid it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead;
static int steps, signal_no, openat2_error;

__attribute__((constructor)) static void read_orders(void)
{
    struct timespec now;
    const char *at = getenv("STEER_AT"), *step = getenv("STEER_STEP"), *no = getenv("STEER_SIGNAL");
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    ahead = at ? atol(at) - now.tv_sec : 0;
    steps = step ? atoi(step) : 0;
    signal_no = no ? atoi(no) : SIGKILL;
    openat2_error = getenv("STEER_OPENAT2") ? atoi(getenv("STEER_OPENAT2")) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, time);
    if (done == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += ahead;
    return done;
}

/* A volume came or went. */
static void step(const char *name)
{
    if (strstr(name, ".zip") && steps > 0 && --steps == 0)
        kill(getpid(), signal_no);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int done = real(from, to);
    if (done == 0)
        step(to);
    return done;
}

int unlink(const char *path)
{
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    int done = real(path);
    if (done == 0)
        step(path);
    return done;
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    if (!real)
        real = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_openat2 && openat2_error) {
        errno = openat2_error;
        return -1;
    }
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    long done = real(number, a, b, c, d, e, f);
    if (number == SYS_renameat2 && done == 0)
        step((const char *)d);
    return done;
}
