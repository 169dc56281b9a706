package upstream

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/podlab/podlab/pod/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// FuzzQuantity: what upstream reads we read, as the same number and the same
// text. Left out are numbers that upstream itself gets wrong or that we bound:
// more than eighteen digits of exponent, and rounding of negative ones.
func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"0", "1", "1.5", "0.5", "100Mi", "1.5Gi", "1e3", "1E3", "1E", "005", "+5", ".", "+", "5.", "1.500", "-1", "100m", "9223372036854775807Ki", "0.001Ki", "1n", "0.1n", "12e-3", "8Ei", "1000000", "1024", "1023Ki"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.TrimSpace(s) != s || len(s) > 30 {
			return
		}
		if i := strings.LastIndexAny(s, "eE"); i >= 0 && len(s)-i > 4 {
			return // upstream computes 1E200000 for minutes
		}
		theirs, theirErr := resource.ParseQuantity(s)
		ours, ourErr := spec.ParseQuantity(s)
		if theirErr == nil {
			if dec := theirs.AsDec(); dec.Scale() < -60 || dec.Scale() > 60 {
				return
			}
			theirs = resource.MustParse(s)
		}
		if number := s[:len(s)-len(strings.TrimLeft(s, "+-.0123456789"))]; !strings.ContainsAny(number, "0123456789") {
			if ourErr == nil {
				t.Fatalf("%q: we accept a quantity without digits", s)
			}
			return
		}
		if (theirErr == nil) != (ourErr == nil) {
			t.Fatalf("%q: upstream %v, we %v", s, theirErr, ourErr)
		}
		if theirErr != nil {
			return
		}
		// Beyond exa upstream's decimal text loses its unit.
		if limit := resource.MustParse("900E"); theirs.Cmp(limit) < 0 && theirs.Sign() >= 0 {
			if got, want := ours.String(), theirs.String(); got != want {
				t.Errorf("%q is %s, upstream's is %s", s, got, want)
			}
		}
		if limit := resource.MustParse("9P"); theirs.Sign() >= 0 && theirs.Cmp(limit) < 0 {
			if got, want := ours.Value(), theirs.Value(); got != want {
				t.Errorf("%q has the value %d, upstream's %d", s, got, want)
			}
			if got, want := ours.MilliValue(), theirs.MilliValue(); got != want && want < math.MaxInt64/1000 {
				t.Errorf("%q has %d thousandths, upstream's %d", s, got, want)
			}
		}
	})
}

// FuzzManifest: what we accept, a strict API server decodes, to the same pod as
// far as our types go. (That it accepts it too is what the corpus tests.)
func FuzzManifest(f *testing.F) {
	for _, s := range []string{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: b}}\nspec: {containers: [{name: b, command: [a]}]}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {hostPID: yes, activeDeadlineSeconds: 1e3, containers: [{name: b, env: [{name: x, value: '1'}]}]}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: b}], volumes: [{name: x, emptyDir: {sizeLimit: 0.5}}, {name: y, hostPath: {path: /a}}]}\n",
		"{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}, \"spec\": {\"containers\": [{\"name\": \"b\"}], \"tolerations\": [{\"operator\": \"Exists\"}]}}",
		"apiVersion: v1\nkind: Pod\nmetadata: &m {name: a}\nspec: {containers: [&c {name: b}, {<<: *c, name: d, tty: on}]}\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, _, err := spec.Parse("m", []byte(s), spec.Options{})
		if err != nil || len(in.Pods) != 1 || len(in.ConfigMaps)+len(in.Secrets) > 0 || strings.Contains(s, "items") {
			return
		}
		if strings.Contains(s, "---") || strings.Contains(s, "...") || strings.Contains(s, "<<") || strings.Contains(s, "!") {
			return // several documents; merges, where the two libraries differ; tags
		}
		var theirs corev1.Pod
		if err := yaml.UnmarshalStrict([]byte(s), &theirs); err != nil {
			t.Fatalf("%q: we accept it, upstream says %v", s, err)
		}
		b, err := json.Marshal(theirs)
		if err != nil {
			t.Fatal(err)
		}
		var want spec.Pod
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		got := in.Pods[0]
		if g, w := containers(t, got), containers(t, &want); g != w {
			t.Errorf("%q\ngot  %s\nwant %s", s, g, w)
		}
	})
}

// containers are the parts of a pod without defaults.
func containers(t *testing.T, p *spec.Pod) string {
	var parts []any
	for _, c := range p.Spec.Containers {
		parts = append(parts, c.Name, c.Command, c.Args, c.TTY, c.Stdin, c.WorkingDir)
		for _, e := range c.Env {
			parts = append(parts, e.Name, e.Value)
		}
	}
	parts = append(parts, p.Name, p.Labels, p.Annotations, p.Spec.HostPID, p.Spec.HostNetwork, p.Spec.ActiveDeadlineSeconds, p.Spec.HostAliases)
	b, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
