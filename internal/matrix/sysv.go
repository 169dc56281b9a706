package matrix

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

var create = ipc.Get{Create: true, Exclusive: true, Perm: mode}

// A segment carries the token that goes out in its first bytes, and the one that comes back after it.
const segmentSize = 2 * tokenLen

type heldShm struct {
	place   string
	segment *ipc.Segment
}

func createShm(place, out string) (held, error) {
	k, err := parseKey(place, out)
	if err != nil {
		return nil, err
	}
	id, err := ipc.GetShm(k, segmentSize, create)
	if err != nil {
		return nil, err
	}
	s, err := id.Attach(false)
	if err != nil {
		return nil, err
	}
	copy(s.Data, out)
	return &heldShm{place, s}, nil
}

// parseKey reads the key that a place is, and checks the token that goes with it.
func parseKey(place, token string) (ipc.Key, error) {
	if err := checkToken(token); err != nil {
		return 0, err
	}
	return ipc.ParseKey(place)
}

func (h *heldShm) where() string { return h.place }
func (h *heldShm) close() error  { return h.segment.Detach() }

func (h *heldShm) check() (string, error) { return takeBack(h.segment.Data), nil }

// takeBack reads the token that a viewer left in shared memory, and clears it.
func takeBack(data []byte) string {
	field := data[tokenLen:segmentSize]
	back := strings.TrimRight(string(field), "\x00")
	clear(field)
	return back
}

func lookShm(place, back string) (string, error) {
	k, err := parseKey(place, back)
	if err != nil {
		return "", err
	}
	id, err := ipc.GetShm(k, 0, ipc.Get{})
	if err != nil {
		return "", err
	}
	s, err := id.Attach(false)
	if err != nil {
		return "", err
	}
	out, err := swap(s.Data, back)
	return out, errors.Join(err, s.Detach())
}

// swap takes a token out of shared memory and leaves one there.
func swap(data []byte, back string) (string, error) {
	if len(data) < segmentSize {
		return "", fmt.Errorf("%d bytes, want %d", len(data), segmentSize)
	}
	copy(data[tokenLen:segmentSize], back)
	return string(data[:tokenLen]), nil
}

func unlinkShm(place string) error {
	k, err := ipc.ParseKey(place)
	if err != nil {
		return err
	}
	id, err := ipc.GetShm(k, 0, ipc.Get{})
	if err != nil {
		return err
	}
	return id.Remove()
}

type heldSem struct {
	place string
	set   ipc.Sem
}

func createSem(place, out string) (held, error) {
	k, err := ipc.ParseKey(place)
	if err != nil {
		return nil, err
	}
	v, err := parseValues(out)
	if err != nil {
		return nil, err
	}
	set, err := ipc.GetSem(k, 2*half, create)
	if err != nil {
		return nil, err
	}
	return &heldSem{place, set}, set.SetValues(append(v, make([]int, half)...))
}

func (h *heldSem) where() string { return h.place }
func (h *heldSem) close() error  { return nil }

// check takes what came back off the semaphores again, all in one operation, as a waiter would.
func (h *heldSem) check() (string, error) {
	v, err := h.set.Values()
	if err != nil || len(v) != 2*half {
		return "", err
	}
	if v = v[half:]; v[0] == 0 {
		return "", nil
	}
	return formatValues(v), h.set.Do(context.Background(), addAll(v, -1)...)
}

// addAll are the operations that add v, or -v, to the half of the set for what comes back. They never wait.
func addAll(v []int, sign int) (ops []ipc.SemOp) {
	for i, n := range v {
		ops = append(ops, ipc.SemOp{Num: uint16(half + i), Delta: int16(sign * n), NoWait: true})
	}
	return ops
}

func lookSem(place, back string) (string, error) {
	k, err := ipc.ParseKey(place)
	if err != nil {
		return "", err
	}
	add, err := parseValues(back)
	if err != nil {
		return "", err
	}
	set, err := ipc.GetSem(k, 0, ipc.Get{})
	if err != nil {
		return "", err
	}
	v, err := set.Values()
	if err != nil {
		return "", err
	}
	if len(v) != 2*half {
		return "", fmt.Errorf("%d semaphores, want %d", len(v), 2*half)
	}
	return formatValues(v[:half]), set.Do(context.Background(), addAll(add, 1)...)
}

func unlinkSem(place string) error {
	k, err := ipc.ParseKey(place)
	if err != nil {
		return err
	}
	set, err := ipc.GetSem(k, 0, ipc.Get{})
	if err != nil {
		return err
	}
	return set.Remove()
}

func formatValues(v []int) string {
	return strings.Trim(fmt.Sprint(v), "[]")
}

func parseValues(token string) ([]int, error) {
	var v []int
	for _, f := range strings.Fields(token) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 || n > 32767 {
			return nil, fmt.Errorf("a semaphore can't carry %q", f)
		}
		v = append(v, n)
	}
	if len(v) != half {
		return nil, fmt.Errorf("%d values, want %d", len(v), half)
	}
	return v, nil
}

// What goes out and what comes back are told apart by their types (msgop(2)).
const (
	typeOut  = 1
	typeBack = 2
)

type heldMsg struct {
	place, out string
	queue      ipc.Msg
}

func createMsg(place, out string) (held, error) {
	k, err := parseKey(place, out)
	if err != nil {
		return nil, err
	}
	q, err := ipc.GetMsg(k, create)
	if err != nil {
		return nil, err
	}
	return &heldMsg{place, out, q}, q.TrySend(ipc.Message{Type: typeOut, Data: []byte(out)})
}

func (h *heldMsg) where() string { return h.place }
func (h *heldMsg) close() error  { return nil }

func (h *heldMsg) check() (string, error) {
	back, err := receive(h.queue, typeBack)
	if errors.Is(err, unix.ENOMSG) {
		back, err = "", nil
	}
	if err != nil {
		return "", err
	}
	if _, err := receive(h.queue, typeOut); err != nil && !errors.Is(err, unix.ENOMSG) {
		return "", err
	}
	return back, h.queue.TrySend(ipc.Message{Type: typeOut, Data: []byte(h.out)})
}

func receive(q ipc.Msg, kind int64) (string, error) {
	m, err := q.TryReceive(kind, ipc.ReceiveOptions{Size: tokenLen})
	return string(m.Data), err
}

func lookMsg(place, back string) (string, error) {
	k, err := parseKey(place, back)
	if err != nil {
		return "", err
	}
	q, err := ipc.GetMsg(k, ipc.Get{})
	if err != nil {
		return "", err
	}
	out, err := receive(q, typeOut)
	if err != nil {
		return "", err
	}
	return out, q.TrySend(ipc.Message{Type: typeBack, Data: []byte(back)})
}

func unlinkMsg(place string) error {
	k, err := ipc.ParseKey(place)
	if err != nil {
		return err
	}
	q, err := ipc.GetMsg(k, ipc.Get{})
	if err != nil {
		return err
	}
	return q.Remove()
}
