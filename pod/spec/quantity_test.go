package spec

import (
	"math"
	"testing"
)

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		in    string
		value int64
		milli int64
		text  string
	}{
		{"0", 0, 0, "0"}, {"1", 1, 1000, "1"}, {"0.5", 1, 500, "500m"}, {"1500m", 2, 1500, "1500m"}, {"1.5", 2, 1500, "1500m"},
		{"100Mi", 104857600, 104857600000, "100Mi"}, {"1.5Gi", 1610612736, 1610612736000, "1536Mi"}, {"1024Mi", 1 << 30, 1 << 30 * 1000, "1Gi"},
		{"1k", 1000, 1_000_000, "1k"}, {"1000", 1000, 1_000_000, "1k"}, {"1e3", 1000, 1_000_000, "1e3"}, {"1E", 1e18, math.MaxInt64, "1E"},
		{"1n", 1, 1, "1n"}, {"0.1n", 1, 1, "1n"}, {"100Ei", math.MaxInt64, math.MaxInt64, "9223372036854775807"}, {"-1", -1, -1000, "-1"},
		{"1e-100", 1, 1, "1e-9"}, {"512", 512, 512_000, "512"}, {".5", 1, 500, "500m"}, {"5.", 5, 5000, "5."},
	} {
		q, err := ParseQuantity(c.in)
		if err != nil || q.Value() != c.value || q.MilliValue() != c.milli || q.String() != c.text {
			t.Errorf("%s = %d, %d, %s, %v; want %d, %d, %s", c.in, q.Value(), q.MilliValue(), q.String(), err, c.value, c.milli, c.text)
		}
	}
	for _, s := range []string{"", "x", ".", "+", "Mi", ".k", "10MB", "1ki", "1 Mi", "--1", "1e", "1e1e1", "1e999", "Mi5", "0x10", "1,5"} {
		if q, err := ParseQuantity(s); err == nil {
			t.Errorf("%q = %s, want an error", s, q.String())
		}
	}
}

// FuzzQuantity: the canonical form means the same and is its own canonical form.
func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"0", "1.5Gi", "100m", "1e3", "-5", "0.0000001", "999Ei", "1e-9", "+.5E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuantity(s)
		if err != nil {
			return
		}
		again, err := ParseQuantity(q.String())
		if err != nil || again.Cmp(&q) != 0 || again.String() != q.String() {
			t.Errorf("%q is %s, which is %s (%v)", s, q.String(), again.String(), err)
		}
	})
}
