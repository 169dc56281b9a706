package cli

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"plain, tab\tstays":               "plain, tab\tstays",
		"grüße, 世界 ✓":                     "grüße, 世界 ✓",
		"\x1b[31mred\x1b[0m":              `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\x07":                `\x1b]0;title\x07`,
		"50%\r100%":                       `50%\r100%`,
		"a\nb":                            `a\nb`,
		"\x7f\x00":                        `\x7f\x00`,
		"\x9b31m":                         `\x9b31m`, // CSI of an 8-bit terminal, as a byte
		"\u009b31m":                       `\x9b31m`, // and as a character
		"cut \xe4\xb8":                    `cut \xe4\xb8`,
		"pay \u202e001\u202c":             `pay \u202e001\u202c`,
		"half \xf0\x9f\x98 then \xc3\xa9": `half \xf0\x9f\x98 then é`,
	} {
		if got := cleanString(in); got != want {
			t.Errorf("clean(%q): got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add([]byte("a\x1b[2Jb\x9b\xc2\x9b\u202e"))
	f.Fuzz(func(t *testing.T, p []byte) {
		got := clean(nil, p)
		if !utf8.Valid(got) {
			t.Fatalf("clean(%q): got %q, not UTF-8", p, got)
		}
		for _, r := range string(got) {
			if r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("clean(%q): got %q with %q in it", p, got, r)
			}
		}
		if again := clean(nil, got); string(again) != string(got) {
			t.Fatalf("clean(%q): got %q, and of that %q", p, got, again)
		}
	})
}
