"""The three kinds of POSIX, by Python's own library: multiprocessing's shared memory and semaphores; queues, which
it doesn't have, through ctypes. What it takes and prints: stranger.c."""

import _multiprocessing
import _posixshmem
import ctypes
import ctypes.util
import errno
import mmap
import os
import sys

kind, verb, name, *text = sys.argv[1:]
text = "".join(text).encode()
flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if verb == "make" else 0)


class Attr(ctypes.Structure):  # struct mq_attr, mq_getattr(3)
    _fields_ = [(f, ctypes.c_long) for f in ("flags", "maxmsg", "msgsize", "curmsgs", "r1", "r2", "r3", "r4")]


def mq():
    librt = ctypes.CDLL(ctypes.util.find_library("rt") or "librt.so.1", use_errno=True)

    def call(function, *args):
        got = getattr(librt, function)(*args)
        if got == -1:
            raise OSError(ctypes.get_errno(), function)
        return got

    if verb == "remove":
        return call("mq_unlink", name.encode())
    attr = Attr(maxmsg=4, msgsize=64)
    queue = call("mq_open", name.encode(), flags, 0o600, ctypes.byref(attr))
    if verb == "put":
        call("mq_send", queue, text, ctypes.c_size_t(len(text)), 3)
    elif verb == "take":
        call("mq_getattr", queue, ctypes.byref(attr))
        buf = ctypes.create_string_buffer(attr.msgsize)
        print(buf[: call("mq_receive", queue, buf, ctypes.c_size_t(attr.msgsize), None)].decode())


def shm():
    if verb == "remove":
        return _posixshmem.shm_unlink(name)
    fd = _posixshmem.shm_open(name, flags, 0o600)
    if verb == "make":
        os.ftruncate(fd, 4096)
    with mmap.mmap(fd, 4096) as view:
        if verb == "put":
            view[: len(text) + 1] = text + b"\0"
        elif verb == "take":
            print(view[:].split(b"\0")[0].decode())


def sem():
    semaphore = 1  # of two kinds: recursive mutex 0, semaphore 1
    if verb == "remove":
        return _multiprocessing.sem_unlink(name)
    if verb == "make":
        return _multiprocessing.SemLock(semaphore, 0, 2**31 - 1, name, False)
    # A child of multiprocessing opens what its parent made like this.
    lock = _multiprocessing.SemLock._rebuild(0, semaphore, 2**31 - 1, name)
    if verb == "put":
        lock.release()
    elif verb == "take":
        lock.acquire()
        print("took 1")


try:
    {"mq": mq, "posix-shm": shm, "posix-sem": sem}[kind]()
except OSError as e:
    sys.exit(f"{kind} {verb}: {errno.errorcode[e.errno]}")
