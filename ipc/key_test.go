package ipc

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Key
		err  string
	}{
		{in: "0x6a6f6273", want: 0x6a6f6273},
		{in: "0X6A6F6273", want: 0x6a6f6273},
		{in: "0x1", want: 1},
		{in: "0x00000000000000001", want: 1},
		{in: "0xffffffff", want: -1},
		{in: "0x80000000", want: -0x80000000},
		{in: "a", want: -0x1bf3d6d4},      // 0xe40c292c, of the published FNV-1a vectors as the next
		{in: "foobar", want: -0x40630698}, // 0xbf9cf968,
		{in: "jobs 0x1", want: 0x310dbcb2},
		{in: strings.Repeat("n", 255), want: 0x7f694629},
		{in: "", err: "write 0x… or a name"},
		{in: strings.Repeat("n", 256), err: "256 bytes, 255 at most"},
		{in: "0x100000000", err: "greater than 0xffffffff"},
		{in: "0xffffffffffffffffffff", err: "greater than 0xffffffff"},
		{in: "0x", err: "hexadecimal digits"},
		{in: "0xjobs", err: "hexadecimal digits"},
		{in: "0x-1", err: "hexadecimal digits"},
		{in: "0x0", err: "IPC_PRIVATE"},
		{in: "1234", err: "write 0x… or a name"},
		{in: "0", err: "write 0x… or a name"},
	} {
		got, err := ParseKey(c.in)
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%.20q: got %v (%d) and %v, want %v", c.in, got, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%.20q: got %v and %v, want an error with %q", c.in, got, err, c.err)
		}
	}
}

// A name whose hash is 0 would make a segment that nobody can find.
func TestParseKeyNeverPrivate(t *testing.T) {
	const zero = "ppkttia"
	if k, err := ParseKey(zero); err != nil || k != 1 {
		t.Errorf("%q: got %v and %v, want %v", zero, k, err, Key(1))
	}
}

func TestKeyText(t *testing.T) {
	for _, k := range []Key{Private, 1, -1, 0x6a6f6273} {
		out, err := json.Marshal(k)
		if want := `"` + k.String() + `"`; err != nil || string(out) != want {
			t.Errorf("%v: got %s and %v, want %s", k, out, err, want)
		}
		var back Key
		if err := json.Unmarshal(out, &back); err != nil || back != k {
			t.Errorf("%s: got %v and %v, want %v", out, back, err, k)
		}
	}
	var k Key
	for _, bad := range []string{`"jobs"`, `""`, `"12"`, `"0x"`} {
		if err := json.Unmarshal([]byte(bad), &k); err == nil {
			t.Errorf("%s: got %v, want an error", bad, k)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"", "0", "0x", "0x0", "0x1", "0xffffffff", "0x100000000", "jobs", "0Xab", "12", strings.Repeat("0", 300), "0x_1", "\x00", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		again, errAgain := ParseKey(s)
		if k != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q: %v and %v the first time, %v and %v the second", s, k, err, again, errAgain)
		}
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1200 {
				t.Errorf("%q: a message for one line, not %q", s, err)
			}
			return
		}
		if k == Private {
			t.Errorf("%q: Private", s)
		}
		// What is printed can be typed.
		if back, err := ParseKey(k.String()); err != nil || back != k {
			t.Errorf("%q: %v reads back as %v and %v", s, k, back, err)
		}
	})
}
