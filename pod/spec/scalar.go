package spec

import (
	"math"
	"strconv"
	"strings"
)

// scalar resolves an unquoted YAML scalar as kubectl does, which reads YAML 1.1:
// yes and off are booleans, 0644 is octal. The text returned is the JSON form.
func scalar(s string) (class, string) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nullClass, ""
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return boolClass, "true"
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return boolClass, "false"
	case ".nan", ".NaN", ".NAN":
		return floatClass, "NaN"
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
		return floatClass, "Inf"
	}
	switch c := s[0]; {
	case c == '.':
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return floatClass, jsonFloat(f)
		}
	case c == '+' || c == '-' || '0' <= c && c <= '9':
		return number(strings.ReplaceAll(s, "_", ""), s)
	}
	return stringClass, s
}

// number resolves what begins like one; written is the text if it is none.
func number(plain, written string) (class, string) {
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return intClass, strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return intClass, strconv.FormatUint(u, 10)
	}
	if decimal(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return floatClass, jsonFloat(f)
		}
	}
	return stringClass, written
}

// decimal is [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?: ParseFloat
// also takes hexadecimal, "inf" and more.
func decimal(s string) bool {
	sign := func() {
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
	}
	digits := func() (n int) {
		for s != "" && '0' <= s[0] && s[0] <= '9' {
			s, n = s[1:], n+1
		}
		return n
	}
	sign()
	whole, part := digits(), 0
	if s != "" && s[0] == '.' {
		s = s[1:]
		part = digits()
	}
	if whole+part == 0 {
		return false
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		sign()
		if digits() == 0 {
			return false
		}
	}
	return s == ""
}

// jsonFloat formats as encoding/json does.
func jsonFloat(f float64) string {
	if math.IsInf(f, 0) {
		return "Inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
