/* A stranger: the POSIX kinds as the C library has them. It says "ready" once what it was asked for is open, and
 * "NAME of the errno" where a call fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what) { puts(what); fflush(stdout); }

static void need(int ok) {
    if (!ok) {
        say(strerrorname_np(errno));
        exit(1);
    }
}

static sem_t *sem(const char *name) {
    sem_t *s = sem_open(name, 0);
    need(s != SEM_FAILED);
    return s;
}

static int numbers(int argc, char **argv) {
    const char *what = argv[1], *name = argv[2];
    int n = argc > 3 ? atoi(argv[3]) : 0;
    if (!strcmp(what, "sem-create")) {
        sem_t *s = sem_open(name, O_CREAT | O_EXCL, 0600, n);
        need(s != SEM_FAILED);
    } else if (!strcmp(what, "sem-value")) {
        int v;
        need(sem_getvalue(sem(name), &v) == 0);
        printf("%d\n", v);
        return 0;
    } else if (!strcmp(what, "sem-post")) {
        sem_t *s = sem(name);
        for (; n > 0; n--)
            need(sem_post(s) == 0);
    } else if (!strcmp(what, "sem-wait")) {
        sem_t *s = sem(name);
        say("ready");
        for (; n > 0; n--)
            need(sem_wait(s) == 0);
        say("done");
        return 0;
    } else if (!strcmp(what, "sem-timedwait")) { /* n times, a fifth of a millisecond each; how many it has got */
        sem_t *s = sem(name);
        int got = 0;
        for (; n > 0; n--) {
            struct timespec t;
            clock_gettime(CLOCK_REALTIME, &t);
            if ((t.tv_nsec += 200000) >= 1000000000)
                t.tv_sec++, t.tv_nsec -= 1000000000;
            if (sem_timedwait(s, &t) == 0)
                got++;
            else
                need(errno == ETIMEDOUT);
        }
        printf("%d\n", got);
        return 0;
    } else
        return -1;
    say("ready");
    return 0;
}

/* sem-echo A B N: N times, wait for A and post B. */
static int echo(char **argv) {
    sem_t *a = sem(argv[2]), *b = sem(argv[3]);
    say("ready");
    for (int n = atoi(argv[4]); n > 0; n--)
        need(sem_wait(a) == 0 && sem_post(b) == 0);
    say("done");
    return 0;
}

static int messages(int argc, char **argv) {
    const char *what = argv[1], *name = argv[2];
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 64};
    if (!strcmp(what, "mq-create")) {
        need(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a) >= 0);
        say("ready");
    } else if (!strcmp(what, "mq-send") && argc > 4) {
        mqd_t q = mq_open(name, O_WRONLY);
        need(q >= 0 && mq_send(q, argv[4], strlen(argv[4]), atoi(argv[3])) == 0);
        say("ready");
    } else if (!strcmp(what, "mq-receive")) {
        char buf[65] = "";
        unsigned priority;
        mqd_t q = mq_open(name, O_RDONLY);
        need(q >= 0);
        say("ready");
        need(mq_receive(q, buf, 64, &priority) >= 0);
        printf("%s %u\n", buf, priority);
    } else
        return -1;
    return 0;
}

static int memory(int argc, char **argv) {
    const char *what = argv[1], *name = argv[2];
    int create = !strcmp(what, "shm-write");
    if ((!create && strcmp(what, "shm-read")) || (create && argc < 4))
        return -1;
    int fd = shm_open(name, O_RDWR | (create ? O_CREAT : 0), 0600);
    need(fd >= 0);
    if (create)
        need(ftruncate(fd, 4096) == 0);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(p != MAP_FAILED);
    if (create)
        strcpy(p, argv[3]);
    say(create ? "ready" : p);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    if (!strcmp(argv[1], "sem-echo") && argc > 4)
        return echo(argv);
    if (numbers(argc, argv) == 0 || messages(argc, argv) == 0 || memory(argc, argv) == 0)
        return 0;
    return 2;
}
