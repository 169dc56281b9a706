package cli

import (
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]string{
		"": "", "5m": "2026-01-02T02:59:05Z", "1h30m": "2026-01-02T01:34:05Z", "0s": "2026-01-02T03:04:05Z",
		"2016-10-06T00:17:09Z": "2016-10-06T00:17:09Z", "2016-10-06T02:17:09.5+02:00": "2016-10-06T00:17:09.5Z",
		"5": "error", "-5m": "error", "2016-10-06": "error", "yesterday": "error",
	} {
		var s since
		got := ""
		if err := s.parse(text, now); err != nil {
			got = "error"
		} else if !s.IsZero() {
			got = s.UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestGrace(t *testing.T) {
	for text, want := range map[string]time.Duration{"": -1, "0": 0, "5": 5 * time.Second, "0s": 0, "1m": time.Minute, "1.5s": 1500 * time.Millisecond} {
		if got, err := parseGrace(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1", "-1s", "x", "5x", "99999999999"} {
		if got, err := parseGrace(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
