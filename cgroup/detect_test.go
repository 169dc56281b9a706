package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What Detect says of this machine is held against the kernel: the file
// system's magic number, the group's own list of processes, and mkdir(2).
func TestDetect(t *testing.T) {
	h, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mode %s", h.Mode)
	for _, x := range h.Hierarchies {
		t.Logf("v%d %s%s enabled %v offered %v: %s at %s, dir %q, top %q, create %v: %s; %s",
			x.Version, strings.Join(x.Controllers, ","), x.Name, x.Enabled, x.Offered, x.Path, x.Mount, x.Dir, x.Top, x.Create, x.Why, x.Do)
		if x.Create == (x.Why != "") {
			t.Errorf("%s: create %v with reason %q", x.Path, x.Create, x.Why)
		}
		if x.Dir == "" {
			continue
		}
		var st unix.Statfs_t
		if err := unix.Statfs(x.Dir, &st); err != nil {
			t.Errorf("statfs %s: %v", x.Dir, err)
			continue
		}
		if want := map[int]int64{1: unix.CGROUP_SUPER_MAGIC, 2: unix.CGROUP2_SUPER_MAGIC}[x.Version]; int64(st.Type) != want {
			t.Errorf("%s: file system %#x, want %#x", x.Dir, st.Type, want)
		}
		procs, err := os.ReadFile(filepath.Join(x.Dir, "cgroup.procs"))
		if err != nil {
			t.Error(err)
		}
		if !slices.Contains(strings.Fields(string(procs)), strconv.Itoa(os.Getpid())) {
			t.Errorf("%s: we aren't in its cgroup.procs", x.Dir)
		}
		tryCreate(t, x)
	}
	for _, s := range h.Subsystems {
		if tree, ok := h.Hierarchy(s.Name); ok && s.Hierarchy != 0 && tree.Version != 1 {
			t.Errorf("%s: got version %d, but hierarchy %d has it", s.Name, tree.Version, s.Hierarchy)
		}
	}
}

// tryCreate does what Create is about: makes a group, empty, and removes it.
func tryCreate(t *testing.T, x Hierarchy) {
	t.Helper()
	dir := filepath.Join(x.Dir, "podlab-test-"+strconv.Itoa(os.Getpid()))
	err := unix.Mkdir(dir, 0o755)
	if err == nil {
		if err := unix.Rmdir(dir); err != nil {
			t.Errorf("rmdir %s: %v", dir, err)
		}
	}
	if (err == nil) != x.Create && !errors.Is(err, unix.EAGAIN) { // EAGAIN: cgroup.max.descendants
		t.Errorf("mkdir %s: %v, but create is %v", dir, err, x.Create)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range layouts {
		f.Add(tt.self, tt.mounts)
	}
	f.Fuzz(func(t *testing.T, self, mounts string) {
		members, err := ParseSelf(strings.NewReader(self))
		if err != nil {
			return
		}
		infos, err := parseMounts(strings.NewReader(mounts))
		if err != nil {
			return
		}
		for _, x := range layout(members, infos).Hierarchies {
			// Our directory may never lie outside of the mount it is in.
			if _, ok := below(x.Dir, filepath.Clean(x.Mount)); x.Dir != "" && !ok && x.Mount != "" {
				t.Errorf("dir %q is outside of %q", x.Dir, x.Mount)
			}
		}
	})
}

func BenchmarkDetect(b *testing.B) {
	for b.Loop() {
		if _, err := Detect(); err != nil {
			b.Fatal(err)
		}
	}
}
