package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/ipc"
)

func TestCountArgs(t *testing.T) {
	for _, c := range []struct{ want, have, err string }{
		{"", "", ""},
		{"", "a", `unexpected argument "a"`},
		{"KEY", "a", ""},
		{"KEY", "", "want KEY"},
		{"KEY", "a b", `unexpected argument "b"`},
		{"KEY TEXT|-", "a", "want KEY TEXT|-"},
		{"KEY…", "", "want KEY…"},
		{"KEY…", "a b c", ""},
		{"KEY NUM:DELTA…", "a", "want KEY NUM:DELTA…"},
		{"KEY NUM:DELTA…", "a 0:1 1:1", ""},
		{"[KEY]", "", ""},
		{"[KEY]", "a", ""},
		{"[KEY]", "a b", `unexpected argument "b"`},
	} {
		got := ""
		if err := countArgs(c.want, strings.Fields(c.have)); err != nil {
			got = err.Error()
		}
		if got != c.err {
			t.Errorf("%q for %q: got %q, want %q", c.have, c.want, got, c.err)
		}
	}
}

// Every flag that a verb names has a row, of the same kind in every verb: `podlab ipc` reads flags before it knows the verb.
func TestIPCFlagsAgree(t *testing.T) {
	takes := map[string]bool{}
	for _, k := range ipcKinds() {
		for _, e := range k.entries() {
			for name, value := range indexFlags(e.build(nil).Flags) {
				if before, ok := takes[name]; ok && before != value {
					t.Errorf("%s %s: --%s takes a value here or elsewhere, not in both", k.kind, e.name, name)
				}
				takes[name] = value
			}
		}
	}
	if len(takes) < 15 {
		t.Errorf("%d flags: too few to be all", len(takes))
	}
}

func TestBytesOf(t *testing.T) {
	for typed, want := range map[string]string{
		"": "7", "0": "0", "4096": "4096", "64k": "65536", "1M": "1048576", "2G": "2147483648", "0x10": "16",
		"-1": "error", "k": "error", "1.5k": "error", "9223372036854775807": "9223372036854775807",
		"9223372036854775808": "error", "8589934592G": "error", "1K": "error",
	} {
		app := &cli.App{Flags: []cli.Flag{&cli.StringFlag{Name: "size"}}, Action: func(ctx *cli.Context) error {
			got := "error"
			if n, err := (&ipcCall{c: ctx}).bytesOf("size", 7); err == nil {
				got = fmt.Sprint(n)
			}
			if got != want {
				t.Errorf("%q: got %s, want %s", typed, got, want)
			}
			return nil
		}}
		if err := app.Run([]string{"x", "--size", typed}); err != nil {
			t.Error(err)
		}
	}
}

func TestParseOwner(t *testing.T) {
	for typed, want := range map[string]string{
		"": "-1 -1", "0": "0 -1", "1000:100": "1000 100", "4294967295:0": "4294967295 0",
		"root": "error", ":": "error", "1:": "error", ":1": "error", "-1": "error", "1:2:3": "error", "4294967296": "error",
	} {
		got := "error"
		if u, g, err := parseOwner(typed); err == nil {
			got = fmt.Sprint(u, g)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", typed, got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	shm := func(id, attached int) ipc.Object {
		return ipc.Object{Kind: ipc.KindShm, Key: 0x10, ID: id, Mode: 0o600, Attached: attached, Size: 5}
	}
	file := ipc.Object{Kind: ipc.KindShared, Name: "/a", Inode: 1, ModifyTime: time.Date(2026, 1, 1, 1, 1, 1, 0, time.Local)}
	written := file
	written.ModifyTime = written.ModifyTime.Add(time.Second)
	again := file
	again.Inode = 2
	for _, c := range []struct {
		name        string
		before, now []ipc.Object
		want        []string
	}{
		{"nothing", nil, nil, nil},
		{"the same", []ipc.Object{shm(1, 0)}, []ipc.Object{shm(1, 0)}, nil},
		{"attached", []ipc.Object{shm(1, 0)}, []ipc.Object{shm(1, 2)}, []string{"~ shm 0x00000010 id:1: attached 0 → 2"}},
		{"another of the same key", []ipc.Object{shm(1, 0)}, []ipc.Object{shm(2, 0)},
			[]string{"- shm 0x00000010 id:1", "+ shm 0x00000010 id:2, 5 bytes, mode 600, owner root"}},
		{"another of the same name", []ipc.Object{file}, []ipc.Object{again},
			[]string{"- posix-shm /a", "+ posix-shm /a, 0 bytes, mode 000, owner root"}},
		{"written", []ipc.Object{file}, []ipc.Object{written}, []string{"~ posix-shm /a: written 01:01:01.000 → 01:01:02.000"}},
	} {
		var got []string
		for _, ch := range compare(byID(c.before), byID(c.now)) {
			got = append(got, ch.text)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func byID(all []ipc.Object) map[objectID]ipc.Object {
	m := map[objectID]ipc.Object{}
	for _, o := range all {
		m[objectID{o.Kind, o.ID, o.Name, o.Inode}] = o
	}
	return m
}

func TestCounted(t *testing.T) {
	for have, want := range map[string]string{"": "", "a": "a", "b a": "a,b", "b a b b": "a,b×3"} {
		if got := counted(strings.Fields(have)); got != want {
			t.Errorf("%q: got %q, want %q", have, got, want)
		}
	}
}

func TestSharedPayer(t *testing.T) {
	alone := inventory.Payer{Inode: 1, Containers: []string{"app"}}
	both := inventory.Payer{Inode: 1, Containers: []string{"app", "pull"}}
	for _, c := range []struct {
		payers []inventory.Payer
		want   string
	}{{nil, ""}, {[]inventory.Payer{alone}, ""}, {[]inventory.Payer{alone, both}, "app+pull"}} {
		if got := sharedPayer(inventory.Inventory{Items: []inventory.Item{{}, {Payers: c.payers}}}); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.payers, got, c.want)
		}
	}
}

// What a command's help says fits into 100 columns; only what is to be typed may be longer.
func TestHelpWidth(t *testing.T) {
	u := newUI(os.Stdin, os.Stdout, os.Stderr)
	var look func(above string, all []entry)
	look = func(above string, all []entry) {
		for _, e := range all {
			v, _ := find(all, above, e.name)
			var b bytes.Buffer
			u.outw = bufio.NewWriter(&b)
			if err := commandHelp(u, v); err != nil {
				t.Fatal(err)
			}
			_ = u.outw.Flush() // into memory
			for line := range strings.SplitSeq(b.String(), "\n") {
				if n := utf8.RuneCountInString(line); n > 100 && !strings.HasPrefix(line, "  $ ") {
					t.Errorf("%s: %d columns, want 100 at most: %s", v.path, n, line)
				}
			}
			look(v.path, subentries(v.path))
		}
	}
	look("", entries())
}
