/* All six kinds of IPC, as any program on glibc uses them:
 *
 *     stranger KIND make|put|take|remove NAME [TEXT]
 *
 * KIND is shm, sem, msg (NAME: a key, 0x…) or mq, posix-shm, posix-sem (NAME: /…). make: 4096 bytes, a semaphore
 * at 0, a queue of four messages of 64 bytes. put writes TEXT, posts or sends; take reads, waits or receives, and
 * prints what came. An error is one line on standard error, with the errno's name: KIND VERB: ENOENT; code 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

enum { SIZE = 4096, TEXT = 64, MODE = 0600 };

static const char *kind, *verb, *name, *text;

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static void fail(void) {
	fprintf(stderr, "%s %s: %s\n", kind, verb, strerrorname_np(errno));
	exit(1);
}

static long check(long got) {
	if (got == -1)
		fail();
	return got;
}

static void *mapped(void *p) {
	if (p == MAP_FAILED)
		fail();
	return p;
}

static void memory(char *p) {
	if (is(verb, "put"))
		strcpy(p, text);
	else
		puts(p);
}

static void shm(key_t key) {
	int make = is(verb, "make"), id = check(shmget(key, make ? SIZE : 0, make ? IPC_CREAT | IPC_EXCL | MODE : 0));
	if (is(verb, "remove"))
		check(shmctl(id, IPC_RMID, NULL));
	else if (!make)
		memory(mapped(shmat(id, NULL, 0)));
}

static void sem(key_t key) {
	int make = is(verb, "make"), id = check(semget(key, make ? 1 : 0, make ? IPC_CREAT | IPC_EXCL | MODE : 0));
	struct sembuf op = {0, is(verb, "put") ? 1 : -1, 0};
	if (is(verb, "remove"))
		check(semctl(id, 0, IPC_RMID));
	else if (!make)
		check(semop(id, &op, 1));
	if (is(verb, "take"))
		puts("took 1");
}

static void msg(key_t key) {
	int make = is(verb, "make"), id = check(msgget(key, make ? IPC_CREAT | IPC_EXCL | MODE : 0));
	struct { long type; char text[TEXT]; } m = {7, ""};
	if (is(verb, "remove")) {
		check(msgctl(id, IPC_RMID, NULL));
	} else if (is(verb, "put")) {
		strcpy(m.text, text);
		check(msgsnd(id, &m, strlen(text), 0));
	} else if (is(verb, "take")) {
		long n = check(msgrcv(id, &m, TEXT, 0, 0));
		printf("%.*s\n", (int)n, m.text);
	}
}

static void mq(void) {
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = TEXT};
	if (is(verb, "remove")) {
		check(mq_unlink(name));
		return;
	}
	mqd_t q = check(is(verb, "make") ? mq_open(name, O_CREAT | O_EXCL | O_RDWR, MODE, &attr) : mq_open(name, O_RDWR));
	if (is(verb, "put"))
		check(mq_send(q, text, strlen(text), 3));
	if (is(verb, "take")) {
		check(mq_getattr(q, &attr)); /* a queue of podlab's has longer messages; EMSGSIZE otherwise, mq_receive(3) */
		char *buf = malloc(attr.mq_msgsize);
		long n = check(mq_receive(q, buf, attr.mq_msgsize, NULL));
		printf("%.*s\n", (int)n, buf);
	}
}

static void posix_shm(void) {
	if (is(verb, "remove")) {
		check(shm_unlink(name));
		return;
	}
	int make = is(verb, "make"), fd = check(shm_open(name, make ? O_CREAT | O_EXCL | O_RDWR : O_RDWR, MODE));
	if (make)
		check(ftruncate(fd, SIZE));
	else
		memory(mapped(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
}

static void posix_sem(void) {
	if (is(verb, "remove")) {
		check(sem_unlink(name));
		return;
	}
	sem_t *s = is(verb, "make") ? sem_open(name, O_CREAT | O_EXCL, MODE, 0) : sem_open(name, 0);
	if (s == SEM_FAILED)
		fail();
	if (is(verb, "put"))
		check(sem_post(s));
	if (is(verb, "take")) {
		check(sem_wait(s));
		puts("took 1");
	}
}

int main(int argc, char **argv) {
	if (argc < 4 || (is(argv[2], "put") && (argc < 5 || strlen(argv[4]) >= TEXT)))
		return 2;
	kind = argv[1], verb = argv[2], name = argv[3], text = argv[4];
	key_t key = strtoul(name, NULL, 0);
	if (is(kind, "shm"))
		shm(key);
	else if (is(kind, "sem"))
		sem(key);
	else if (is(kind, "msg"))
		msg(key);
	else if (is(kind, "mq"))
		mq();
	else if (is(kind, "posix-shm"))
		posix_shm();
	else if (is(kind, "posix-sem"))
		posix_sem();
	else
		return 2;
	return 0;
}
