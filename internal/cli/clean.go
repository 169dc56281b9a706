package cli

import (
	"fmt"
	"unicode/utf8"
)

// clean appends p to dst with everything made visible that a terminal would obey instead of showing: C0 and C1 control
// characters, bytes that aren't UTF-8 (a lone 0x9b is an escape sequence to an 8-bit terminal), and the marks that
// turn the direction of writing around. A tab stays. `\x1b[31m` then reads as just that.
func clean(dst, p []byte) []byte {
	for len(p) > 0 {
		n := 0
		for n < len(p) && (p[n] >= ' ' && p[n] < 0x7f || p[n] == '\t') {
			n++
		}
		dst, p = append(dst, p[:n]...), p[n:]
		if len(p) == 0 {
			break
		}
		r, size := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && size == 1, r < 0x80:
			dst = escapeByte(dst, p[0])
		case r < 0xa0:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case turns(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, p[:size]...)
		}
		p = p[size:]
	}
	return dst
}

func escapeByte(dst []byte, b byte) []byte {
	switch b {
	case '\r':
		return append(dst, `\r`...)
	case '\n':
		return append(dst, `\n`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'x', hex[b>>4], hex[b&15])
}

// turns tells whether r changes the direction or the breaking of lines for what follows it.
func turns(r rune) bool {
	switch {
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	}
	return r == 0x2028 || r == 0x2029
}

func cleanString(s string) string { return string(clean(nil, []byte(s))) }

// quote is s between double quotes, as it can stand in a message.
func quote(s string) string { return `"` + cleanString(s) + `"` }
