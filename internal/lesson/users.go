package lesson

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// User ids are looked for between those that useradd(8) hands out first and
// the ranges of /etc/subuid, which begin at 100000 (login.defs(5)); and below
// 65536, which is all that root of a container may have.
const (
	firstUser = 20000
	userPairs = 20000
)

// claimUsers finds two user ids that nobody is, and that no other lesson has at
// the same time: a lesson that fills a user's account would break another. The
// claim is the address of an abstract Unix socket, which one process at a time
// may have and which ends with it (unix(7)). The search begins at a number of
// this process's own, since a lesson before may have left something behind.
func claimUsers() (ids [2]int, claim io.Closer, err error) {
	taken, err := usersOfProcesses()
	if err != nil {
		return ids, nil, err
	}
	for n := range userPairs {
		a := firstUser + 2*((os.Getpid()+n)%userPairs)
		if taken[a] || taken[a+1] || hasName(a) || hasName(a+1) {
			continue
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("@podlab-lesson-users-%d", a), Net: "unix"})
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			continue
		case err != nil:
			return ids, nil, err
		}
		return [2]int{a, a + 1}, l, nil
	}
	return ids, nil, fmt.Errorf("no user id between %d and %d is free", firstUser, firstUser+2*userPairs-1)
}

// usersOfProcesses are the user ids that processes have.
func usersOfProcesses() (map[int]bool, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, d := range dirs {
		if fi, err := os.Stat(d); err == nil { // or it has ended
			taken[int(fi.Sys().(*syscall.Stat_t).Uid)] = true
		}
	}
	return taken, nil
}

func hasName(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}
