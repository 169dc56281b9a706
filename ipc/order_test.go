package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who is woken, as the package's documentation says.

type woken struct {
	who int
	err error
}

// Of those who can go on, the one that has waited longest.
func TestOrderSem(t *testing.T) {
	const n = 4
	s := newSem(t, 0)
	done := make(chan woken, n)
	for who := range n {
		go func() {
			delta := int16(-1)
			if who == 0 {
				delta = -n // first, and can't go on for long
			}
			done <- woken{who, s.Do(context.Background(), SemOp{Delta: delta})}
		}()
		until(t, "one more waits", func() bool { up, _, err := s.Waiting(0); return err != nil || up == who+1 })
	}
	for who := 1; who < n; who++ {
		if err := s.Do(t.Context(), SemOp{Delta: 1}); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got != (woken{who, nil}) {
			t.Errorf("got %+v, want %d", got, who)
		}
	}
	if err := s.Do(t.Context(), SemOp{Delta: n}); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != (woken{0, nil}) {
		t.Errorf("got %+v, want the first, at last", got)
	}
}

// The first receiver that a message suits, and one that it is too long for is told so and gets nothing.
func TestOrderMsg(t *testing.T) {
	q := newMsg(t)
	done := make(chan woken, 4)
	for who, typ := range []int64{2, 0, -3, 0} {
		go func() {
			o := ReceiveOptions{}
			if who == 1 {
				o.Size = 1
			}
			_, err := q.Receive(context.Background(), typ, o)
			done <- woken{who, err}
		}()
		untilBlocked(t, who+1, unix.SYS_MSGRCV, int(q))
	}
	send := func(typ int64, want ...int) {
		t.Helper()
		if err := q.TrySend(text(typ, "long")); err != nil {
			t.Fatal(err)
		}
		left := map[int]bool{}
		for _, who := range want {
			left[who] = true
		}
		for range want {
			got := <-done
			if !left[got.who] || errors.Is(got.err, unix.E2BIG) != (got.who == 1) {
				t.Errorf("type %d: got %+v, want one of %v", typ, got, want)
			}
			delete(left, got.who)
		}
	}
	send(9, 1, 3) // too long for 1, of no type that 0 and 2 take
	send(2, 0)
	send(3, 2)
}

// roleDeaf waits with SIGURG ignored, and says when its time is over.
func roleDeaf(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	signal.Ignore(unix.SIGURG)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	context.AfterFunc(ctx, func() { fmt.Println("over") })
	fmt.Println("got", Sem(id).Do(ctx, SemOp{Delta: -1}))
	return nil
}

// A program that ignores SIGURG has waits that don't end with their context.
func TestDeaf(t *testing.T) {
	s := newSem(t, 0)
	p := start(t, -1, "deaf", fmt.Sprint(int(s)))
	p.says("over")
	if up, _, err := s.Waiting(0); up != 1 || err != nil {
		t.Errorf("got %d waiting and %v, want it to wait on", up, err)
	}
	if err := s.SetValue(0, 1); err != nil {
		t.Fatal(err)
	}
	p.says("got <nil>")
}

// Every sysctl that the package's documentation names is one of Limits, and the other way round.
func TestDocLimits(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, l := range limits {
		want[l.Sysctl] = true
		if l.Field != "" && !bytes.Contains(doc, []byte(l.Field)) {
			t.Errorf("doc.go doesn't name %s", l.Field)
		}
	}
	got := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(kernel|fs\.mqueue)\.[a-z_]+`).FindAllString(string(doc), -1) {
		got[name] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("doc.go names %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
