package lesson

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	ownerFile = "owner"      // locked by the player of a place, as long as that lives
	afterFile = "afterwards" // what is to be run if it has died
)

// lock makes the place this process's own. The file gets its name when it is
// locked, so that nobody finds it without the lock. The lock is that of the
// open file (flock(2)), which ends with the process: commands don't inherit it.
func (p *Place) lock() error {
	path := filepath.Join(p.dir, ownerFile)
	f, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	p.owner = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return os.Rename(path+".new", path)
}

// Remember notes what removes what a lesson makes outside of its pods, for the
// case that its player is killed.
func (p *Place) Remember(l *Lesson) error {
	var all []string
	for _, c := range l.Afterwards() {
		all = append(all, c.Command)
	}
	return os.WriteFile(filepath.Join(p.dir, afterFile), []byte(strings.Join(all, "\x00")), 0o600)
}

// Cleared is a place that Sweep has cleared.
type Cleared struct {
	Dir  string
	Pods []string // "default_pair": those that were there
}

// Sweep closes the places of the caller whose player was killed, with the given
// program as podlab.
func Sweep(podlab string) (all []Cleared, err error) {
	dirs, err := filepath.Glob(filepath.Join(tempDir(), placePrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		owner := orphan(dir)
		if owner == nil {
			continue
		}
		p, e := placeAt(dir, podlab)
		if e != nil {
			_ = owner.Close() // as it was
			return all, e
		}
		p.owner = owner
		c := Cleared{dir, p.pods()}
		if e := p.bury(podlab); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", dir, e))
			continue
		}
		all = append(all, c)
	}
	return all, err
}

// orphan returns the locked owner file of a place that is the caller's own and
// nobody plays in, or nil. No link is followed: in /tmp anybody may make one.
func orphan(dir string) *os.File {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	// 0700, as MkdirTemp makes it: nobody else can have put anything into it.
	if unix.Fstat(fd, &st) != nil || int(st.Uid) != os.Geteuid() || st.Mode&0o777 != 0o700 {
		return nil
	}
	lock, err := unix.Openat(fd, ownerFile, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // not yet a place, or no more
	}
	f := os.NewFile(uintptr(lock), filepath.Join(dir, ownerFile))
	// Who clears it at the same moment has removed the file by the time it lets go of the lock.
	if unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB) != nil || unix.Fstat(lock, &st) != nil || st.Nlink == 0 {
		_ = f.Close() // only asked
		return nil
	}
	return f
}

// bury clears the place of a player that has died.
func (p *Place) bury(podlab string) error {
	// The podlab that played may be gone, or another by now.
	link := filepath.Join(p.dir, "bin", "podlab")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(podlab, link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var after []string
	if text, err := os.ReadFile(filepath.Join(p.dir, afterFile)); err == nil && len(text) > 0 {
		after = strings.Split(string(text), "\x00")
	}
	return p.close(after)
}

// try runs a command whose outcome doesn't matter; one that doesn't end may not
// keep the rest from being done.
func (p *Place) try(command string) {
	ctx, cancel := context.WithTimeout(context.Background(), closing/3)
	defer cancel()
	_ = p.command(ctx, command).Run() // as said
}
