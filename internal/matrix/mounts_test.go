package matrix

import (
	"slices"
	"testing"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts(`26 25 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw
31 25 254:0 /pods/a\040b/vol\134umes /in\011put ro,nosuid,relatime shared:7 - ext4 /dev/vda rw
short line
`)
	want := []Mount{
		{Device: "0:23", Root: "/", Point: "/dev/shm", Writable: true},
		{Device: "254:0", Root: `/pods/a b/vol\umes`, Point: "/in\tput"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if own, err := readMounts(); err != nil || len(own) == 0 {
		t.Errorf("this process: got %d mounts, %v", len(own), err)
	}
}

func TestWays(t *testing.T) {
	table := []Mount{
		{Device: "254:0", Root: "/", Point: "/"},
		{Device: "254:0", Root: "/", Point: "/again"},
		{Device: "254:0", Root: "/pods/x", Point: "/x"},
		{Device: "254:0", Root: "/pods/xy", Point: "/xy"},
		{Device: "254:0", Root: "/pods/x/volumes/data/sub", Point: "/sub"},
		{Device: "0:23", Root: "/", Point: "/dev/shm"},
	}
	for _, c := range []struct {
		to   Mount
		want []string
	}{
		{Mount{Device: "254:0", Root: "/pods/x/volumes/data"}, []string{"/x/volumes/data", "/again/pods/x/volumes/data", "/pods/x/volumes/data"}},
		{Mount{Device: "0:23", Root: "/"}, []string{"/dev/shm"}},
		{Mount{Device: "0:24", Root: "/"}, nil},
	} {
		if got := ways(table, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.to, got, c.want)
		}
	}
}

func TestSharedVolume(t *testing.T) {
	root := Mount{Device: "0:50", Root: "/", Point: "/"}
	data := Mount{Device: "254:0", Root: "/volumes/data", Point: "/data", Writable: true}
	more := Mount{Device: "254:0", Root: "/volumes/more", Point: "/more", Writable: true}
	in := Mount{Device: "254:0", Root: "/volumes/data", Point: "/in"}
	host := []Mount{{Device: "254:0", Root: "/", Point: "/"}}
	for _, c := range []struct {
		name                 string
		owner, sibling, host []Mount
		root                 Mount
		want                 string // the point, or why not
	}{
		{"alone", []Mount{data, more}, nil, host, root, "/data"},
		{"at another path", []Mount{more, data}, []Mount{root, in}, host, root, "/data"},
		{"none in common", []Mount{more}, []Mount{root, in}, host, root, "no volume shared"},
		{"none", nil, []Mount{root}, host, root, "no volume shared"},
		{"none, alone", nil, nil, host, root, "no volume"},
		{"sibling has none", []Mount{data}, []Mount{}, host, root, "no volume shared"},
		{"the host's own", []Mount{data}, []Mount{data}, append(host, data), root, "no volume shared"},
		{"files of the host", []Mount{data}, []Mount{in}, host, host[0], "no volume: the container has this machine's files"},
	} {
		m, why := sharedVolume(c.owner, []Mount{c.root}, c.sibling, c.host)
		if got := m.Point + why; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for point, want := range map[string]bool{"/data": true, "/": false, "/dev/shm": false, "/device": true, "/etc/hosts": false, "/proc": false, "/usr": false, "/usrlocal": true, "/opt/podlab/podlab": false, "/opt": true} {
		if got := isVolume(Mount{Point: point}); got != want {
			t.Errorf("%s: got %v, want %v", point, got, want)
		}
	}
}
