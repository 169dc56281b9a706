package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// player is one of two processes that pass a ball: give passes it on, take waits for it.
type player struct {
	give, take func() error
	remove     func() error // what drive made
}

// play is what the pods and the host run: KIND drive|serve N NAME. drive makes the objects, says ready, plays N/10
// rounds to warm up and then N, prints nanoseconds for each of these, and removes the objects; serve answers.
// A kind that begins with "copy " has no other player: a round is then 1 MiB written into the object.
func play(args []string, out io.Writer) error {
	if len(args) != 4 {
		return errors.New("play: want KIND drive|serve N NAME")
	}
	kind, drive, name := args[0], args[1] == "drive", args[3]
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	// As programs have it: a wait that could be ended.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	open := games[kind]
	if open == nil {
		return fmt.Errorf("play: no kind %q", kind)
	}
	p, err := open(ctx, name, drive)
	if err != nil {
		return err
	}
	if !drive {
		return p.rounds(n/10+n, p.take, p.give)
	}
	fmt.Fprintln(out, "ready")
	err = p.rounds(n/10, p.give, p.take)
	begin := time.Now()
	if err == nil {
		err = p.rounds(n, p.give, p.take)
	}
	took := time.Since(begin)
	if err := errors.Join(err, p.remove()); err != nil {
		return err
	}
	fmt.Fprintf(out, "%.1f\n", float64(took.Nanoseconds())/float64(n))
	return nil
}

func (p player) rounds(n int, first, second func() error) error {
	for range n {
		if err := first(); err != nil {
			return err
		}
		if err := second(); err != nil {
			return err
		}
	}
	return nil
}

// games opens a kind's objects; the driver makes them.
var games = map[string]func(ctx context.Context, name string, drive bool) (player, error){
	"shm": shmGame, "sem": semGame, "msg": msgGame, "mq": mqGame, "posix-shm": sharedGame, "posix-sem": semaphoreGame,
	"copy shm": shmCopy, "copy posix-shm": sharedCopy,
}

// places are the two numbers of what a player takes from and gives to.
func places(drive bool) (in, out int) {
	if drive {
		return 1, 0
	}
	return 0, 1
}

const copySize = 1 << 20

func openShm(name string, size int, make bool) (mem []byte, remove func() error, err error) {
	key, err := ipc.ParseKey(name)
	if err != nil {
		return nil, nil, err
	}
	id, err := ipc.GetShm(key, size, ipc.Get{Create: make, Exclusive: make, Perm: 0o600})
	if err != nil {
		return nil, nil, err
	}
	seg, err := id.Attach(false)
	if err != nil {
		return nil, nil, err
	}
	return seg.Data, id.Remove, nil
}

func openShared(name string, size int, make bool) (mem []byte, remove func() error, err error) {
	s, err := ipc.OpenShared("/"+name, int64(size), ipc.Open{Create: make, Exclusive: make, Perm: 0o600})
	if err != nil {
		return nil, nil, err
	}
	seg, err := s.Map(false)
	if err != nil {
		return nil, nil, err
	}
	return seg.Data, func() error { return ipc.RemoveShared("/" + name) }, nil
}

// memoryGame passes the ball by counting in shared memory. Nothing in memory wakes anybody: who waits offers the
// processor to others until the number is there, sched_yield(2).
func memoryGame(mem []byte, remove func() error, drive bool) player {
	words := (*[2][16]atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(mem))) // 64 bytes apart: a cache line each
	in, out := places(drive)
	taken := uint32(0)
	return player{
		give: func() error { words[out][0].Add(1); return nil },
		take: func() error {
			for taken++; words[in][0].Load() != taken; {
				if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0); errno != 0 {
					return errno
				}
			}
			return nil
		},
		remove: remove,
	}
}

func shmGame(_ context.Context, name string, drive bool) (player, error) {
	mem, remove, err := openShm(name, os.Getpagesize(), drive)
	if err != nil {
		return player{}, err
	}
	return memoryGame(mem, remove, drive), nil
}

func sharedGame(_ context.Context, name string, drive bool) (player, error) {
	mem, remove, err := openShared(name, os.Getpagesize(), drive)
	if err != nil {
		return player{}, err
	}
	return memoryGame(mem, remove, drive), nil
}

func copyGame(mem []byte, remove func() error) player {
	from := make([]byte, copySize)
	for i := range from {
		from[i] = byte(i)
	}
	return player{
		give:   func() error { copy(mem, from); return nil },
		take:   func() error { return nil },
		remove: remove,
	}
}

func shmCopy(_ context.Context, name string, _ bool) (player, error) {
	mem, remove, err := openShm(name, copySize, true)
	if err != nil {
		return player{}, err
	}
	return copyGame(mem, remove), nil
}

func sharedCopy(_ context.Context, name string, _ bool) (player, error) {
	mem, remove, err := openShared(name, copySize, true)
	if err != nil {
		return player{}, err
	}
	return copyGame(mem, remove), nil
}

func semGame(ctx context.Context, name string, drive bool) (player, error) {
	key, err := ipc.ParseKey(name)
	if err != nil {
		return player{}, err
	}
	set, err := ipc.GetSem(key, 2, ipc.Get{Create: drive, Exclusive: drive, Perm: 0o600})
	if err != nil {
		return player{}, err
	}
	in, out := places(drive)
	return player{
		give:   func() error { return set.Do(ctx, ipc.SemOp{Num: uint16(out), Delta: 1}) },
		take:   func() error { return set.Do(ctx, ipc.SemOp{Num: uint16(in), Delta: -1}) },
		remove: set.Remove,
	}, nil
}

var ball = []byte("12345678")

func msgGame(ctx context.Context, name string, drive bool) (player, error) {
	key, err := ipc.ParseKey(name)
	if err != nil {
		return player{}, err
	}
	q, err := ipc.GetMsg(key, ipc.Get{Create: drive, Exclusive: drive, Perm: 0o600})
	if err != nil {
		return player{}, err
	}
	in, out := places(drive) // types of messages, from 1
	return player{
		give: func() error { return q.Send(ctx, ipc.Message{Type: int64(out) + 1, Data: ball}) },
		take: func() error {
			_, err := q.Receive(ctx, int64(in)+1, ipc.ReceiveOptions{})
			return err
		},
		remove: q.Remove,
	}, nil
}

func mqGame(ctx context.Context, name string, drive bool) (player, error) {
	var queues [2]*ipc.Queue
	for i := range queues {
		q, err := ipc.OpenQueue(numbered(name, i), ipc.Open{Create: drive, Exclusive: drive, Perm: 0o600}, &ipc.QueueAttr{MaxMessages: 4, MessageSize: 64})
		if err != nil {
			return player{}, err
		}
		queues[i] = q
	}
	in, out := places(drive)
	return player{
		give: func() error { return queues[out].Send(ctx, ball, 0) },
		take: func() error {
			_, _, err := queues[in].Receive(ctx)
			return err
		},
		remove: func() error { return both(ipc.RemoveQueue, name) },
	}, nil
}

func semaphoreGame(ctx context.Context, name string, drive bool) (player, error) {
	var sems [2]*ipc.Semaphore
	for i := range sems {
		s, err := ipc.OpenSemaphore(numbered(name, i), 0, ipc.Open{Create: drive, Exclusive: drive, Perm: 0o600})
		if err != nil {
			return player{}, err
		}
		sems[i] = s
	}
	in, out := places(drive)
	return player{
		give:   sems[out].Post,
		take:   func() error { return sems[in].Wait(ctx) },
		remove: func() error { return both(ipc.RemoveSemaphore, name) },
	}, nil
}

func numbered(name string, i int) string { return fmt.Sprintf("/%s-%d", name, i) }

func both(remove func(string) error, name string) error {
	return errors.Join(remove(numbered(name, 0)), remove(numbered(name, 1)))
}
