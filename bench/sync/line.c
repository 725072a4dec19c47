/*
 * A line with delay, rate and a queue that drops, for kernels without netem: two TUN devices, one in the network namespace that this
 * is started in, one in a new namespace at the far end, in which it runs a program. Real TCP at both ends. Needs root.
 *
 *   line DELAY_MS MBIT_PER_S QUEUE_KB PROGRAM ARGS...
 *
 * DELAY_MS: one way. Addresses: 10.79.0.1 near, 10.79.0.2 far. Ends with the program, and kills it when it is ended itself.
 * Packets carry the header for offloading, so that the kernel hands over up to 64 KiB at once: each of them takes the time, and counts
 * the bytes, of the packets of 1,500 bytes that it stands for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct packet {
  struct packet *next;
  int64_t due;
  int size;
  char bytes[];
} packet;

typedef struct {
  int in, out;
  double free_at; /* when the last packet of the queue has been sent, ns */
  packet *first, *last;
} direction;

static double delay_ns, ns_per_byte, longest_queue_ns;
static volatile sig_atomic_t ended;

static void fail(const char *what) {
  fprintf(stderr, "line: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void write_setting(const char *path, const char *value) {
  int file = open(path, O_WRONLY);
  if (file < 0 || write(file, value, strlen(value)) < 0) fail(path);
  close(file);
}

static void set_flags_up(int control, const char *name) {
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(control, SIOCGIFFLAGS, &request)) fail("SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &request)) fail("SIOCSIFFLAGS");
}

/* A device `line0` in the namespace of this process, with its address; and TCP there as most Linux systems have it. */
static int open_end(const char *address) {
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) fail("/dev/net/tun");
  struct ifreq request = {0};
  strcpy(request.ifr_name, "line0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(device, TUNSETIFF, &request)) fail("TUNSETIFF");
  if (ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) fail("TUNSETOFFLOAD");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
  memset(&request.ifr_addr, 0, sizeof request.ifr_addr);
  in->sin_family = AF_INET;
  inet_pton(AF_INET, address, &in->sin_addr);
  if (ioctl(control, SIOCSIFADDR, &request)) fail("SIOCSIFADDR");
  inet_pton(AF_INET, "255.255.255.252", &in->sin_addr);
  if (ioctl(control, SIOCSIFNETMASK, &request)) fail("SIOCSIFNETMASK");
  set_flags_up(control, "line0");
  set_flags_up(control, "lo");
  close(control);
  write_setting("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
  /* By its route: a namespace of one's own may take only the kernel's default, or reno. */
  char command[200];
  snprintf(command, sizeof command, "ip route change 10.79.0.0/30 dev line0 proto kernel scope link src %s congctl cubic", address);
  if (system(command) != 0) {
    fprintf(stderr, "line: cubic could not be chosen: %s\n", command);
    exit(1);
  }
  return device;
}

/* Bytes on a line of 1,500-byte packets. */
static int wire_bytes(const char *bytes, int size) {
  const struct virtio_net_hdr *header = (const struct virtio_net_hdr *)bytes;
  int payload = size - (int)sizeof *header;
  if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE || header->gso_size == 0 || payload <= header->hdr_len) return payload;
  int segments = (payload - header->hdr_len + header->gso_size - 1) / header->gso_size;
  return payload + (segments - 1) * header->hdr_len;
}

static void take(direction *way) {
  static char buffer[sizeof(struct virtio_net_hdr) + 65536 + 64];
  for (int count = 0; count < 64; count++) {
    int size = read(way->in, buffer, sizeof buffer);
    if (size <= (int)sizeof(struct virtio_net_hdr)) return;
    int64_t now = now_ns();
    if (way->free_at < now) way->free_at = now;
    if (way->free_at - now > longest_queue_ns) continue; /* dropped */
    way->free_at += wire_bytes(buffer, size) * ns_per_byte;
    packet *held = malloc(sizeof *held + size);
    if (held == NULL) fail("malloc");
    *held = (packet){.due = (int64_t)(way->free_at + delay_ns), .size = size};
    memcpy(held->bytes, buffer, size);
    if (way->last != NULL) way->last->next = held;
    else way->first = held;
    way->last = held;
  }
}

static void deliver(direction *way) {
  for (packet *held; (held = way->first) != NULL && held->due <= now_ns();) {
    /* What the other end refuses while its device is not up yet is lost, as on any line. */
    if (write(way->out, held->bytes, held->size) < 0 && errno != EAGAIN && errno != EIO) perror("line: write");
    way->first = held->next;
    if (way->first == NULL) way->last = NULL;
    free(held);
  }
}

static void on_end(int signal) {
  (void)signal;
  ended = 1;
}

int main(int count, char **words) {
  if (count < 5) {
    fprintf(stderr, "usage: line DELAY_MS MBIT_PER_S QUEUE_KB PROGRAM ARGS...\n");
    return 64;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_TIMERSLACK, 1000);
  delay_ns = atof(words[1]) * 1e6;
  ns_per_byte = 8000.0 / atof(words[2]);
  longest_queue_ns = atof(words[3]) * 1024 * ns_per_byte;
  int near = open_end("10.79.0.1");
  if (unshare(CLONE_NEWNET)) fail("a new network namespace");
  int far = open_end("10.79.0.2");
  pid_t program = fork();
  if (program == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(words[4], words + 4);
    fail(words[4]);
  }
  setpriority(PRIO_PROCESS, 0, -15); /* after the fork: only the line is to be on time */
  struct sigaction end = {.sa_handler = on_end};
  sigaction(SIGTERM, &end, NULL);
  sigaction(SIGINT, &end, NULL);
  sigaction(SIGCHLD, &end, NULL);

  direction ways[2] = {{.in = near, .out = far}, {.in = far, .out = near}};
  while (!ended) {
    int64_t due = INT64_MAX;
    for (int i = 0; i < 2; i++)
      if (ways[i].first != NULL && ways[i].first->due < due) due = ways[i].first->due;
    int64_t wait = due - now_ns();
    if (wait < 0) wait = 0;
    struct timespec pause = {wait / 1000000000LL, wait % 1000000000LL};
    struct pollfd ready[2] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
    ppoll(ready, 2, due == INT64_MAX ? NULL : &pause, NULL);
    for (int i = 0; i < 2; i++) {
      deliver(&ways[i]);
      if (ready[i].revents & POLLIN) take(&ways[i]);
    }
  }
  kill(program, SIGKILL);
  waitpid(program, NULL, 0);
  return 0;
}
