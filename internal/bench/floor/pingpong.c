// pingpong: the loop of pingpong.go for the two commonest kinds, with nothing around the calls.
//
//   pingpong sem|mq drive|serve N NAME
//
// drive makes the objects, says ready, plays N/10 rounds to warm up and then N, prints nanoseconds for each of
// these, and removes the objects. serve answers.
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

static int set, in, out; // numbers of the semaphores, or queue descriptors
static int semaphores;

static long ok(long answer, const char *what) {
  if (answer >= 0) return answer;
  fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void give(void) {
  struct sembuf up = {out, 1, 0};
  if (semaphores) ok(semop(set, &up, 1), "semop");
  else ok(mq_send(out, "12345678", 8, 0), "mq_send");
}

static void take(void) {
  struct sembuf down = {in, -1, 0};
  char buf[64];
  if (semaphores) ok(semop(set, &down, 1), "semop");
  else ok(mq_receive(in, buf, sizeof buf, NULL), "mq_receive");
}

static void rounds(long n, int first) {
  while (n-- > 0) {
    if (first) give();
    take();
    if (!first) give();
  }
}

static int queue(const char *name, int number, int make) {
  char full[64];
  struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
  snprintf(full, sizeof full, "/%s-%d", name, number);
  return ok(mq_open(full, O_RDWR | (make ? O_CREAT | O_EXCL : 0), 0600, &attr), "mq_open");
}

static void removeQueue(const char *name, int number) {
  char full[64];
  snprintf(full, sizeof full, "/%s-%d", name, number);
  ok(mq_unlink(full), "mq_unlink");
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int drive = !strcmp(argv[2], "drive");
  long n = atol(argv[3]);
  const char *name = argv[4];
  semaphores = !strcmp(argv[1], "sem");
  if (semaphores) {
    unsigned key = 2166136261u; // FNV-1a: a key of its own for each name
    for (const char *p = name; *p; p++) key = (key ^ (unsigned char)*p) * 16777619u;
    set = ok(semget(key, 2, drive ? IPC_CREAT | IPC_EXCL | 0600 : 0), "semget");
    in = drive, out = !drive;
  } else {
    int zero = queue(name, 0, drive), one = queue(name, 1, drive);
    in = drive ? one : zero, out = drive ? zero : one;
  }
  if (!drive) {
    rounds(n / 10 + n, 0);
    return 0;
  }
  puts("ready");
  fflush(stdout);
  rounds(n / 10, 1);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  rounds(n, 1);
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.1f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
  if (semaphores) {
    ok(semctl(set, 0, IPC_RMID), "semctl");
  } else {
    removeQueue(name, 0);
    removeQueue(name, 1);
  }
  return 0;
}
