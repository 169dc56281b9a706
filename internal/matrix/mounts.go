package matrix

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)): which part of which file system is where. Device
// and Root are the kernel's, so that two mount namespaces can be compared; Point is the namespace's own.
type Mount struct {
	Device   string `json:"device"` // "0:57"
	Root     string `json:"root"`   // the directory of that file system that is mounted
	Point    string `json:"point"`
	Writable bool   `json:"writable"` // by the probe
}

// readMounts reads the mounts of the calling process.
func readMounts() ([]Mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(data)), nil
}

// parseMounts takes the fields that are wanted: 36 35 98:0 /root /point options…
func parseMounts(table string) []Mount {
	var all []Mount
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		all = append(all, Mount{Device: f[2], Root: unescape(f[3]), Point: unescape(f[4]), Writable: slices.Contains(strings.Split(f[5], ","), "rw")})
	}
	return all
}

// unescape undoes what the kernel does to space, tab, newline and backslash in that table: three octal digits.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// system are the places that hold no volume of a pod's: what is shared there has a row of its own, or is the machine's.
var system = []string{"/dev", "/proc", "/sys", "/etc", "/usr", "/opt/podlab"}

// isVolume tells whether a mount of a container may be a volume that a socket can be put into.
func isVolume(m Mount) bool {
	return m.Point != "/" && !strings.HasSuffix(m.Root, "//deleted") && !slices.ContainsFunc(system, func(s string) bool { return within(m.Point, s) })
}

// within tells whether path is dir or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// writableVolumes are the mounts that may be volumes, and that the calling process can make a socket in. Only they are
// touched: a look at any mount may wait for a server that is gone.
func writableVolumes(all []Mount) []Mount {
	var volumes []Mount
	for _, m := range all {
		var st unix.Stat_t
		if m.Writable && isVolume(m) && unix.Stat(m.Point, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && unix.Access(m.Point, unix.W_OK|unix.X_OK) == nil {
			volumes = append(volumes, m)
		}
	}
	return volumes
}

// sharedVolume is the first of the owner's volumes that the sibling container has too, if there is one. Without it, why
// says so. What the host has at the same place is a directory of the host's and no volume.
func sharedVolume(owner, ownMounts, sibling, host []Mount) (volume Mount, why string) {
	same := func(a Mount) func(Mount) bool {
		return func(b Mount) bool { return a.Device == b.Device && a.Root == b.Root }
	}
	own, ok := rootOf(ownMounts)
	if hosts, ok2 := rootOf(host); ok && ok2 && same(own)(hosts) {
		return Mount{}, "no volume: the container has this machine's files"
	}
	for _, m := range owner {
		if sibling != nil && !slices.ContainsFunc(sibling, same(m)) {
			continue
		}
		if slices.ContainsFunc(host, func(h Mount) bool { return h.Point == m.Point && same(m)(h) }) {
			continue
		}
		return m, ""
	}
	if sibling == nil {
		return Mount{}, "no volume"
	}
	return Mount{}, "no volume shared"
}

// rootOf is the mount that a table's paths begin with: the latest of those on /.
func rootOf(table []Mount) (Mount, bool) {
	for _, m := range slices.Backward(table) {
		if m.Point == "/" {
			return m, true
		}
	}
	return Mount{}, false
}

// ways are the paths by which a mount table leads to a mounted directory: a mount of it, or of a directory above it.
func ways(table []Mount, to Mount) []string {
	var paths []string
	for _, m := range slices.Backward(table) { // the latest lies on top
		if m.Device == to.Device && within(to.Root, m.Root) {
			paths = append(paths, path.Join(m.Point, strings.TrimPrefix(to.Root, m.Root)))
		}
	}
	return paths
}

// locate finds want in the calling process's mounts, under whatever path; without success, it is what the owner's own
// path leads to here.
func locate(to Mount, want File) Located {
	table, _ := readMounts() // unread, only the owner's path is tried
	for _, p := range ways(table, to) {
		if f, err := identify(p); err == nil && f == want {
			return Located{Path: p, File: f}
		}
	}
	f, err := identify(to.Point)
	return Located{Path: to.Point, File: f, Errno: errnoName(err)}
}
