package ipc

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unique is a name that only this test uses. what follows it is removed by remove.
func unique(t testing.TB, remove func(string) error) string {
	t.Helper()
	name := "/podlab-test-" + time.Now().Format("150405.000000000")
	t.Cleanup(func() {
		if err := remove(name); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Error(err)
		}
	})
	return name
}

func TestQueueFirst(t *testing.T) {
	q, err := OpenQueue(unique(t, RemoveQueue), Open{Create: true, Exclusive: true, Perm: 0o600}, &QueueAttr{MaxMessages: 2, MessageSize: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := q.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	go q.Send(t.Context(), []byte("hello"), 3)
	data, prio, err := q.Receive(t.Context())
	if string(data) != "hello" || prio != 3 || err != nil {
		t.Fatalf("got %q %d %v", data, prio, err)
	}
	noticed := make(chan error)
	go func() { noticed <- q.Notify(t.Context()) }()
	for all, _ := List(); ; all, _ = List() {
		q.TrySend([]byte("x"), 0)
		select {
		case err := <-noticed:
			t.Log(err, all)
			return
		default:
			q.TryReceive()
		}
	}
}

func TestSharedAndSemaphoreFirst(t *testing.T) {
	n := unique(t, RemoveShared)
	s, err := OpenShared(n, 4096, Open{Create: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g, err := s.Map(false)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Detach()
	g.Data[7] = 42
	n = unique(t, RemoveSemaphore)
	m, err := OpenSemaphore(n, 0, Open{Create: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := m.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	w := make(chan error)
	go func() { w <- m.Wait(t.Context()) }()
	m.Post()
	if err := <-w; err != nil {
		t.Fatal(err)
	}
	all, err := List()
	t.Log(all, err)
	l, err := ReadLimits()
	t.Log(l, err, os.Getpid())
}
