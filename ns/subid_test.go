package ns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSpreadIDs(t *testing.T) {
	two := []IDRange{{0, 100000, 1000}, {0, 300000, 500}}
	tests := []struct {
		name        string
		inside, own int
		sub         []IDRange
		text        string
	}{
		{"root", 0, 1000, two[:1], "0 1000 1\n1 100000 1000\n"},
		{"in the middle", 33, 1000, two[:1], "0 100000 33\n33 1000 1\n34 100033 967\n"},
		{"in the second", 1200, 1000, two, "0 100000 1000\n1000 300000 200\n1200 1000 1\n1201 300200 300\n"},
		{"at the seam", 1000, 7, two, "0 100000 1000\n1000 7 1\n1001 300000 500\n"},
		{"just after", 1500, 7, two, "0 100000 1000\n1000 300000 500\n1500 7 1\n"},
		{"far above", 65534, 7, two[:1], "0 100000 1000\n65534 7 1\n"},
		{"no ranges", 999, 1000, nil, "999 1000 1\n"},
		{"ranges of one", 1, 7, []IDRange{{0, 50, 1}, {0, 60, 1}}, "0 50 1\n1 7 1\n2 60 1\n"},
	}
	for _, tt := range tests {
		m := SpreadIDs(tt.inside, tt.own, tt.sub)
		if got := m.Text(); got != tt.text {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.text)
		}
		if err := m.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got, ok := m.ToHost(tt.inside); got != tt.own || !ok {
			t.Errorf("%s: ToHost(%d): got %d, %v, want %d", tt.name, tt.inside, got, ok, tt.own)
		}
		if got, ok := m.ToInside(tt.own); got != tt.inside || !ok {
			t.Errorf("%s: ToInside(%d): got %d, %v, want %d", tt.name, tt.own, got, ok, tt.inside)
		}
	}
	m := RangeIDs(165536, 65536)
	if got, ok := m.ToHost(65536); ok {
		t.Errorf("ToHost above the range: got %d, want none", got)
	}
	if got, ok := m.ToInside(1000); ok {
		t.Errorf("ToInside of a foreign id: got %d, want none", got)
	}
	if got, want := SingleID(0, 1000).Args(77), []string{"77", "0", "1000", "1"}; !slices.Equal(got, want) {
		t.Errorf("Args: got %q, want %q", got, want)
	}
}

func TestValidateIDMap(t *testing.T) {
	var many IDMap
	for i := range 341 {
		many = append(many, IDRange{i, i, 1})
	}
	tests := []struct {
		name string
		m    IDMap
		ok   bool
	}{
		{"everything", RangeIDs(0, maxIDs), true},
		{"340 short lines", many[:340], true},
		{"the top id", SingleID(maxIDs-1, maxIDs-1), true},
		{"empty", nil, false},
		{"341 lines", many, false},
		{"text of a page", slices.Collect(func(yield func(IDRange) bool) {
			for i := range 200 {
				if !yield(IDRange{i, 4_000_000_000 + i, 1}) {
					return
				}
			}
		}), true},
		{"count 0", RangeIDs(1000, 0), false},
		{"negative", IDMap{{-1, 0, 1}}, false},
		{"no id", SingleID(0, maxIDs), false},
		{"wraps", IDMap{{0, 4294967000, 1000}}, false},
		{"inside overlaps", IDMap{{0, 0, 10}, {9, 100, 1}}, false},
		{"host overlaps", IDMap{{0, 5, 1}, {10, 0, 10}}, false},
		{"side by side", IDMap{{10, 10, 10}, {0, 0, 10}}, true},
	}
	for _, tt := range tests {
		if err := tt.m.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	long := IDMap{}
	for i := range 300 {
		long = append(long, IDRange{4_100_000_000 + i, 4_200_000_000 + i, 1})
	}
	if err := long.Validate(); err == nil {
		t.Errorf("%d bytes: got no error", len(long.Text()))
	}
}

func TestParseSubIDs(t *testing.T) {
	const file = `# a comment
ada:100000:65536
1000:300000:10
grace:200000:65536
ada:400000:5
ada:100001:5
ada:x:5
ada:500000
ada:500000:0
ada:4294967290:100
ada:-5:3
:600000:5
`
	tests := []struct {
		name string
		uid  int
		want []IDRange
	}{
		{"ada", 1000, []IDRange{{0, 100000, 65536}, {0, 300000, 10}, {0, 400000, 5}}},
		{"grace", 1001, []IDRange{{0, 200000, 65536}}},
		{"", 1000, []IDRange{{0, 300000, 10}}},
		{"root", 0, nil},
	}
	for _, tt := range tests {
		got, err := ParseSubIDs(strings.NewReader(file), tt.name, tt.uid)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q, %d: got %v, %v, want %v", tt.name, tt.uid, got, err, tt.want)
		}
	}
	if _, err := ParseSubIDs(strings.NewReader(strings.Repeat("x", 1<<20)), "ada", 1); err == nil {
		t.Error("a line of a megabyte: got no error")
	}
}

func FuzzSubIDs(f *testing.F) {
	f.Add("ada:100000:65536\n1000:1:1\n", 0)
	f.Add("ada:5:4294967290\nada:4294967294:1\n", 70000)
	f.Fuzz(func(t *testing.T, text string, inside int) {
		ranges, err := ParseSubIDs(strings.NewReader(text), "ada", 1000)
		if err != nil || inside < 0 || inside >= maxIDs || len(ranges) > 100 {
			return
		}
		const own = maxIDs - 1
		m := SpreadIDs(inside, own, ranges)
		if got, ok := m.ToHost(inside); !ok || got != own {
			t.Errorf("%v: %d is %d, %v, want %d", m, inside, got, ok, own)
		}
		total := 1
		for _, r := range ranges {
			total += r.Count
			if overlap(own, 1, r.Host, r.Count) {
				return // Validate is right to refuse this one
			}
		}
		for _, r := range m {
			total -= r.Count
		}
		if total != 0 {
			t.Errorf("%v of %v: %d ids lost", m, ranges, total)
		}
		if err := m.Validate(); err != nil && total < maxIDs-inside {
			for _, r := range m {
				if r.Inside+r.Count > maxIDs {
					return // more ids than there are numbers
				}
			}
			t.Errorf("%v: %v", m, err)
		}
	})
}

func TestSubIDSource(t *testing.T) {
	tests := []struct{ text, want string }{
		{"passwd: files systemd\n", "files"},
		{"subid: sss\n", "sss"},
		{"# subid: sss\n subid :\tfiles # x\n", "files"},
		{"subid:\n", "files"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "nsswitch.conf")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := subIDSource(path); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := subIDSource("/nonexistent"); got != "files" {
		t.Errorf("no file: got %q, want files", got)
	}
}

func TestIDHelper(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := IDHelper("no-such-idmap"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: got %v, want ErrNotExist", err)
	}
	plain := filepath.Join(dir, "plain-idmap")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := IDHelper("plain-idmap"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not executable: got %v, want ErrNotExist", err)
	}
	if err := os.Chmod(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := IDHelper("plain-idmap"); err == nil {
		t.Errorf("no rights: got %s, want an error", path)
	}
}

func TestUserName(t *testing.T) {
	if got := UserName(0); got != "root" {
		t.Errorf("uid 0: got %q, want root", got)
	}
	if got := UserName(maxIDs); got != "" {
		t.Errorf("nobody has (uid_t)-1: got %q", got)
	}
}
