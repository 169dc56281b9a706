package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// A semaphore guards a segment. Whoever dies while they hold it gives it back.
func Example() {
	seg, err := ipc.GetShm(ipc.Private, 4096, ipc.Get{Perm: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer seg.Remove()
	sem, err := ipc.GetSem(ipc.Private, 1, ipc.Get{Perm: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sem.Remove()
	memory, err := seg.Attach(false)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer memory.Detach()

	ctx := context.Background()
	post, wait := ipc.SemOp{Delta: 1, Undo: true}, ipc.SemOp{Delta: -1, Undo: true}
	fmt.Println(sem.SetValue(0, 1))
	fmt.Println(sem.Do(ctx, wait))
	copy(memory.Data, "hello")
	fmt.Println(sem.Do(ctx, post))
	fmt.Printf("%s\n", memory.Data[:5])
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// hello
}

func ExampleMsg_Receive() {
	q, err := ipc.GetMsg(ipc.Private, ipc.Get{Perm: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Remove()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	for _, m := range []ipc.Message{{Type: 2, Data: []byte("later")}, {Type: 1, Data: []byte("first")}} {
		if err := q.TrySend(m); err != nil {
			fmt.Println(err)
		}
	}
	for {
		// The lowest type of 1 and 2.
		m, err := q.Receive(ctx, -2, ipc.ReceiveOptions{})
		if errors.Is(err, context.DeadlineExceeded) {
			fmt.Println("nothing more")
			return
		}
		fmt.Printf("%d %s %v\n", m.Type, m.Data, err)
	}
	// Output:
	// 1 first <nil>
	// 2 later <nil>
	// nothing more
}

func ExampleErrnoName() {
	key, err := ipc.ParseKey("podlab: nobody has this")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = ipc.GetSem(key, 1, ipc.Get{})
	fmt.Println(err)
	fmt.Println(ipc.ErrnoName(err), errors.Is(err, unix.ENOENT))
	// Output:
	// semget key 0x9a9d590a: no such file or directory
	// ENOENT true
}
