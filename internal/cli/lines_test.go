package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name   string
		writes []string
		clean  bool
		want   string
	}{
		{"a line", []string{"hello\n"}, false, "app | hello\n"},
		{"two in one", []string{"a\nb\n"}, false, "app | a\napp | b\n"},
		{"one in three", []string{"h", "ell", "o\n"}, false, "app | hello\n"},
		{"an empty one", []string{"\n"}, false, "app | \n"},
		{"no end", []string{"bye"}, false, "app | bye\n"},
		{"nothing", []string{""}, false, ""},
		{"piped: as it is", []string{"\x1b[1m\r\n"}, false, "app | \x1b[1m\r\n"},
		{"terminal: made visible", []string{"\x1b[1m50%\rhi\r\n"}, true, `app | \x1b[1m50%\rhi` + "\n"},
		{"as long as it may be", []string{long + "\n"}, false, "app | " + long + "\n"},
		{"as long as it may be, end later", []string{long, "\n"}, false, "app | " + long + "\n"},
		{"one longer", []string{long + "y\nz\n"}, false, "app | " + long + "\napp + y\napp | z\n"},
		{"one longer in two", []string{long, "y\n"}, false, "app | " + long + "\napp + y\n"},
		{"three pieces without an end", []string{long + long + "y"}, false, "app | " + long + "\napp + " + long + "\napp + y\n"},
		{"a letter isn't cut", []string{long[1:] + "é!\n"}, false, "app | " + long[1:] + "\napp + é!\n"},
	} {
		var b bytes.Buffer
		l := &lines{w: &b, max: maxLine, clean: c.clean}
		p := prefixesFor("app", 3, "")
		s := l.stream(p.out, p.more)
		for _, w := range c.writes {
			if n, err := io.WriteString(s, w); n != len(w) || err != nil {
				t.Errorf("%s: got %d, %v", c.name, n, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := b.String(); got != c.want {
			t.Errorf("%s: got %.80q, want %.80q", c.name, got, c.want)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		color     color
		out, serr string
	}{
		{"", "db    | ", "db    ! "},
		{cyan, "\x1b[36mdb    │\x1b[0m ", "\x1b[36mdb    \x1b[31m!\x1b[0m "},
	} {
		p := prefixesFor("db", 5, c.color)
		if string(p.out) != c.out || string(p.err) != c.serr {
			t.Errorf("colour %q: got %q and %q, want %q and %q", c.color, p.out, p.err, c.out, c.serr)
		}
	}
}

func TestColorsAreStableAndApart(t *testing.T) {
	a := colorsOf([]string{"app", "db", "cache", "web"})
	b := colorsOf([]string{"app"})
	if a["app"] != b["app"] {
		t.Errorf("app: got %q in one pod and %q in another", a["app"], b["app"])
	}
	seen := map[color]string{}
	for n, c := range a {
		if seen[c] != "" {
			t.Errorf("%s and %s both have colour %q", n, seen[c], c)
		}
		seen[c] = n
	}
}

func TestLinesStamp(t *testing.T) {
	var b bytes.Buffer
	l := &lines{w: &b, max: maxLine, stamp: true, now: func() time.Time { return time.Unix(1, 5000) }}
	s := l.stream([]byte("app | "), nil)
	_, _ = io.WriteString(s, "hi\n")
	if got, want := b.String(), "app | 1970-01-01T00:00:01.000005000Z hi\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Containers write at once; their lines never mix, and none is lost.
func TestLinesTogether(t *testing.T) {
	var b bytes.Buffer
	l := &lines{w: &b, max: maxLine}
	var wg sync.WaitGroup
	for i := range 8 {
		name := fmt.Sprint(i)
		s := l.stream([]byte(name+" | "), nil)
		wg.Go(func() {
			for range 500 {
				for _, part := range []string{name, name, name + "\n" + name + name, name + "\n"} {
					_, _ = io.WriteString(s, part)
				}
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for line := range strings.Lines(b.String()) {
		count[line]++
	}
	for i := range 8 {
		n := fmt.Sprint(i)
		if got := count[n+" | "+n+n+n+"\n"]; got != 1000 {
			t.Errorf("container %d: got %d whole lines, want 1000", i, got)
		}
	}
	if len(count) != 8 {
		t.Errorf("got %d different lines, want 8", len(count))
	}
}

// A gigabyte without a line end doesn't cost a gigabyte.
func TestLinesBoundedMemory(t *testing.T) {
	l := &lines{w: io.Discard, max: maxLine, clean: true}
	s := l.stream([]byte("app | "), []byte("app + "))
	block := bytes.Repeat([]byte{0x1b}, 1<<20) // each byte becomes four
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		_, _ = s.Write(block)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := cap(s.part) + cap(l.buf); got > 2<<20 {
		t.Errorf("kept %d bytes, want 2 MiB at most", got)
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}

type brokenWriter struct{ after int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.after--; w.after < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

// Nobody reads any more: said once, and the container isn't held up.
func TestLinesBroken(t *testing.T) {
	told := 0
	l := &lines{w: &brokenWriter{after: 1}, max: maxLine, broken: func(error) { told++ }}
	s := l.stream(nil, nil)
	for range 5 {
		if _, err := io.WriteString(s, "line\n"); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// Whatever is written in whatever pieces: what comes out is the same text, in whole lines.
func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nthree"), uint8(3))
	f.Add([]byte("éééééééééé\n\nx"), uint8(0))
	const most = 8
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		var b bytes.Buffer
		l := &lines{w: &b, max: most}
		s := l.stream([]byte("|"), []byte("+"))
		size := int(step) + 1
		for rest := data; len(rest) > 0; {
			n := min(size, len(rest))
			_, _ = s.Write(rest[:n])
			rest = rest[n:]
		}
		_ = s.Close()
		var text []byte
		for line := range bytes.Lines(b.Bytes()) {
			body, whole := bytes.CutSuffix(line, []byte("\n"))
			if !whole || len(body) == 0 || len(body) > most+1 {
				t.Fatalf("got a line of %d bytes, whole %v", len(body), whole)
			}
			if body[0] == '+' {
				text = bytes.TrimSuffix(text, []byte("\n"))
			}
			text = append(append(text, body[1:]...), '\n')
		}
		want := data
		if len(want) > 0 && want[len(want)-1] != '\n' {
			want = append(bytes.Clone(want), '\n')
		}
		if !bytes.Equal(text, want) {
			t.Fatalf("got %d bytes %.60q, want %d %.60q", len(text), text, len(want), want)
		}
	})
}
