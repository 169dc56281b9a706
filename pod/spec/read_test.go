package spec

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestScalar: unquoted values mean what they mean to kubectl.
func TestScalar(t *testing.T) {
	for _, c := range []struct {
		in    string
		class class
		text  string
	}{
		{"", nullClass, ""}, {"~", nullClass, ""}, {"null", nullClass, ""}, {"nULL", stringClass, "nULL"},
		{"yes", boolClass, "true"}, {"Off", boolClass, "false"}, {"y", boolClass, "true"}, {"yEs", stringClass, "yEs"},
		{"80", intClass, "80"}, {"-5", intClass, "-5"}, {"+5", intClass, "5"}, {"0644", intClass, "420"}, {"0o644", intClass, "420"},
		{"0x1F", intClass, "31"}, {"0b101", intClass, "5"}, {"1_000", intClass, "1000"}, {"18446744073709551615", intClass, "18446744073709551615"},
		{"08", floatClass, "8"}, {"0.5", floatClass, "0.5"}, {".5", floatClass, "0.5"}, {"5.", floatClass, "5"}, {"1e3", floatClass, "1000"},
		{"1e-7", floatClass, "1e-07"}, {".inf", floatClass, "Inf"}, {"-.Inf", floatClass, "Inf"}, {".nan", floatClass, "NaN"},
		{"1.2.3", stringClass, "1.2.3"}, {"100Mi", stringClass, "100Mi"}, {"2001-01-02", stringClass, "2001-01-02"}, {"-", stringClass, "-"},
		{"0x", stringClass, "0x"}, {"1e", stringClass, "1e"}, {"0x1p-2", stringClass, "0x1p-2"}, {"infinity", stringClass, "infinity"}, {"12:30", stringClass, "12:30"},
	} {
		if cl, text := scalar(c.in); cl != c.class || text != c.text {
			t.Errorf("scalar(%q) = %d, %q; want %d, %q", c.in, cl, text, c.class, c.text)
		}
	}
}

// TestForms: one pod in the ways that people write it.
func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":         `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","annotations":{"x":"\ud83d\ude00\/"}},"spec":{"containers":[{"name":"app","command":["a"]}]}}`,
		"JSON, tabs":   "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"web\"},\n\t\"spec\": {\"containers\": [{\"name\": \"app\", \"command\": [\"a\"]}]}\n}\n",
		"KYAML":        "---\n{\n  # a comment\n  apiVersion: \"v1\",\n  kind: \"Pod\",\n  metadata: {\n    name: \"web\",\n  },\n  spec: {\n    containers: [{\n      name: \"app\",\n      command: [\n        \"a\",\n      ],\n    }],\n  },\n}\n",
		"KYAML, bare":  "{apiVersion: \"v1\", kind: \"Pod\", metadata: {name: \"web\",}, spec: {containers: [{name: \"app\", command: [\"a\",],},],},}\n",
		"comments":     "# one\n\n---\n# two\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: app\n    command: [a]\n...\n---\n# three\n",
		"CRLF":         "apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: web\r\nspec:\r\n  containers:\r\n  - name: app\r\n    command: [a]\r\n",
		"BOM":          "\ufeffapiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, command: [a]}]}\n",
		"List":         "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: app, command: [a]}]}}\n",
		"PodList":      "apiVersion: v1\nkind: PodList\nmetadata: {resourceVersion: \"5\"}\nitems:\n- metadata: {name: web}\n  spec: {containers: [{name: app, command: [a]}]}\n",
		"anchor":       "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {a: &n app}}\nspec: {containers: [{name: *n, command: [a]}]}\n",
		"merge":        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostAliases: [&h {ip: 1.2.3.4}, {<<: *h, hostnames: [x]}]\n  containers: [{name: app, command: [a]}]\n",
		"two of JSON":  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"app","command":["a"]}]}}`,
		"tagged":       "apiVersion: v1\nkind: Pod\nmetadata: {name: !!str web}\nspec: {hostPID: !!bool true, containers: [{name: app, command: [!!binary YQ==]}]}\n",
		"explicit key": "? apiVersion\n: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, command: [a]}]}\n",
	} {
		in, _, err := Parse("m", []byte(text), Options{})
		if err != nil {
			t.Errorf("%s: %s", name, faults(err))
			continue
		}
		p := in.Pods[0]
		if p.Name != "web" || len(p.Spec.Containers) != 1 || p.Spec.Containers[0].Name != "app" || fmt.Sprint(p.Spec.Containers[0].Command) != "[a]" {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

// TestBombs: text made to cost much costs little, and is refused in words.
func TestBombs(t *testing.T) {
	lol := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	merges := "a: &a {x: 1}\n"
	for c := 'b'; c < 'm'; c++ {
		lol += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 10))
		merges += fmt.Sprintf("%c: &%c {<<: [%s]}\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 10))
	}
	var keys strings.Builder
	for i := range 190_000 {
		fmt.Fprintf(&keys, "    k%d: 1\n", i)
	}
	for name, text := range map[string]string{
		"aliases":      lol,
		"itself":       "a: &a [*a, *a]\n",
		"merges":       merges,
		"deep":         strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"deeper":       strings.Repeat("[", 1_000_000),
		"deep lists":   strings.Repeat("- ", 500_000) + "a",
		"deep JSON":    strings.Repeat(`{"a":`, 100_000),
		"items":        "a: [" + strings.Repeat("a,", 290_000) + "]",
		"separators":   "a: [" + strings.Repeat(",", 2_000_000) + "]",
		"unknown keys": container(keys.String()),
		"anchors":      strings.Repeat("- &a x\n", 180_000),
		"documents":    strings.Repeat("--- a\n", 110_000),
		"one line":     "a: " + strings.Repeat("b", maxFile),
		"quotes":       "a: \"" + strings.Repeat("\\", 2_000_001),
		"question":     strings.Repeat("? a\n", 250_000),
		"open quote":   strings.Repeat("a: 'b\n", 40_000),
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, _, err := Parse("m", []byte(text), Options{})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took > 10*time.Second || after.Sys > 512<<20 {
			t.Errorf("%s: %v and %d MiB from the system; want 10 s and 512 MiB at most", name, took, after.Sys>>20)
		}
		t.Logf("%-13s %8.1f ms, %4d MiB allocated: %s", name, float64(took.Microseconds())/1000, (after.TotalAlloc-before.TotalAlloc)>>20, strings.SplitN(faults(err), "\n", 2)[0])
	}
}

// TestShown: nothing of a manifest reaches a terminal as a control code.
func TestShown(t *testing.T) {
	text := "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"\\u001b[2J\"},\"spec\":{\"containers\":[{\"name\":\"a\"}],\"\\u001b]0;x\\u0007\":1,\"volumes\":[{\"name\":\"\\u009b1m\"}]}}"
	_, _, err := Parse("m", []byte(text), Options{})
	for _, e := range err.(Errors) {
		for _, shown := range []string{e.Error(), e.Hint, e.Source} {
			if i := strings.IndexFunc(shown, func(r rune) bool { return r < ' ' || 0x7F <= r && r < 0xA0 }); i >= 0 {
				t.Errorf("%q holds a control code", shown)
			}
		}
	}
	if len(err.(Errors)) < 3 {
		t.Errorf("got %s", faults(err))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{twoContainers, pod(ok), "{", "a: &a [*a]\n", `{"kind":"Pod"}`, "? [a]\n: b\n", "--- !!binary x\n", "a: !<tag:yaml.org,2002:int> x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, _, err := Parse("m", data, Options{})
		if in == nil {
			t.Fatal("no input")
		}
		// YAML 1.1 has five kinds of line ends.
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u0085")) +
			bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029"))
		errs, _ := err.(Errors)
		for _, e := range errs {
			if e.Msg == "" || e.Line < 0 || e.Line > lines {
				t.Errorf("fault %+v of %q", e, data)
			}
		}
		if err == nil {
			for _, p := range in.Pods {
				if !isSubdomain(p.Name) || !isLabel(p.Namespace) || len(p.Spec.Containers) == 0 {
					t.Errorf("accepted %+v", p)
				}
			}
		}
	})
}
