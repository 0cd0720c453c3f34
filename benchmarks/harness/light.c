// A load generator that does as little as one can: one thread, a closed loop, one request made beforehand, responses with a
// Content-Length only.      usage: light PORT PATH METHOD BODY CONNECTIONS WARM-UP-MS MILLISECONDS
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { largest_response = 16384, slowest_us = 10 * 1000 * 1000 };

struct connection {
  int socket;
  size_t sent;      // of the request
  size_t received;  // of the response
  uint64_t asked;   // when, in nanoseconds
  char response[largest_response + 1];
};

static char *request;
static size_t request_size;
static uint32_t *latencies;  // how many took so many microseconds
static uint64_t requests, failed;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void ask(struct connection *c) {
  while (c->sent < request_size) {
    ssize_t count = send(c->socket, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) die("send");
    c->sent += (size_t)count;
  }
}

static void ask_anew(struct connection *c) {
  c->sent = c->received = 0;
  c->asked = now();
  ask(c);
}

// Whether the response is there as a whole.
static int is_complete(struct connection *c) {
  char *end = memmem(c->response, c->received, "\r\n\r\n", 4);
  if (!end) return 0;
  *end = 0;
  char *length = strcasestr(c->response, "\r\ncontent-length:");
  size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
  *end = '\r';
  return c->received >= (size_t)(end - c->response) + 4 + body;
}

static void answer(struct connection *c) {
  for (;;) {
    ssize_t count = recv(c->socket, c->response + c->received, largest_response - c->received, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) die("the connection was closed");
    c->received += (size_t)count;
    if (!is_complete(c)) {
      if (c->received == largest_response) die("the response is too large");
      continue;
    }
    uint64_t took = (now() - c->asked) / 1000;
    latencies[took < slowest_us ? took : slowest_us]++;
    requests++;
    if (c->response[9] != '2') failed++;
    ask_anew(c);
    return;
  }
}

static void turn(int loop, uint64_t end) {
  struct epoll_event events[256];
  while (now() < end) {
    int count = epoll_wait(loop, events, 256, 100);
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) ask(c);
      if (events[i].events & ~(uint32_t)EPOLLOUT) answer(c);
    }
  }
}

static double percentile(double share) {
  uint64_t wanted = (uint64_t)((double)requests * share), seen = 0;
  for (size_t us = 0; us <= slowest_us; us++)
    if ((seen += latencies[us]) > wanted) return (double)us;
  return slowest_us;
}

int main(int count, char **arguments) {
  if (count != 8) return 64;
  size_t body = strtoul(arguments[4], NULL, 10);
  int connections = atoi(arguments[5]);
  request = malloc(body + 4096);
  latencies = calloc(slowest_us + 1, sizeof *latencies);
  char length[96] = "";
  if (body) snprintf(length, sizeof length, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", body);
  request_size = (size_t)snprintf(
      request, 4096,
      "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nUser-Agent: benchmark/1.0\r\nAccept: application/json\r\n"
      "Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n%s\r\n",
      arguments[3], arguments[2], arguments[1], length);
  for (size_t i = 0; i < body; i++) request[request_size++] = "0123456789abcdef"[i % 16];

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int loop = epoll_create1(0);
  struct connection *all = calloc((size_t)connections, sizeof *all);
  for (int i = 0; i < connections; i++) {
    struct connection *c = &all[i];
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->socket, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | (body ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->socket, &event) != 0) die("epoll_ctl");
    ask_anew(c);
  }
  uint64_t begin = now();
  turn(loop, begin + strtoul(arguments[6], NULL, 10) * 1000000);
  uint64_t before = requests;
  requests = 0;
  memset(latencies, 0, (slowest_us + 1) * sizeof *latencies);
  begin = now();
  turn(loop, begin + strtoul(arguments[7], NULL, 10) * 1000000);
  double seconds = (double)(now() - begin) / 1e9;
  printf("{\"requests\": %lu, \"all\": %lu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"failed\": %lu}\n",
         (unsigned long)requests, (unsigned long)(before + requests), seconds, percentile(0.5), percentile(0.99),
         (unsigned long)failed);
  return 0;
}
