package spec

import (
	"net/netip"
	"slices"
	"strings"
)

// The grammars of names, written out by hand: compiling regular expressions
// would cost every start more than reading the manifest.

func lower(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
func alnum(c byte) bool { return lower(c) || 'A' <= c && c <= 'Z' }

// within is true if all of s is in the class or among the other characters, and
// both ends are in the class.
func within(s string, class func(byte) bool, others string) bool {
	for i := range len(s) {
		if !class(s[i]) && (i == 0 || i == len(s)-1 || strings.IndexByte(others, s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// isLabel is RFC 1123's label: web, my-app-2.
func isLabel(s string) bool { return len(s) <= 63 && within(s, lower, "-") }

// isSubdomain is one or more labels with dots between, 253 characters at most.
func isSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !within(part, lower, "-") {
			return false
		}
	}
	return true
}

// isQualified is the key of a label: name or subdomain/name.
func isQualified(s string) bool {
	prefix, name, ok := strings.Cut(s, "/")
	if !ok {
		name = s
	} else if !isSubdomain(prefix) {
		return false
	}
	return len(name) <= 63 && within(name, alnum, "-_.")
}

// isLabelValue may be empty.
func isLabelValue(s string) bool {
	return s == "" || len(s) <= 63 && within(s, alnum, "-_.")
}

// isEnvName is any printable ASCII but "=".
func isEnvName(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '=' {
			return false
		}
	}
	return s != ""
}

// isDataKey is the key of a ConfigMap or Secret: it can be a file's name.
func isDataKey(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && strings.IndexByte("-_.", s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 253 && s != "." && !strings.HasPrefix(s, "..")
}

// isPortName is a service name of RFC 6335.
func isPortName(s string) bool {
	letters := strings.IndexFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' }) >= 0
	return len(s) <= 15 && within(s, lower, "-") && letters && !strings.Contains(s, "--")
}

// isAddress is what the API server takes for an IP; leading zeros are legacy
// that it still allows in an IPv4 address.
func isAddress(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	parts := strings.Split(s, ".")
	for i, p := range parts {
		if p != "" && len(p) <= 3 {
			parts[i] = strings.TrimLeft(p[:len(p)-1], "0") + p[len(p)-1:]
		}
	}
	_, err := netip.ParseAddr(strings.Join(parts, "."))
	return err == nil && len(parts) == 4
}

// isSysctlName is dots or slashes between segments.
func isSysctlName(s string) bool {
	for segment := range strings.SplitSeq(strings.ReplaceAll(s, "/", "."), ".") {
		if !within(segment, lower, "-_") {
			return false
		}
	}
	return len(s) <= 253
}

// climbs is true for a path with a .. element.
func climbs(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "..")
}

// tidyName makes a label or subdomain of what was meant as one, for a hint.
func tidyName(s string, dots bool) string {
	tidy := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || dots && r == '.':
			return r
		case r == '_' || r == ' ' || r == '-' || r == '.' || r == '/':
			return '-'
		}
		return -1
	}, s)
	tidy = strings.Trim(tidy, "-.")
	if dots && isSubdomain(tidy) || !dots && isLabel(tidy) {
		return tidy
	}
	return ""
}
