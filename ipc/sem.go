package ipc

import (
	"context"
	"io/fs"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sem is the identifier of a set of System V semaphores.
type Sem int

// Commands of semctl(2) and a flag of semop(2), which x/sys has no names for (linux/sem.h).
const (
	semGetPid    = 11
	semGetValue  = 12
	semGetAll    = 13
	semGetUp     = 14 // GETNCNT
	semGetZero   = 15 // GETZCNT
	semSetValue  = 16
	semSetAll    = 17
	semFlagUndo  = 0x1000
	semctlNumber = 0 // the number of a semaphore, for commands that mean the set
)

// GetSem finds the set of a key, or makes one of n semaphores, all of them 0 (only Linux promises that, semget(2)).
// An existing one may be asked for with any n up to its own, 0 included; EINVAL otherwise.
//
// Making and filling a set are two calls, and another process may come between. Who finds a set that somebody else
// has just made waits until its LastOp isn't zero, which takes a Do of the maker; SetValue leaves it zero.
func GetSem(k Key, n int, g Get) (Sem, error) {
	id, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(k), uintptr(n), uintptr(g.flags()))
	if errno != 0 {
		return -1, keyError("semget", k, errno)
	}
	return Sem(id), nil
}

// SemOp is an operation on one semaphore of a set (struct sembuf, semop(2)).
type SemOp struct {
	Num    uint16
	Delta  int16 // > 0 adds; < 0 waits until it can be subtracted; 0 waits until the value is 0
	Undo   bool  // undone by the kernel when the process ends, however it ends (SEM_UNDO)
	NoWait bool  // EAGAIN instead of waiting
}

// sembuf is SemOp as the kernel reads it.
type sembuf struct {
	num   uint16
	delta int16
	flags int16
}

func (op SemOp) raw(flags int) sembuf {
	if op.Undo {
		flags |= semFlagUndo
	}
	if op.NoWait {
		flags |= unix.IPC_NOWAIT
	}
	return sembuf{op.Num, op.Delta, int16(flags)}
}

// Do carries out all operations at once or none, waiting until all can be. EIDRM if the set is removed meanwhile.
func (s Sem) Do(ctx context.Context, ops ...SemOp) error {
	bufs := make([]sembuf, len(ops))
	return idError("semop", s, waiting(ctx, unix.EAGAIN, func(flags int) unix.Errno {
		for i, op := range ops {
			bufs[i] = op.raw(flags)
		}
		_, _, errno := unix.Syscall(unix.SYS_SEMOP, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(bufs))), uintptr(len(bufs)))
		return errno
	}))
}

// control is semctl(2) with a number for its last argument, or none.
func (s Sem) control(num, cmd, arg int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(s), uintptr(num), uintptr(cmd), uintptr(arg), 0, 0)
	return int(n), idError("semctl", s, failure(errno))
}

// controlAt is semctl(2) with an address for its last argument.
func (s Sem) controlAt(cmd int, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(s), semctlNumber, uintptr(cmd), uintptr(arg), 0, 0)
	return idError("semctl", s, failure(errno))
}

// Value returns the value of one semaphore.
func (s Sem) Value(num int) (int, error) { return s.control(num, semGetValue, 0) }

// LastPid returns the process that has changed this semaphore last, 0 for one outside the caller's PID namespace.
func (s Sem) LastPid(num int) (int, error) { return s.control(num, semGetPid, 0) }

// Waiting returns how many wait for a semaphore to go up, and how many for it to be zero.
func (s Sem) Waiting(num int) (up, zero int, err error) {
	if up, err = s.control(num, semGetUp, 0); err != nil {
		return 0, 0, err
	}
	if zero, err = s.control(num, semGetZero, 0); err != nil {
		return 0, 0, err
	}
	return up, zero, nil
}

// SetValue gives one semaphore a value. What processes would have had undone of it is forgotten (semctl(2)).
func (s Sem) SetValue(num, v int) error {
	_, err := s.control(num, semSetValue, v)
	return err
}

// Values returns the values of the whole set, all of the same moment.
func (s Sem) Values() ([]int, error) {
	st, err := s.Stat()
	if err != nil {
		return nil, err
	}
	// An identifier is not used again for a set of another size until its sequence number has gone round, so the
	// number of semaphores can't change between the calls.
	raw := make([]uint16, st.Semaphores)
	if err := s.controlAt(semGetAll, unsafe.Pointer(unsafe.SliceData(raw))); err != nil {
		return nil, err
	}
	values := make([]int, len(raw))
	for i, v := range raw {
		values[i] = int(v)
	}
	return values, nil
}

// SetValues gives every semaphore of the set a value: one each, or it is EINVAL. ERANGE above 32767 (SEMVMX).
func (s Sem) SetValues(values []int) error {
	st, err := s.Stat()
	if err != nil {
		return err
	}
	if len(values) != st.Semaphores {
		return idError("semctl", s, unix.EINVAL) // the kernel would read on behind a short array
	}
	raw := make([]uint16, len(values))
	for i, v := range values {
		if v < 0 || v > 0xffff {
			return idError("semctl", s, unix.ERANGE) // cut to 16 bits it could be in range
		}
		raw[i] = uint16(v)
	}
	return s.controlAt(semSetAll, unsafe.Pointer(unsafe.SliceData(raw)))
}

// SemStat is what the kernel knows of a set (struct semid_ds, semctl(2)).
type SemStat struct {
	Perm       Permissions
	Semaphores int
	LastOp     time.Time // of the last Do; zero if there was none yet
	ChangeTime time.Time
}

// semidDS is struct semid64_ds: sem_otime, sem_ctime and sem_nsems follow each other, with a spare word behind each
// time on amd64 (asm/sembuf.h) and none on arm64 (asm-generic/sembuf.h).
type semidDS struct {
	perm  unix.SysvIpcPerm
	words [7]int64
}

func (d *semidDS) otime() int64 { return d.words[0] }
func (d *semidDS) ctime() int64 { return d.words[semidStride()] }
func (d *semidDS) nsems() int   { return int(d.words[2*semidStride()]) }

func semidStride() int {
	if runtime.GOARCH == "amd64" {
		return 2
	}
	return 1
}

// Stat asks the kernel. It takes read permission.
func (s Sem) Stat() (SemStat, error) {
	var d semidDS
	if err := s.controlAt(unix.IPC_STAT, unsafe.Pointer(&d)); err != nil {
		return SemStat{}, err
	}
	return SemStat{Perm: permissions(&d.perm), Semaphores: d.nsems(), LastOp: seconds(d.otime()), ChangeTime: seconds(d.ctime())}, nil
}

// SetPerm changes owner and mode; an id of -1 stays as it is. Only the owner, the creator and CAP_SYS_ADMIN may.
func (s Sem) SetPerm(uid, gid int, mode fs.FileMode) error {
	var d semidDS
	if err := change(&d.perm, uid, gid, mode, func() error { return s.controlAt(unix.IPC_STAT, unsafe.Pointer(&d)) }); err != nil {
		return err
	}
	return s.controlAt(unix.IPC_SET, unsafe.Pointer(&d))
}

// Remove takes the set away at once. Whoever waits on it wakes with EIDRM.
func (s Sem) Remove() error {
	_, err := s.control(semctlNumber, unix.IPC_RMID, 0)
	return err
}
