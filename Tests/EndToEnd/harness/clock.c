// Preloaded into the daemon: its clocks run ahead of the machine's by as many seconds as the file that TEST_CLOCK names says,
// so that hours pass at once. Two numbers: for CLOCK_REALTIME, and for CLOCK_BOOTTIME, which time spent suspended moves and a
// hand on the wall clock does not. CLOCK_MONOTONIC, which times what the daemon does, is left alone.
//
// Names that end in .here.test are this machine's, for what must not be done with names that are the daemon's own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static volatile int64_t *ahead;
static int (*real)(clockid_t, struct timespec *);
static int (*resolve)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((constructor)) static void begin(void) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
    resolve = dlsym(RTLD_NEXT, "getaddrinfo");
    int file = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
    void *mapped = mmap(0, 2 * sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    ahead = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += ahead[0];
    if (result == 0 && clock == CLOCK_BOOTTIME) time->tv_sec += ahead[1];
    return result;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    const char *end = name ? strstr(name, ".here.test") : 0;
    return resolve(end && !strcmp(end, ".here.test") ? "127.0.0.1" : name, service, hints, found);
}
