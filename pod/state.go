package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a running pod tells those who only look: state.json in its directory. It is a cache, never the truth: alive is who holds the
// lock, and a pid counts only together with the start time of its process.
type State struct {
	Version    int                       `json:"version"`
	Namespace  string                    `json:"namespace"`
	Name       string                    `json:"name"`
	UID        string                    `json:"uid"`
	Started    time.Time                 `json:"started"`
	Supervisor int                       `json:"supervisor"`       // pid
	Stage      Process                   `json:"stage"`            // the pod stage, which holds the pod's namespaces
	IDBase     uint32                    `json:"idBase,omitempty"` // first host id of the pod's user namespace, where podlab chose one
	Phase      Phase                     `json:"phase"`
	Status     string                    `json:"status"`             // Policy.Column when it was written
	Unlogged   string                    `json:"unlogged,omitempty"` // why some of what it wrote is in no log
	Containers map[string]ContainerState `json:"containers"`
}

// Process is a pid, and field 22 of /proc/PID/stat, which tells the process from a later one with the same pid.
type Process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start,omitempty"`
}

// ContainerState is a container in State.
type ContainerState struct {
	Process  `json:"process"` // Pid 0: there is none now
	Mount    uint64           `json:"mountNamespace,omitempty"` // where its processes are, if it has no PID namespace of its own
	State    string           `json:"state"`                    // Waiting, Running, Terminated
	Reason   string           `json:"reason,omitempty"`
	ExitCode int              `json:"exitCode"` // of the latest end
	Restarts int              `json:"restarts"`
	Started  time.Time        `json:"started,omitzero"`
	Finished time.Time        `json:"finished,omitzero"`
}

const (
	stateFile    = "state.json"
	stateVersion = 1
	maxState     = 1 << 20 // bytes; a state of a pod with 100 containers has 20 KiB
)

// WriteState replaces state.json.
func (d *Dir) WriteState(s State) error {
	s.Version = stateVersion
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("%s: %w", stateFile, err)
	}
	return d.WriteFile(stateFile, data)
}

// ReadState reads back what WriteState wrote.
func (d *Dir) ReadState() (State, error) { return readState(d.fd) }

// WriteFile replaces a file of the directory, 0600: readers see the old content or the new, and so does who comes after a crash of podlab.
// There is no fsync, for after a crash of the machine there is no pod.
func (d *Dir) WriteFile(name string, data []byte) error {
	path := filepath.Join(d.Path, name)
	if name == "" || name == lockFile || name[0] == '.' || strings.Contains(name, "/") {
		return fmt.Errorf("%s: no name for a file of a pod", path)
	}
	temp := name + ".new"
	fd, err := unix.Openat(d.fd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	for n := 0; len(data) > 0 && (err == nil || err == unix.EINTR); data = data[max(n, 0):] {
		n, err = unix.Write(fd, data)
	}
	if err2 := unix.Close(fd); err == nil {
		err = err2 // some file systems say only now that they are full
	}
	if err != nil {
		_ = unix.Unlinkat(d.fd, temp, 0) // err is what counts
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	if err := unix.Renameat(d.fd, temp, d.fd, name); err != nil {
		return &os.PathError{Op: "rename", Path: path, Err: err}
	}
	return nil
}

// readState reads the state of a directory that nobody vouches for: state.json may be anything, and of any size.
func readState(dir int) (State, error) {
	var s State
	fd, err := openBeneath(dir, stateFile, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY) // a FIFO would wait for a writer
	if err != nil {
		return s, &os.PathError{Op: "open", Path: stateFile, Err: err}
	}
	f := os.NewFile(uintptr(fd), stateFile)
	defer f.Close()
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return s, &os.PathError{Op: "fstat", Path: stateFile, Err: err}
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return s, fmt.Errorf("%s: not a regular file", stateFile)
	case st.Size > maxState:
		return s, fmt.Errorf("%s: %d bytes, want at most %d", stateFile, st.Size, maxState)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("%s: %w", stateFile, err)
	}
	if s.Version != stateVersion {
		return State{}, fmt.Errorf("%s: version %d, want %d: written by another podlab", stateFile, s.Version, stateVersion)
	}
	return s, nil
}

// Entry is a pod as List finds it.
type Entry struct {
	Namespace, Name string
	Path            string
	Alive           bool  // somebody holds its lock; else it is a lost pod
	State           State // zero if Err
	Err             error // why there is no state: a pod that is just being born has none yet
}

// List finds all pods, sorted. A pod whose directory can't be read is listed with Err; it hides no other.
func (r *Root) List() ([]Entry, error) {
	names, err := r.names()
	if err != nil {
		return nil, &os.PathError{Op: "getdents", Path: r.Path, Err: err}
	}
	var entries []Entry
	for _, n := range names {
		namespace, name, ok := splitEntry(n)
		if !ok {
			continue // no pod's: none of our business
		}
		e := Entry{Namespace: namespace, Name: name, Path: filepath.Join(r.Path, n)}
		err := r.look(&e, n)
		if errors.Is(err, unix.ENOENT) {
			continue // removed since
		}
		if err != nil {
			e.Err = err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (r *Root) names() ([]string, error) {
	fd, err := unix.Openat(r.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // with an offset of its own
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), r.Path)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// look fills in an entry.
func (r *Root) look(e *Entry, entry string) error {
	dir, err := openBeneath(r.fd, entry, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return openError(e.Path, err)
	}
	defer unix.Close(dir)
	e.State, e.Err = readState(dir)
	// Asking takes the lock for a moment; inside serial, no starter can take that for a living pod.
	return r.serial(unix.LOCK_SH, func() (err error) {
		var st unix.Stat_t
		if err := unix.Fstat(dir, &st); err != nil || st.Nlink == 0 {
			return unix.ENOENT
		}
		e.Alive, err = locked(dir)
		if err != nil {
			return &os.PathError{Op: "open", Path: filepath.Join(e.Path, lockFile), Err: err}
		}
		return nil
	})
}

// locked tells whether somebody holds a pod's lock. It runs inside serial.
func locked(dir int) (bool, error) {
	fd, err := openBeneath(dir, lockFile, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err == unix.ENOENT {
		return false, nil // a starter was killed between mkdir and flock
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd) // and with it, the lock
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, errors.New("not a regular file")
	}
	if err = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		return true, nil
	}
	return false, err
}
