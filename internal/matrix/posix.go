package matrix

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

var createPOSIX = ipc.Open{Create: true, Exclusive: true, Perm: mode}

type heldQueue struct {
	place, out string
	queue      *ipc.Queue
}

// createQueue makes a small queue: its full size is charged to the user, who has 819200 bytes for all queues in all
// IPC namespaces together (RLIMIT_MSGQUEUE, getrlimit(2)).
func createQueue(place, out string) (held, error) {
	if err := checkToken(out); err != nil {
		return nil, err
	}
	q, err := ipc.OpenQueue(place, createPOSIX, &ipc.QueueAttr{MaxMessages: 4, MessageSize: 64})
	if err != nil {
		return nil, err
	}
	if err := q.TrySend([]byte(out), 0); err != nil {
		_ = q.Close() // err is what counts
		return nil, err
	}
	return &heldQueue{place, out, q}, nil
}

func (h *heldQueue) where() string { return h.place }
func (h *heldQueue) close() error  { return h.queue.Close() }

// check empties the queue: it holds either what went out, untouched, or what came back.
func (h *heldQueue) check() (back string, err error) {
	for {
		data, _, err := h.queue.TryReceive()
		if errors.Is(err, unix.EAGAIN) {
			return back, h.queue.TrySend([]byte(h.out), 0)
		}
		if err != nil {
			return "", err
		}
		if string(data) != h.out {
			back = string(data)
		}
	}
}

func lookQueue(place, back string) (string, error) {
	if err := checkToken(back); err != nil {
		return "", err
	}
	q, err := ipc.OpenQueue(place, ipc.Open{}, nil)
	if err != nil {
		return "", err
	}
	data, _, err := q.TryReceive()
	if err == nil {
		err = q.TrySend([]byte(back), 0)
	}
	return string(data), errors.Join(err, q.Close())
}

type heldShared struct {
	place   string
	file    *ipc.Shared
	segment *ipc.Segment
}

func createShared(place, out string) (held, error) {
	if err := checkToken(out); err != nil {
		return nil, err
	}
	f, err := ipc.OpenShared(place, segmentSize, createPOSIX)
	if err != nil {
		return nil, err
	}
	s, err := f.Map(false)
	if err != nil {
		_ = f.Close() // err is what counts
		return nil, err
	}
	copy(s.Data, out)
	return &heldShared{place, f, s}, nil
}

func (h *heldShared) where() string          { return h.place }
func (h *heldShared) check() (string, error) { return takeBack(h.segment.Data), nil }
func (h *heldShared) close() error           { return errors.Join(h.segment.Detach(), h.file.Close()) }

func lookShared(place, back string) (string, error) {
	if err := checkToken(back); err != nil {
		return "", err
	}
	f, err := ipc.OpenShared(place, 0, ipc.Open{})
	if err != nil {
		return "", err
	}
	s, err := f.Map(false)
	if err != nil {
		return "", errors.Join(err, f.Close())
	}
	out, err := swap(s.Data, back)
	return out, errors.Join(err, s.Detach(), f.Close())
}

type heldSemaphore struct {
	place string
	value uint
	sem   *ipc.Semaphore
}

func createSemaphore(place, out string) (held, error) {
	v, err := strconv.ParseUint(out, 10, 30)
	if err != nil {
		return nil, err
	}
	s, err := ipc.OpenSemaphore(place, uint(v), createPOSIX)
	if err != nil {
		return nil, err
	}
	return &heldSemaphore{place, uint(v), s}, nil
}

func (h *heldSemaphore) where() string { return h.place }
func (h *heldSemaphore) close() error  { return h.sem.Close() }

// check takes as often as somebody posted. How often is what came back.
func (h *heldSemaphore) check() (string, error) {
	v, err := h.sem.Value()
	if err != nil || uint(v) == h.value {
		return "", err
	}
	if uint(v) < h.value || uint(v)-h.value > maxPosts {
		return "", fmt.Errorf("value %d, want %d and some posts", v, h.value)
	}
	n := uint(v) - h.value
	for range n {
		if err := h.sem.TryWait(); err != nil {
			return "", err
		}
	}
	return strconv.FormatUint(uint64(n), 10), nil
}

// lookSemaphore reads the value, and posts as often as back says.
func lookSemaphore(place, back string) (string, error) {
	n, err := strconv.Atoi(back)
	if err != nil || n < 1 || n > maxPosts {
		return "", fmt.Errorf("can't post %q times", back)
	}
	s, err := ipc.OpenSemaphore(place, 0, ipc.Open{})
	if err != nil {
		return "", err
	}
	v, err := s.Value()
	for i := 0; i < n && err == nil; i++ {
		err = s.Post()
	}
	return fmt.Sprint(v), errors.Join(err, s.Close())
}
