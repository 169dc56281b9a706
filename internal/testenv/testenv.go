// Package testenv lets a test say what it needs of the machine. A test skips by name where the need is not met,
// and the environment variable PODLAB_MUST turns that skip into a failure, so that a machine which is meant to
// have a feature can't pass by silently testing less.
//
// It is for tests only, and for what the machine has or lacks; a test that doesn't work is not a missing feature.
package testenv

import (
	"os"
	"strings"
	"testing"
)

// Need skips t unless ok, giving the feature's name and why it is missing. Where PODLAB_MUST (a comma-separated
// list, or "all") holds the feature, the test fails instead.
func Need(t testing.TB, feature string, ok bool, why string) {
	t.Helper()
	switch {
	case ok:
	case Must(feature):
		t.Fatalf("%s: %s (PODLAB_MUST says this machine has it)", feature, why)
	default:
		t.Skipf("%s: %s", feature, why)
	}
}

// Must tells whether PODLAB_MUST holds feature.
func Must(feature string) bool {
	for f := range strings.SplitSeq(os.Getenv("PODLAB_MUST"), ",") {
		if f = strings.TrimSpace(f); f == feature || f == "all" {
			return true
		}
	}
	return false
}
