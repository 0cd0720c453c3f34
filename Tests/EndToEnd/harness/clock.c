// Preloaded into the daemon: its clocks run ahead of the machine's by as many seconds as the file that TEST_CLOCK names says,
// so that hours pass at once. Two numbers: for CLOCK_REALTIME, and for CLOCK_BOOTTIME, which time spent suspended moves and a
// hand on the wall clock does not. CLOCK_MONOTONIC, which times what the daemon does, is left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile int64_t *ahead;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
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
