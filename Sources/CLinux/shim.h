// Linux calls that Swift's Glibc module does not declare. Do not define _GNU_SOURCE here: it clashes with Glibc's fd_set.
#pragma once
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

// Declared by glibc only under _GNU_SOURCE.
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
struct chatelaine_ucred {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
enum { chatelaine_so_peercred = 17 };

// Function-like macros and a variadic call.
static inline int chatelaine_set_nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
static inline int chatelaine_prctl(int option, unsigned long value) { return prctl(option, value, 0, 0, 0); }

// The cores that this process may run on, as the kernel's bit mask of up to 1,024 has them: cpu_set_t needs _GNU_SOURCE.
#include <sys/syscall.h>
long syscall(long number, ...);
static inline int chatelaine_allowed_cores(void) {
  unsigned long mask[16] = {0};
  long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  int count = 0;
  for (long i = 0; i < bytes / (long)sizeof mask[0]; i++) count += __builtin_popcountl(mask[i]);
  return count;
}

// Lets go of the pages of this program's own code that were read to start it: what is run again is found in the page cache.
#include <sys/mman.h>
extern char __executable_start, etext;
int madvise(void *address, size_t length, int advice);
static inline void chatelaine_forget_startup_code(void) {
  uintptr_t start = (uintptr_t)&__executable_start & ~(uintptr_t)4095;
  uintptr_t end = (uintptr_t)&etext & ~(uintptr_t)4095;
  if (end > start) (void)madvise((void *)start, end - start, 4 /* MADV_DONTNEED */);
}

// recv and send without a point of cancellation, which in a process with threads is two atomic operations a call: nobody
// cancels our threads.
static inline ssize_t chatelaine_recv(int fd, void *room, size_t count) {
  return syscall(SYS_recvfrom, fd, room, count, 0, (void *)0, (void *)0);
}
static inline ssize_t chatelaine_send(int fd, const void *bytes, size_t count) {
  return syscall(SYS_sendto, fd, bytes, count, MSG_NOSIGNAL, (void *)0, 0);
}

// EPOLLET is 1u << 31, which Swift imports as a negative enum case.
enum { chatelaine_epoll_in = EPOLLIN, chatelaine_epoll_out = EPOLLOUT };
static inline struct epoll_event chatelaine_epoll_event(uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data = {.u64 = token}};
  return event;
}
// struct epoll_event is packed; Swift cannot take its union's field apart.
static inline uint32_t chatelaine_epoll_events(const struct epoll_event *event) { return event->events; }
static inline uint64_t chatelaine_epoll_token(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t chatelaine_epoll_edge(void) { return EPOLLET; }

// One exact question to NETLINK_SOCK_DIAG and room for its answer.
struct chatelaine_diag_request {
  struct nlmsghdr header;
  struct inet_diag_req_v2 request;
};
struct chatelaine_diag_answer {
  struct nlmsghdr header;
  struct inet_diag_msg message;
};
