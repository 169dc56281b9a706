package inventory

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/cgroup"
)

// cgroups finds the memory control groups by the inode numbers of their directories.
type cgroups struct {
	mount string
	paths map[uint64]string   // nil until one was looked for that none of the processes is in
	known map[uint64]string   // of those that processes of the pod are in
	users map[uint64][]string // whose processes are in them
}

// findCgroups looks up where the containers' processes are.
func findCgroups(procs map[int]*process) *cgroups {
	c := &cgroups{known: map[uint64]string{}, users: map[uint64][]string{}}
	host, err := cgroup.Detect()
	if err != nil {
		return c // then groups have numbers and no names
	}
	h, ok := host.Hierarchy("memory")
	if !ok || h.Mount == "" {
		return c
	}
	c.mount = h.Mount
	for _, p := range procs {
		if p.container == "" {
			continue
		}
		path, ok := memoryGroup(p.pid, h.Version)
		if !ok {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join(c.mount, path), &st) != nil {
			continue // out of sight
		}
		c.known[st.Ino] = path
		if !slices.Contains(c.users[st.Ino], p.container) {
			c.users[st.Ino] = append(c.users[st.Ino], p.container)
		}
	}
	for _, names := range c.users {
		slices.Sort(names)
	}
	return c
}

// memoryGroup is a process's group in the tree that memory is in: version 2 has one, with no names of controllers.
func memoryGroup(pid, version int) (string, bool) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", false // it has just ended
	}
	defer f.Close()
	all, err := cgroup.ParseSelf(f)
	if err != nil {
		return "", false
	}
	for _, m := range all {
		if version == 2 && m.ID == 0 || version == 1 && slices.Contains(m.Controllers, "memory") {
			return m.Path, true
		}
	}
	return "", false
}

// find is the path of a group, and which containers have processes in it.
func (c *cgroups) find(inode uint64) (path string, containers []string) {
	if inode == 0 || c.mount == "" {
		return "", nil
	}
	if path, ok := c.known[inode]; ok {
		return path, c.users[inode]
	}
	if c.paths == nil {
		c.paths = map[uint64]string{}
		_ = filepath.WalkDir(c.mount, func(path string, d fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err == nil && d.IsDir() && unix.Lstat(path, &st) == nil {
				c.paths[st.Ino] = "/" + strings.TrimPrefix(strings.TrimPrefix(path, c.mount), "/")
			}
			return nil // one that is gone, or not ours to read, hides no other
		})
	}
	return c.paths[inode], nil
}
