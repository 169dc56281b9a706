package pod

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// Host is what Plan needs to know of the machine. It is data, so that a plan
// for another machine can be made, and tested, on this one.
type Host struct {
	UID, GID       int
	Groups         bool              // the caller has supplementary groups
	Node           string            // its host name
	SubUID, SubGID []ns.IDRange      // ids that this user may map, if newuidmap and newgidmap are there
	Exe            string            // the file that podlab runs from
	Links          map[string]string // how / leads into /usr: "bin" to "usr/bin"; "" for a real directory
	Etc            []string          // files and directories of /etc that the toolbox root takes from here
	Users          map[int]string    // names of the users that the pod's containers run as
	Resolv, Hosts  string            // /etc/resolv.conf and /etc/hosts
	Mqueue         bool              // /dev/mqueue is there
	LastCap        int               // the highest capability this kernel knows
	Paths          map[string]string // what lies at each hostPath: a spec.HostPathType, or "" for nothing
}

// toolboxEtc is what programs of /usr need of /etc and is no secret: the cache
// of the dynamic linker, certificates, alternatives, names of ports, time zone.
var toolboxEtc = [...]string{"ld.so.cache", "alternatives", "ssl/certs", "ca-certificates", "services", "protocols", "localtime", "magic", "terminfo"}

// rootDirs are the directories of / that may lead into /usr.
var rootDirs = [...]string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// Probe looks at the machine with the eyes of one pod. It is quick, and leaves
// nothing; what the kernel can do at all is ns.Probe's to find out.
func Probe(p *spec.Pod) (Host, error) {
	h := Host{UID: os.Geteuid(), GID: os.Getegid(), Links: map[string]string{}, Users: map[int]string{}, Paths: map[string]string{}}
	groups, err := os.Getgroups()
	h.Groups = err == nil && len(groups) > 0 && (len(groups) > 1 || groups[0] != h.GID)
	if h.Exe, err = os.Executable(); err != nil {
		return h, err
	}
	if h.Node, err = os.Hostname(); err != nil {
		return h, err
	}
	for _, d := range rootDirs {
		switch target, err := os.Readlink("/" + d); {
		case err == nil:
			h.Links[d] = target
		case exists("/" + d):
			h.Links[d] = ""
		}
	}
	for _, f := range toolboxEtc {
		if exists("/etc/" + f) {
			h.Etc = append(h.Etc, f)
		}
	}
	h.Mqueue = exists("/dev/mqueue/.")
	if h.Resolv, err = readIfThere("/etc/resolv.conf"); err != nil {
		return h, err
	}
	if h.Hosts, err = readIfThere("/etc/hosts"); err != nil {
		return h, err
	}
	h.LastCap = 40 // CAP_CHECKPOINT_RESTORE, since Linux 5.9
	if n, err := strconv.Atoi(strings.TrimSpace(readSmall("/proc/sys/kernel/cap_last_cap"))); err == nil {
		h.LastCap = n
	}
	for _, v := range p.Spec.Volumes {
		if v.HostPath != nil {
			h.Paths[v.HostPath.Path] = pathType(v.HostPath.Path)
			h.Paths[filepath.Dir(v.HostPath.Path)] = pathType(filepath.Dir(v.HostPath.Path))
			for i := range p.Spec.Containers {
				for _, m := range p.Spec.Containers[i].VolumeMounts {
					if sub := filepath.Join(v.HostPath.Path, m.SubPath); m.Name == v.Name && m.SubPath != "" {
						h.Paths[sub] = pathType(sub)
					}
				}
			}
		}
	}
	h.userNames(p)
	if h.UID != 0 {
		h.subIDs()
	}
	return h, nil
}

// subIDs finds out which ids an ordinary user may map. Without the helpers, or
// without a range, it is his own only, and that is no error.
func (h *Host) subIDs() {
	for _, helper := range []string{"newuidmap", "newgidmap"} {
		if _, err := ns.IDHelper(helper); err != nil {
			return
		}
	}
	if uids, gids, err := ns.SubIDs(ns.UserName(h.UID), h.UID); err == nil && len(uids) > 0 && len(gids) > 0 {
		h.SubUID, h.SubGID = uids, gids
	}
}

// userNames looks up the names of the ids that containers run as, so that
// programs that ask who they are get an answer.
func (h *Host) userNames(p *spec.Pod) {
	want := map[int]bool{}
	for i := range p.Spec.Containers {
		want[userOf(p, &p.Spec.Containers[i]).UID] = true
	}
	delete(want, 0)
	if len(want) == 0 {
		return
	}
	lines := bufio.NewScanner(bytes.NewReader([]byte(readSmall("/etc/passwd"))))
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		if len(f) < 4 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && want[uid] && h.Users[uid] == "" {
			h.Users[uid] = f[0]
		}
	}
}

// pathType says what lies at path, in the words of hostPath's type.
func pathType(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return ""
	}
	switch mode := fi.Mode(); {
	case mode.IsDir():
		return string(spec.HostPathDirectory)
	case mode.IsRegular():
		return string(spec.HostPathFile)
	case mode&os.ModeSocket != 0:
		return string(spec.HostPathSocket)
	case mode&os.ModeCharDevice != 0:
		return string(spec.HostPathCharDev)
	case mode&os.ModeDevice != 0:
		return string(spec.HostPathBlockDev)
	}
	return "other"
}

func exists(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil
}

// readSmall is a file of the machine, or "" if it can't be read; at most 1 MiB.
func readSmall(path string) string {
	s, _ := readIfThere(path) // the caller has a use for nothing
	return s
}

// readIfThere is a file of the machine, or "" if there is none; at most 1 MiB.
func readIfThere(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 4<<10)
	n := 0
	for n < 1<<20 {
		m, err := f.Read(b[n:])
		n += m
		if err != nil || m == 0 {
			break
		}
		if n == len(b) {
			b = append(b, make([]byte, n)...)
		}
	}
	return string(b[:n]), nil
}

// checkHostPath is the rule of hostPath's type: what must be there.
func checkHostPath(h Host, v *spec.Volume) error {
	want := spec.HostPathUnset
	if v.HostPath.Type != nil {
		want = *v.HostPath.Type
	}
	have := h.Paths[v.HostPath.Path]
	switch {
	case have == "" && (want == spec.HostPathDirectoryOrCreate || want == spec.HostPathFileOrCreate):
		if want == spec.HostPathFileOrCreate && h.Paths[filepath.Dir(v.HostPath.Path)] != string(spec.HostPathDirectory) {
			return fmt.Errorf("volume %s: hostPath %s: its directory doesn't exist, and FileOrCreate makes only the file", v.Name, v.HostPath.Path)
		}
		return nil
	case have == "" && want == spec.HostPathUnset:
		return nil // the kubelet checks nothing, and container runtimes make a directory
	case have == "":
		return fmt.Errorf("volume %s: hostPath %s: want a %s, have nothing there", v.Name, v.HostPath.Path, want)
	case want == spec.HostPathUnset,
		want == spec.HostPathDirectoryOrCreate && have == string(spec.HostPathDirectory),
		want == spec.HostPathFileOrCreate && have == string(spec.HostPathFile),
		have == string(want):
		return nil
	}
	return fmt.Errorf("volume %s: hostPath %s: want a %s, have a %s", v.Name, v.HostPath.Path, want, have)
}
