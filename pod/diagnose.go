package pod

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// diagnose says why a container's program wasn't started, and what exit code
// that makes: 127 not found, 126 found and not executable, as shells count; 125
// where podlab failed before that. The child waits, so its root can be looked
// at: execve answers ENOENT for a missing program and for a missing interpreter
// alike.
func diagnose(err error, pid int, exec ns.Exec) (code int, why error) {
	var e *ns.StepError
	if !errors.As(err, &e) || e.Key != "exec" {
		return 125, err
	}
	root, openErr := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if openErr != nil {
		return codeOf(e.Err), err
	}
	defer unix.Close(root)
	for _, file := range exec.Candidates() {
		f, err := openIn(root, file)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return 126, fmt.Errorf("exec: %s: %w", file, err)
		}
		defer f.Close()
		return diagnoseFile(root, f, file, e.Err)
	}
	where := ""
	if !strings.Contains(exec.Path, "/") {
		where = " in PATH"
	}
	return 127, fmt.Errorf("exec: %s: not found%s", exec.Path, where)
}

func codeOf(errno error) int {
	if errors.Is(errno, unix.ENOENT) {
		return 127
	}
	return 126
}

// diagnoseFile is about a program that is there.
func diagnoseFile(root int, f *os.File, file string, errno error) (code int, why error) {
	fi, err := f.Stat()
	switch {
	case err != nil:
		return 126, fmt.Errorf("exec: %s: %w", file, err)
	case fi.IsDir():
		return 126, fmt.Errorf("exec: %s: is a directory", file)
	case !errors.Is(errno, unix.ENOENT) && fi.Mode()&0o111 == 0:
		return 126, &HintError{fmt.Errorf("exec: %s: not executable (mode %#o)", file, fi.Mode().Perm()), "chmod +x " + file}
	case !errors.Is(errno, unix.ENOENT):
		return 126, fmt.Errorf("exec: %s: %w", file, errno)
	}
	interp := interpreter(f)
	if interp == "" {
		return 127, fmt.Errorf("exec: %s: %w", file, errno)
	}
	if g, err := openIn(root, interp); err == nil {
		_ = g.Close() // it was only looked for
		return 127, fmt.Errorf("exec: %s: %w", file, errno)
	}
	return 127, fmt.Errorf("exec: %s: its interpreter %s: not found", file, interp)
}

// interpreter is the program that the kernel starts for f: the one after #!, or
// the dynamic linker of an ELF file.
func interpreter(f *os.File) string {
	head := make([]byte, 256)
	n, _ := f.ReadAt(head, 0) // a short file is an answer too
	if line, ok := bytes.CutPrefix(head[:n], []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		if words := strings.Fields(string(line)); len(words) > 0 {
			return words[0]
		}
		return ""
	}
	return elfInterpreter(f, head[:n])
}

// elfInterpreter is the text of the PT_INTERP program header, elf(5), of a
// 64-bit file. debug/elf would tell more, at a cost to every start of podlab.
func elfInterpreter(f *os.File, head []byte) string {
	if len(head) < 64 || string(head[:5]) != "\x7fELF\x02" {
		return ""
	}
	e := binary.LittleEndian
	at, size, count := e.Uint64(head[32:]), e.Uint16(head[54:]), e.Uint16(head[56:])
	for i := range uint64(count) {
		var ph [56]byte
		if _, err := f.ReadAt(ph[:], int64(at+i*uint64(size))); err != nil {
			return ""
		}
		offset, length := e.Uint64(ph[8:]), e.Uint64(ph[32:])
		if e.Uint32(ph[:]) == 3 && length < 4096 { // PT_INTERP
			b := make([]byte, length)
			if _, err := f.ReadAt(b, int64(offset)); err == nil {
				return string(bytes.TrimRight(b, "\x00"))
			}
		}
	}
	return ""
}

// openIn opens a regular file or directory as a process with that root would
// see it. O_NONBLOCK: it may be a FIFO that nobody writes to.
func openIn(root int, path string) (*os.File, error) {
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// pidOf is the process of a pidfd, as this PID namespace counts: proc(5),
// /proc/self/fdinfo. 0 if it is gone.
func pidOf(pidfd int) int {
	lines := bufio.NewScanner(strings.NewReader(readSmall("/proc/self/fdinfo/" + strconv.Itoa(pidfd))))
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "Pid:"); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(v)) // -1 and garbage alike: no pid
			return max(pid, 0)
		}
	}
	return 0
}
