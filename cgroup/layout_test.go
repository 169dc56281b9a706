package cgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// layouts are /proc/self/cgroup and the lines of /proc/self/mountinfo that
// matter, as such machines show them. want has a line per tree: version,
// controllers or name, our directory ("-" out of sight), where it is mounted.
var layouts = []struct {
	name, self, mounts string
	mode               Mode
	want               string
}{
	{
		name: "systemd desktop, version 2",
		self: "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope\n",
		mounts: `24 30 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
25 30 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:2 - sysfs sysfs rw
30 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
35 25 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`,
		mode: Unified,
		want: "2 - /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope /sys/fs/cgroup\n",
	},
	{
		name: "systemd hybrid",
		self: `12:pids:/user.slice/user-1000.slice/session-3.scope
11:memory:/user.slice/user-1000.slice/session-3.scope
4:cpu,cpuacct:/user.slice
3:net_cls,net_prio:/
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
`,
		mounts: `25 30 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
31 25 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:28 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
37 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,cpu,cpuacct
38 31 0:33 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,pids
39 31 0:34 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,memory
40 31 0:35 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:19 - cgroup cgroup rw,net_cls,net_prio
`,
		mode: Hybrid,
		want: `1 pids /sys/fs/cgroup/pids/user.slice/user-1000.slice/session-3.scope /sys/fs/cgroup/pids
1 memory /sys/fs/cgroup/memory/user.slice/user-1000.slice/session-3.scope /sys/fs/cgroup/memory
1 cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/user.slice /sys/fs/cgroup/cpu,cpuacct
1 net_cls,net_prio /sys/fs/cgroup/net_cls,net_prio /sys/fs/cgroup/net_cls,net_prio
1 name=systemd /sys/fs/cgroup/systemd/user.slice/user-1000.slice/session-3.scope /sys/fs/cgroup/systemd
2 - /sys/fs/cgroup/unified/user.slice/user-1000.slice/session-3.scope /sys/fs/cgroup/unified
`,
	},
	{
		name: "legacy, before version 2",
		self: "5:cpuacct,cpu:/system.slice/sshd.service\n2:memory:/\n1:name=systemd:/system.slice/sshd.service\n",
		mounts: `20 25 0:19 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755
21 20 0:20 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:9 - cgroup cgroup rw,xattr,release_agent=/usr/lib/systemd/systemd-cgroups-agent,name=systemd
26 20 0:22 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,cpuacct,cpu
`,
		mode: Legacy,
		want: `1 cpuacct,cpu /sys/fs/cgroup/cpu,cpuacct/system.slice/sshd.service /sys/fs/cgroup/cpu,cpuacct
1 memory - -
1 name=systemd /sys/fs/cgroup/systemd/system.slice/sshd.service /sys/fs/cgroup/systemd
`,
	},
	{
		name: "Docker, version 1: mounts begin at the container's group",
		self: "4:memory:/docker/0cb5\n3:pids:/docker/0cb5/inner\n1:cpuset:/other\n0::/system.slice/containerd.service\n",
		mounts: `700 600 0:90 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
701 700 0:28 /docker/0cb5 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory
702 700 0:29 /docker/0cb5 /sys/fs/cgroup/pids ro,nosuid,nodev,noexec,relatime master:19 - cgroup cgroup rw,pids
703 700 0:30 /docker/0cb5 /sys/fs/cgroup/cpuset ro,nosuid,nodev,noexec,relatime master:20 - cgroup cgroup rw,cpuset
`,
		mode: Legacy,
		want: `1 memory /sys/fs/cgroup/memory /sys/fs/cgroup/memory
1 pids /sys/fs/cgroup/pids/inner /sys/fs/cgroup/pids
1 cpuset - /sys/fs/cgroup/cpuset
2 - - -
`,
	},
	{
		name: "Docker in Docker, version 2: own cgroup namespace, a tree mounted over another",
		self: "0::/init\n",
		mounts: `600 500 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/l
610 600 0:81 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
611 610 0:30 /../../.. /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup ro
612 611 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
`,
		mode: Unified,
		want: "2 - /sys/fs/cgroup/init /sys/fs/cgroup\n",
	},
	{
		name: "entered by nsenter: our group is outside the cgroup namespace",
		self: "0::/../../user.slice\n",
		mounts: `611 610 0:30 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw
`,
		mode: Unified,
		want: "2 - - /sys/fs/cgroup\n",
	},
	{
		name: "outside, through a mount from outside",
		self: "0::/../box\n",
		mounts: `611 610 0:30 /.. /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw
`,
		mode: Unified,
		want: "2 - /sys/fs/cgroup/box /sys/fs/cgroup\n",
	},
	{
		name: "a second mount shows what the first doesn't, with blanks in its name",
		self: "2:memory:/kube pods/a:b\n",
		mounts: `50 40 0:28 /docker/0cb5 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
60 40 0:28 /kube\040pods /mnt/the\040tree rw,relatime - cgroup cgroup rw,memory
`,
		mode: Legacy,
		want: "1 memory /mnt/the tree/a:b /mnt/the tree\n",
	},
	{
		name: "covered by a tmpfs",
		self: "0::/\n",
		mounts: `40 30 0:30 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw
41 40 0:44 / /sys/fs rw,relatime - tmpfs tmpfs rw
`,
		mode: None,
		want: "2 - - -\n",
	},
	{
		name:   "WSL 2: every controller in a tree of its own, no named one",
		self:   "13:rdma:/\n2:cpu:/\n1:cpuset:/\n0::/\n",
		mounts: "70 60 0:50 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n71 60 0:51 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n72 60 0:52 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n",
		mode:   Hybrid,
		want: `1 rdma - -
1 cpu /sys/fs/cgroup/cpu /sys/fs/cgroup/cpu
1 cpuset /sys/fs/cgroup/cpuset /sys/fs/cgroup/cpuset
2 - /sys/fs/cgroup/unified /sys/fs/cgroup/unified
`,
	},
	{
		name:   "version 2 with elogind's named tree beside it",
		self:   "1:name=elogind:/3\n0::/3\n",
		mounts: "70 60 0:50 / /sys/fs/cgroup rw,relatime - cgroup2 none rw\n71 70 0:51 / /sys/fs/cgroup/elogind rw,relatime - cgroup cgroup rw,release_agent=/lib/elogind/elogind-cgroups-agent,name=elogind\n",
		mode:   Unified,
		want:   "1 name=elogind /sys/fs/cgroup/elogind/3 /sys/fs/cgroup/elogind\n2 - /sys/fs/cgroup/3 /sys/fs/cgroup\n",
	},
	{
		name: "a removed group",
		self: "0::/gone (deleted)\n", mounts: "70 60 0:50 / /sys/fs/cgroup rw,relatime - cgroup2 none rw\n",
		mode: Unified, want: "2 - - /sys/fs/cgroup\n",
	},
	{
		name: "nothing mounted", self: "0::/\n", mounts: "25 30 0:23 / /sys rw - sysfs sysfs rw\n",
		mode: None, want: "2 - - -\n",
	},
	{name: "no cgroups at all", self: "", mounts: "25 30 0:23 / /sys rw - sysfs sysfs rw\n", mode: None, want: ""},
}

func TestLayout(t *testing.T) {
	for _, tt := range layouts {
		members, err := ParseSelf(strings.NewReader(tt.self))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		mounts, err := parseMounts(strings.NewReader(tt.mounts))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		h := layout(members, mounts)
		if h.Mode != tt.mode {
			t.Errorf("%s: got %s, want %s", tt.name, h.Mode, tt.mode)
		}
		var got strings.Builder
		for _, x := range h.Hierarchies {
			what := strings.Join(x.Controllers, ",")
			if x.Name != "" {
				what = "name=" + x.Name
			}
			got.WriteString(string(rune('0'+x.Version)) + " " + dash(what) + " " + dash(x.Dir) + " " + dash(x.Mount) + "\n")
		}
		if d := cmp.Diff(tt.want, got.String()); d != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, d)
		}
		_, ok := h.V2()
		if want := strings.Contains(tt.want, "2 - ") && !strings.HasSuffix(tt.want, "2 - - -\n"); ok != want {
			t.Errorf("%s: V2: got %v, want %v", tt.name, ok, want)
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func TestParseSelfErrors(t *testing.T) {
	for _, text := range []string{"x:memory:/\n", "1:memory\n", "-1:memory:/\n", "1:memory:rel\n", "\n"} {
		if got, err := ParseSelf(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseSubsystems(t *testing.T) {
	got, err := ParseSubsystems(strings.NewReader(`#subsys_name	hierarchy	num_cgroups	enabled
cpuset	3	1	1
memory	0	114	0
`))
	want := []Subsystem{{"cpuset", 3, 1, true}, {"memory", 0, 114, false}}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, text := range []string{"cpuset 3 1\n", "cpuset 3 one 1\n"} {
		if got, err := ParseSubsystems(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestBelow(t *testing.T) {
	tests := []struct {
		path, dir, rest string
		ok              bool
	}{
		{"/", "/", "", true},
		{"/a/b", "/", "a/b", true},
		{"/a/b", "/a", "b", true},
		{"/ab", "/a", "", false},
		{"/a", "/a/b", "", false},
		{"/../b", "/", "", false},
		{"/..", "/", "", false},
		{"/../../b", "/..", "", false},
		{"/../b/c", "/..", "b/c", true},
		{"/..b", "/", "..b", true},
	}
	for _, tt := range tests {
		rest, ok := below(tt.path, tt.dir)
		if ok != tt.ok || ok && rest != tt.rest {
			t.Errorf("below(%q, %q): got %q, %v, want %q, %v", tt.path, tt.dir, rest, ok, tt.rest, tt.ok)
		}
	}
}
