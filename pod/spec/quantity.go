package spec

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A Quantity is a number with a unit, as Kubernetes writes it: 100Mi, 0.5,
// 1500m. It is exact to a billionth; what is smaller is rounded up, so that
// whoever asks for something gets something.
type Quantity struct {
	nano   big.Int // billionths
	format quantityFormat
	text   string // as written, where upstream keeps that
}

type quantityFormat uint8

const (
	decimalSI quantityFormat = iota
	binarySI
	decimalExponent
)

var errQuantity = errors.New("want digits and at most one of n u m k M G T P E Ki Mi Gi Ti Pi Ei, or an exponent")

var decimalUnits = [...]struct {
	suffix   string
	exponent int
}{{"n", -9}, {"u", -6}, {"m", -3}, {"", 0}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18}}

// binaryUnits are powers of 1024, from the first.
var binaryUnits = [...]string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}

// Bounds on what a few characters can make us compute: nobody means more.
const (
	maxExponent = 120
	maxBits     = 400 // about 1e111, in billionths
)

// ParseQuantity reads what k8s.io/apimachinery's resource.ParseQuantity reads,
// but for numbers of more than a hundred digits, and of none: "Mi" is no size.
func ParseQuantity(s string) (Quantity, error) {
	s = strings.TrimSpace(s)
	var q Quantity
	p, ok := splitQuantity(s)
	if !ok || len(s) > 200 || !strings.ContainsAny(s[:len(s)-len(p.suffix)], "0123456789") {
		return q, errQuantity
	}
	exponent, ok := 0, false
	if exponent, q.format, ok = unit(p.suffix); !ok || exponent > maxExponent {
		return q, errQuantity
	}
	if q.scale(p, exponent); q.nano.BitLen() > maxBits {
		return Quantity{}, errQuantity
	}
	if p.keeps(exponent, q.format, &q.nano) {
		q.text = s
	}
	if p.negative {
		q.nano.Neg(&q.nano)
	}
	return q, nil
}

// quantityParts are what a quantity is written of; whole has no leading zeros.
type quantityParts struct {
	negative            bool
	whole, part, suffix string
}

func splitQuantity(s string) (p quantityParts, ok bool) {
	if s == "" {
		return p, false
	}
	run := func(set string) string {
		rest := strings.TrimLeft(s, set)
		took := s[:len(s)-len(rest)]
		s = rest
		return took
	}
	sign := func() string {
		if s != "" && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
			return "-"
		}
		return ""
	}
	p.negative = s[0] == '-'
	sign()
	run("0")
	if p.whole = run("0123456789"); p.whole == "" {
		p.whole = "0"
	}
	if strings.HasPrefix(s, ".") {
		s = s[1:]
		p.part = run("0123456789")
	}
	p.suffix = s
	run("eEinumkKMGTP")
	sign()
	run("0123456789")
	return p, s == ""
}

// unit reads a suffix; for binary units the exponent is one of 2.
func unit(suffix string) (exponent int, f quantityFormat, ok bool) {
	for _, u := range decimalUnits {
		if u.suffix == suffix {
			return u.exponent, decimalSI, true
		}
	}
	for i, u := range binaryUnits {
		if u == suffix {
			return 10 * (i + 1), binarySI, true
		}
	}
	if len(suffix) > 1 && (suffix[0] == 'e' || suffix[0] == 'E') {
		e, err := strconv.ParseInt(suffix[1:], 10, 32)
		return int(max(e, -maxExponent)), decimalExponent, err == nil
	}
	return 0, 0, false
}

// scale sets the absolute value in billionths.
func (q *Quantity) scale(p quantityParts, exponent int) {
	q.nano.SetString(p.whole+p.part, 10)
	ten := -len(p.part) + 9
	if q.format == binarySI {
		q.nano.Lsh(&q.nano, uint(exponent))
	} else {
		ten += exponent
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(ten, -ten))), nil)
	if ten >= 0 {
		q.nano.Mul(&q.nano, power)
	} else {
		q.nano = *ceilDiv(&q.nano, power)
	}
	if q.format == binarySI {
		// As upstream: binary units are capped, and small ones change their format.
		most := new(big.Int).Mul(big.NewInt(math.MaxInt64), big.NewInt(1e9))
		if q.nano.Cmp(most) > 0 {
			q.nano = *most
		}
		if q.nano.Sign() > 0 && q.nano.Cmp(big.NewInt(1e9)) < 0 {
			q.format = decimalSI
		}
	}
}

// keeps says whether upstream shows the text as it was written: where its fast
// path finds it close enough to canonical.
func (p quantityParts) keeps(exponent int, f quantityFormat, nano *big.Int) bool {
	digits := p.whole + p.part
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n == 0 {
		return false
	}
	if f == binarySI {
		fits := p.part == "" && 14-len(p.whole)-exponent*3/10 >= 0
		return fits && n&7 != 0
	}
	scale := exponent - len(p.part)
	return len(digits) <= 18 && scale >= -9 && scale%3 == 0 && !strings.HasSuffix(digits, "000") && digits[0] != '0'
}

func ceilDiv(a, b *big.Int) *big.Int {
	d, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Sign() > 0 {
		d.Add(d, big.NewInt(1))
	}
	return d
}

// in is the value in units of nanos billionths, rounded up, at most MaxInt64.
func (q *Quantity) in(nanos int64) int64 {
	d := ceilDiv(&q.nano, big.NewInt(nanos))
	if d.IsInt64() {
		return d.Int64()
	}
	if d.Sign() < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

// Value rounds up to a whole number.
func (q *Quantity) Value() int64 { return q.in(1e9) }

// MilliValue is the number of thousandths, rounded up.
func (q *Quantity) MilliValue() int64 { return q.in(1e6) }

// Sign is -1, 0 or 1.
func (q *Quantity) Sign() int { return q.nano.Sign() }

// Cmp is -1, 0 or 1, as q is less than, equal to or more than r.
func (q *Quantity) Cmp(r *Quantity) int { return q.nano.Cmp(&r.nano) }

// String is the canonical form: no fraction, the largest unit that is exact.
func (q *Quantity) String() string {
	switch {
	case q.text != "":
		return q.text
	case q.nano.Sign() == 0:
		return "0"
	}
	if q.format == binarySI {
		whole, rest := new(big.Int).QuoRem(&q.nano, big.NewInt(1e9), new(big.Int))
		if rest.Sign() == 0 && whole.CmpAbs(big.NewInt(1024)) >= 0 {
			times := reduce(whole, 1024)
			if times == 0 {
				return whole.String()
			}
			return whole.String() + binaryUnits[times-1]
		}
	}
	n := new(big.Int).Set(&q.nano)
	exponent := reduce(n, 10) - 9
	for exponent%3 != 0 {
		n.Mul(n, big.NewInt(10))
		exponent--
	}
	for _, u := range decimalUnits {
		if u.exponent == exponent && q.format != decimalExponent {
			return n.String() + u.suffix
		}
	}
	if exponent == 0 {
		return n.String()
	}
	return n.String() + "e" + strconv.Itoa(exponent)
}

// reduce divides out a factor and says how often it could.
func reduce(n *big.Int, factor int64) (times int) {
	f := big.NewInt(factor)
	for {
		d, r := new(big.Int).QuoRem(n, f, new(big.Int))
		if r.Sign() != 0 {
			return times
		}
		n.Set(d)
		times++
	}
}

// MarshalJSON writes the canonical form.
func (q *Quantity) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, q.String()), nil }

// UnmarshalJSON reads a string or a number.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if u, err := strconv.Unquote(s); err == nil {
		s = u
	}
	parsed, err := ParseQuantity(s)
	if err == nil {
		*q = parsed
	}
	return err
}

// quantityHint guesses what was meant: units of other programs.
func quantityHint(s string) string {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789."))
	number, suffix := s[:digits], strings.ToLower(strings.TrimSpace(s[digits:]))
	meant := map[string]string{
		"kb": "k", "mb": "M", "gb": "G", "tb": "T", "kib": "Ki", "mib": "Mi", "gib": "Gi", "tib": "Ti",
		"g": "G", "gi": "Gi", "mi": "Mi", "ki": "Ki", "t": "T", "ti": "Ti", "b": "",
	}
	if unit, ok := meant[suffix]; ok && number != "" {
		return "write " + number + unit
	}
	return ""
}
