// floor: what the kernel alone takes for a pod. The same namespaces, mounts and
// capabilities as a pod runner makes, by system calls with nothing around them.
//
//   floor true            exit 0: what every container runs
//   floor pause           sleep until killed
//   floor pod N ROOTFS    a pod of N containers side by side, each running /floor true
//
// It checks every answer: a floor that skipped a mount would flatter nobody but itself.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static long ok(long answer, const char *what) {
  if (answer >= 0) return answer;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static void device(const char *path, int major, int minor) {
  ok(mknod(path, S_IFCHR | 0666, makedev(major, minor)), path);
  ok(chmod(path, 0666), path);
}

// The container's tree, seen from its future root.
static void tree(const char *rootfs) {
  ok(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  ok(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind rootfs");
  ok(chdir(rootfs), rootfs);
  ok(mount("proc", "proc", "proc", SAFE, NULL), "proc");
  ok(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=64m"), "dev");
  device("dev/null", 1, 3), device("dev/zero", 1, 5), device("dev/full", 1, 7);
  device("dev/random", 1, 8), device("dev/urandom", 1, 9), device("dev/tty", 5, 0);
  ok(mkdir("dev/pts", 0755) | mkdir("dev/shm", 01777) | mkdir("dev/mqueue", 0755), "mkdir dev");
  ok(symlink("pts/ptmx", "dev/ptmx") | symlink("/proc/self/fd", "dev/fd") | symlink("/proc/self/fd/0", "dev/stdin") |
         symlink("/proc/self/fd/1", "dev/stdout") | symlink("/proc/self/fd/2", "dev/stderr"), "symlink");
  ok(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"), "devpts");
  ok(mount("shm", "dev/shm", "tmpfs", SAFE, "mode=1777,size=64m"), "shm");
  ok(mount("mqueue", "dev/mqueue", "mqueue", SAFE, NULL), "mqueue");
  ok(mount("sysfs", "sys", "sysfs", SAFE | MS_RDONLY, NULL), "sysfs");
  ok(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  ok(umount2(".", MNT_DETACH), "umount");
  ok(chdir("/"), "/");
}

// Not every kernel has every one of these files: only that may be missed.
static void cover(void) {
  static const char *masked[] = {"acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"};
  static const char *fixed[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
  char path[64];
  for (unsigned i = 0; i < 10; i++) {
    if (i < 9) sprintf(path, "/proc/%s", masked[i]); else strcpy(path, "/sys/firmware");
    int r = mount("/dev/null", path, NULL, MS_BIND, NULL);
    if (r < 0 && errno == ENOTDIR) r = mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0");
    if (r < 0 && errno != ENOENT) ok(r, path);
  }
  for (unsigned i = 0; i < 5; i++) {
    sprintf(path, "/proc/%s", fixed[i]);
    if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0 && errno == ENOENT) continue;
    ok(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, NULL), path);
  }
}

static void powers(void) {
  const uint32_t keep = 0xa80425fb; // the fourteen that Docker and containerd leave to root
  for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
    if (c > 31 || !(keep >> c & 1)) ok(prctl(PR_CAPBSET_DROP, c), "drop");
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{keep, keep, 0}};
  ok(syscall(SYS_capset, &head, data), "capset");
  ok(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static int pod(int n, const char *rootfs) {
  ok(unshare(CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS), "unshare");
  int s = ok(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  ok(ioctl(s, SIOCSIFFLAGS, &lo), "lo");
  ok(sethostname("pod", 3), "hostname");
  for (int i = 0; i < n; i++) {
    if (ok(syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP | SIGCHLD, 0, 0, 0, 0), "clone")) continue;
    tree(rootfs), cover(), powers();
    ok(execve("/floor", (char *[]){"/floor", "true", NULL}, (char *[]){"PATH=/bin", NULL}), "execve");
  }
  for (int i = 0; i < n; i++) {
    int status;
    ok(wait(&status), "wait");
    if (status) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "true")) return 0;
  if (argc == 2 && !strcmp(argv[1], "pause")) for (;;) pause();
  if (argc == 4 && !strcmp(argv[1], "pod")) return pod(atoi(argv[2]), argv[3]);
  return 2;
}
