package cgroup

import (
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	session := Hierarchy{Version: 2, Controllers: []string{"pids"}, Mount: "/sys/fs/cgroup", Dir: "/sys/fs/cgroup/user.slice/x"}
	root := Hierarchy{Version: 2, Controllers: []string{"hugetlb"}, Mount: "/sys/fs/cgroup/unified", Dir: "/sys/fs/cgroup/unified"}
	kernel := []Subsystem{{"cpu", 0, 1, true}, {"blkio", 0, 1, true}, {"memory", 0, 1, false}, {"pids", 4, 1, true}}
	tests := []struct {
		name       string
		h          Host
		controller string
		why, do    string
	}{
		{"nothing mounted", Host{}, "cpu", "no cgroup file system", "mount -t cgroup2"},
		{"switched off", Host{Unified, []Hierarchy{session}, kernel}, "memory", "switched off", "cgroup_enable=memory"},
		{"not mounted", Host{Hybrid, []Hierarchy{root}, kernel}, "pids", "isn't mounted", "mount -t cgroup -o pids"},
		{"not passed down", Host{Unified, []Hierarchy{session}, kernel}, "io", "above /sys/fs/cgroup/user.slice/x", ""},
		{"not built", Host{Unified, []Hierarchy{session}, kernel}, "rdma", "built without", ""},
		{"at the root, not there", Host{Hybrid, []Hierarchy{root}, kernel}, "cpu", "no tree", ""},
	}
	for _, tt := range tests {
		if _, ok := tt.h.Hierarchy(tt.controller); ok {
			t.Errorf("%s: %s isn't missing", tt.name, tt.controller)
		}
		why, do := tt.h.Missing(tt.controller)
		if !strings.Contains(why, tt.why) || !strings.Contains(do, tt.do) {
			t.Errorf("%s: got %q, %q, want …%q…, …%q…", tt.name, why, do, tt.why, tt.do)
		}
	}
}
