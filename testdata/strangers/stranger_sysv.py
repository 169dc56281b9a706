"""The three kinds of System V, by the module sysv_ipc. What it takes and prints: stranger.c."""

import errno
import sys

import sysv_ipc

kind, verb, name, *text = sys.argv[1:]
key = int(name, 16)
key -= (key & 1 << 31) << 1  # key_t has a sign
text = "".join(text).encode()
flags = sysv_ipc.IPC_CREX if verb == "make" else 0


def shm():
    memory = sysv_ipc.SharedMemory(key, flags, size=4096 if flags else 0)
    if verb == "put":
        memory.write(text + b"\0")
    elif verb == "take":
        print(memory.read().split(b"\0")[0].decode())
    elif verb == "remove":
        memory.remove()
    memory.detach()


def sem():
    semaphore = sysv_ipc.Semaphore(key, flags)
    if verb == "put":
        semaphore.release()
    elif verb == "take":
        semaphore.acquire()
        print("took 1")
    elif verb == "remove":
        semaphore.remove()


def msg():
    queue = sysv_ipc.MessageQueue(key, flags, max_message_size=64)
    if verb == "put":
        queue.send(text, type=7)
    elif verb == "take":
        print(queue.receive()[0].decode())
    elif verb == "remove":
        queue.remove()


try:
    {"shm": shm, "sem": sem, "msg": msg}[kind]()
except sysv_ipc.ExistentialError:
    # Its own class, without the errno: EEXIST where it makes, ENOENT elsewhere.
    sys.exit(f"{kind} {verb}: {'EEXIST' if flags else 'ENOENT'}")
except sysv_ipc.PermissionsError:
    sys.exit(f"{kind} {verb}: EACCES")
except OSError as e:  # the rest
    sys.exit(f"{kind} {verb}: {errno.errorcode[e.errno]}")
