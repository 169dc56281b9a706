"""The three kinds of POSIX, by the module posix_ipc. What it takes and prints: stranger.c."""

import errno
import mmap
import os
import sys

import posix_ipc

kind, verb, name, *text = sys.argv[1:]
text = "".join(text).encode()
flags = posix_ipc.O_CREX if verb == "make" else 0


def mq():
    if verb == "remove":
        return posix_ipc.unlink_message_queue(name)
    size = {"max_messages": 4, "max_message_size": 64} if flags else {}
    queue = posix_ipc.MessageQueue(name, flags, **size)
    if verb == "put":
        queue.send(text, priority=3)
    elif verb == "take":
        print(queue.receive()[0].decode())
    queue.close()


def shm():
    if verb == "remove":
        return posix_ipc.unlink_shared_memory(name)
    memory = posix_ipc.SharedMemory(name, flags, size=4096 if flags else 0)
    with mmap.mmap(memory.fd, 4096) as view:
        if verb == "put":
            view[: len(text) + 1] = text + b"\0"
        elif verb == "take":
            print(view[:].split(b"\0")[0].decode())
    os.close(memory.fd)


def sem():
    if verb == "remove":
        return posix_ipc.unlink_semaphore(name)
    semaphore = posix_ipc.Semaphore(name, flags)
    if verb == "put":
        semaphore.release()
    elif verb == "take":
        semaphore.acquire()
        print("took 1")
    semaphore.close()


try:
    {"mq": mq, "posix-shm": shm, "posix-sem": sem}[kind]()
except posix_ipc.ExistentialError:
    # Its own class, without the errno: EEXIST where it makes, ENOENT elsewhere.
    sys.exit(f"{kind} {verb}: {'EEXIST' if flags else 'ENOENT'}")
except posix_ipc.PermissionsError:
    sys.exit(f"{kind} {verb}: EACCES")
except OSError as e:  # the rest
    sys.exit(f"{kind} {verb}: {errno.errorcode[e.errno]}")
