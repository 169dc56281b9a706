package ipc

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// Each round is there and back, between two processes, unless it says otherwise.

func BenchmarkQueuePingPong(b *testing.B) {
	there, nameThere := newQueue(b, &QueueAttr{MaxMessages: 1, MessageSize: 64})
	back, nameBack := newQueue(b, &QueueAttr{MaxMessages: 1, MessageSize: 64})
	start(b, -1, "queue-echo", nameThere, nameBack).says("ready")
	ctx, message := context.Background(), make([]byte, 64)
	for b.Loop() {
		if err := there.Send(ctx, message, 0); err != nil {
			b.Fatal(err)
		}
		if _, _, err := back.Receive(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// In one process, without waiting: what the calls themselves cost.
func BenchmarkQueueSendReceive(b *testing.B) {
	q, _ := newQueue(b, &QueueAttr{MaxMessages: 1, MessageSize: 64})
	message := make([]byte, 64)
	for b.Loop() {
		if err := q.TrySend(message, 0); err != nil {
			b.Fatal(err)
		}
		if _, _, err := q.TryReceive(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSemaphorePingPong(b *testing.B) {
	there, nameThere := newSemaphore(b, 0)
	back, nameBack := newSemaphore(b, 0)
	start(b, -1, "semaphore-echo", nameThere, nameBack).says("ready")
	ctx := context.Background()
	for b.Loop() {
		if err := there.Post(); err != nil {
			b.Fatal(err)
		}
		if err := back.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func semaphoreEchoRole(args []string) error {
	from, err := OpenSemaphore(args[0], 0, Open{})
	if err != nil {
		return err
	}
	to, err := OpenSemaphore(args[1], 0, Open{})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		if err := from.Wait(context.Background()); err != nil {
			return err
		}
		if err := to.Post(); err != nil {
			return err
		}
	}
}

// In one process, without waiting: no call of the kernel's at all.
func BenchmarkSemaphorePostWait(b *testing.B) {
	s, _ := newSemaphore(b, 0)
	ctx := context.Background()
	for b.Loop() {
		if err := s.Post(); err != nil {
			b.Fatal(err)
		}
		if err := s.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// A megabyte goes through memory that is shared: by a mapping, and by write and read of its file.
func BenchmarkSharedCopy(b *testing.B) {
	const size = 1 << 20
	s, _ := newShared(b, size, 0o600)
	mem, err := s.Map(false)
	if err != nil {
		b.Fatal(err)
	}
	defer mem.Detach()
	from, to := make([]byte, size), make([]byte, size)
	b.Run("mapped", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			copy(mem.Data, from)
			copy(to, mem.Data)
		}
	})
	b.Run("file", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := s.WriteAt(from, 0); err != nil {
				b.Fatal(err)
			}
			if _, err := s.ReadAt(to, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// With 100 objects of one kind there are more than most pods have.
func BenchmarkList(b *testing.B) {
	for n := range 100 {
		name := shmDir + objectName() + "-" + strconv.Itoa(n)
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.Remove(name) }) // it was just made
	}
	for b.Loop() {
		if _, err := ListAt(Places{SysV: "/proc/sysvipc", Shm: shmDir}); err != nil {
			b.Fatal(err)
		}
	}
}
