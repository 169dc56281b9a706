// Package ipc is the six kinds of communication between processes that podlab shows: System V shared memory,
// semaphores and message queues; POSIX message queues, shared memory and named semaphores. It is pure Go for 64-bit
// Linux. Every wait takes a context.
//
// # Which kind is where
//
// An IPC namespace holds the first four, and nothing else (ipc_namespaces(7)). The last two are files below /dev/shm:
// who mounts another tmpfs there has others, in whatever IPC namespace.
//
//	kind       made by        name                    looked up in   gone when
//	shm        GetShm         key, 32 bits            IPC namespace  removed, and detached by all
//	sem        GetSem         key                     IPC namespace  removed
//	msg        GetMsg         key                     IPC namespace  removed
//	mq         OpenQueue      /NAME, up to 255 bytes  IPC namespace  removed, and closed by all
//	posix-shm  OpenShared     /NAME, up to 255 bytes  /dev/shm       removed, closed and unmapped by all
//	posix-sem  OpenSemaphore  /NAME, up to 251 bytes  /dev/shm       removed, closed and unmapped by all
//
// None goes with the process that made it; all go with the last reference to their namespace or mount. To remove is
// to take the name away: the object itself stays for those who have it, except sem and msg, which go at once. With
// kernel.shm_rmid_forced a segment goes with its last user, removed or not.
//
// A System V key leads to an identifier, which is good for the object's life and needs no open: whoever guesses it may
// use the object as far as its mode goes. All six have owner, group and mode as files have. For the three of System V
// it is CAP_IPC_OWNER that overrides them, in the user namespace that owns the IPC namespace (capabilities(7)).
//
// # Who waits for what
//
//	kind       calls                         who waits                      who goes on
//	shm        shmget shmat shmdt shmctl     nobody
//	sem        semget semop semctl           Do: a value is too low, or     after any change, all who can, those who
//	                                         not 0                          have waited longest first
//	msg        msgget msgsnd msgrcv msgctl   Receive: no such message       the first receiver that a message suits
//	                                         Send: no room                  senders, as far as there is room
//	mq         mq_open mq_timedsend          Receive: no message            who is blocked in mq_receive(3), else
//	           mq_timedreceive mq_notify                                    all who poll, and who asked to be notified
//	                                         Send: full                     who is blocked in mq_send(3), else all who poll
//	posix-shm  open mmap                     nobody
//	posix-sem  open mmap futex               Wait: the value is 0           one for each Post, if nobody is quicker
//
// Removal wakes who waits on sem and msg, with EIDRM. The others wait on.
// A process that is killed is detached and its descriptors are closed. What it had taken from a sem with SemOp.Undo
// the kernel gives back; what it took without, and from a posix-sem, stays taken. A message that it had received is gone.
//
// # Limits
//
// Of each IPC namespace, where a new one has the kernel's defaults and not its parent's values (ReadLimits):
//
//	shm        kernel.shmmax kernel.shmall kernel.shmmni kernel.shm_rmid_forced
//	sem        kernel.sem, which is four: SEMMSL SEMMNS SEMOPM SEMMNI; a value is at most 32767
//	msg        kernel.msgmax kernel.msgmnb kernel.msgmni
//	mq         fs.mqueue.queues_max fs.mqueue.msg_max fs.mqueue.msgsize_max fs.mqueue.msg_default fs.mqueue.msgsize_default
//
// Not of the namespace: the bytes in a user's mq, in all namespaces together (RLIMIT_MSGQUEUE, EMFILE); the size of the
// tmpfs for posix-shm and posix-sem (ENOSPC, or SIGBUS when a mapping is touched); memory, which the cgroup pays for
// whose process touched a page first.
//
// # Errors and waits
//
// Errors are *os.PathError: the call, the object, and an errno, so that errors.Is(err, unix.ENOENT) works. A wait that
// its context has ended wraps context.Cause instead. What a wait got in that moment, it has, and says so.
//
// A wait on sem, msg and posix-sem blocks a thread. When its context ends the thread is sent SIGURG, which Go programs
// handle anyway; in one that ignores the signal (signal.Ignore) such a wait goes on. A wait on mq blocks no thread.
//
// # When not to use it
//
//   - Between goroutines: channels and package sync do more, for less.
//   - Between a parent and its children, or wherever a descriptor can be handed over: pipe, socketpair and memfd have
//     no name to clash, and go by themselves.
//   - In a new program that is not about these kinds: a Unix socket knows who is there, tells of their end, and polls.
//   - For secrets between users: whoever has the mode's rights, or the same uid in another container of the pod, reads along.
//   - With another C library's named semaphores: OpenSemaphore has glibc's layout, since 2.21, and no other.
package ipc
