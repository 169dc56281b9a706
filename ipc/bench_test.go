package ipc

import (
	"context"
	"fmt"
	"strconv"
	"testing"
)

// The ping-pongs are between two processes: a token goes over and comes back. An operation is one round.

// roleEchoSem waits for the first semaphore of a set and posts the second, until the set is removed.
func roleEchoSem(args []string) error {
	id, err := strconv.Atoi(args[0])
	for err == nil {
		if err = Sem(id).Do(noEnd, SemOp{Num: 0, Delta: -1}); err == nil {
			err = Sem(id).Do(noEnd, SemOp{Num: 1, Delta: 1})
		}
	}
	return err
}

// roleEchoMsg sends back what it gets by type 1, by type 2.
func roleEchoMsg(args []string) error {
	id, err := strconv.Atoi(args[0])
	for err == nil {
		var m Message
		if m, err = Msg(id).Receive(noEnd, 1, ReceiveOptions{}); err == nil {
			m.Type = 2
			err = Msg(id).Send(noEnd, m)
		}
	}
	return err
}

// contexts shows what a wait costs that can end: a locked thread, and a hook in the context.
func contexts(b *testing.B, f func(*testing.B, context.Context)) {
	b.Run("background", func(b *testing.B) { f(b, context.Background()) })
	b.Run("cancelable", func(b *testing.B) { f(b, b.Context()) })
}

func BenchmarkSemPingPong(b *testing.B) {
	contexts(b, func(b *testing.B, ctx context.Context) {
		s := newSem(b, 0, 0)
		start(b, -1, "echo sem", fmt.Sprint(int(s)))
		for b.Loop() {
			if err := s.Do(ctx, SemOp{Num: 0, Delta: 1}); err != nil {
				b.Fatal(err)
			}
			if err := s.Do(ctx, SemOp{Num: 1, Delta: -1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMsgPingPong(b *testing.B) {
	contexts(b, func(b *testing.B, ctx context.Context) {
		q := newMsg(b)
		start(b, -1, "echo msg", fmt.Sprint(int(q)))
		ping := Message{Type: 1, Data: make([]byte, 64)}
		b.ReportAllocs()
		for b.Loop() {
			if err := q.Send(ctx, ping); err != nil {
				b.Fatal(err)
			}
			if _, err := q.Receive(ctx, 2, ReceiveOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Nobody waits for anybody: the price of the call.
func BenchmarkSemUncontended(b *testing.B) {
	contexts(b, func(b *testing.B, ctx context.Context) {
		s := newSem(b, 1)
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Do(ctx, SemOp{Delta: -1}, SemOp{Delta: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkShmCopy(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			seg := attach(b, newShm(b, size), false)
			from := make([]byte, size)
			copy(seg.Data, from) // the pages are there before the clock runs
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(seg.Data, from)
			}
		})
	}
}
