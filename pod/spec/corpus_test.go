package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

var update = flag.Bool("update", false, "write testdata/corpus.txt")

// manifests is the directory of real manifests, which is not in the repository:
// $PODLAB_SHARED or ../shared beside it.
func manifests(t testing.TB) string {
	dir := os.Getenv("PODLAB_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	dir = filepath.Join(dir, "manifests")
	_, err := os.Stat(dir)
	testenv.Need(t, "manifests", err == nil, "no directory of manifests: "+dir)
	return dir
}

// A verdict is what kube-apiserver said of a manifest.
type verdict struct{ word, file, message string }

func verdicts(t testing.TB, dir string) (all []verdict) {
	data, err := os.ReadFile(filepath.Join(dir, "VERDICTS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n")[1:] {
		if cells := strings.Split(line, "\t"); len(cells) == 3 {
			all = append(all, verdict{cells[0], cells[1], cells[2]})
		}
	}
	return all
}

// TestCorpus: what the API server accepts is accepted, or refused as not
// supported only; what it rejects is refused as invalid. The outcomes are a
// golden file.
func TestCorpus(t *testing.T) {
	dir := manifests(t)
	var table strings.Builder
	for _, v := range verdicts(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, "open", v.file))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Parse(v.file, data, Options{RootfsGiven: true})
		invalid, unsupported := split(t, err)
		switch {
		case v.word == "accepted" && len(invalid) > 0:
			t.Errorf("%s: kube-apiserver accepts it, we say: %v", v.file, invalid)
		case v.word == "rejected" && len(invalid) == 0:
			t.Errorf("%s: kube-apiserver rejects it, we don't: %s\nunsupported: %v", v.file, v.message, unsupported)
		}
		table.WriteString(outcome(v.file, invalid, unsupported))
	}
	golden(t, "testdata/corpus.txt", table.String())
}

func split(t testing.TB, err error) (invalid, unsupported Errors) {
	if err == nil {
		return nil, nil
	}
	errs, ok := err.(Errors)
	if !ok || len(errs) == 0 {
		t.Fatalf("the error is a %T of length %d, want Errors", err, len(errs))
	}
	for _, e := range errs {
		if e.Line == 0 || e.Msg == "" {
			t.Errorf("a fault without place or text: %+v", e)
		}
		if e.Kind == Invalid {
			invalid = append(invalid, e)
			continue
		}
		unsupported = append(unsupported, e)
		if !strings.Contains(e.Msg, "supported") {
			t.Errorf("%v: want the word \"supported\" in what is not supported", e)
		}
	}
	return invalid, unsupported
}

// outcome is a line of the golden file: one word, and the fields behind it.
func outcome(file string, invalid, unsupported Errors) string {
	word, errs := "accepted", invalid
	if len(invalid) > 0 {
		word = "invalid"
	} else if len(unsupported) > 0 {
		word, errs = "not supported", unsupported
	}
	var paths []string
	for _, e := range errs {
		if p := fmt.Sprintf("%d:%s", e.Line, e.Path); !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return strings.TrimRight(word+"\t"+file+"\t"+strings.Join(paths, " "), "\t") + "\n"
}

func golden(t *testing.T, name, got string) {
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := at(gotLines, i), at(wantLines, i)
		if g != w {
			t.Errorf("%s:%d:\ngot  %s\nwant %s", name, i+1, g, w)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// TestDefaults: every field that we decode equals what the API server stored,
// also where it was not written.
func TestDefaults(t *testing.T) {
	dir := manifests(t)
	compared := 0
	for _, v := range verdicts(t, dir) {
		if v.word != "accepted" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, "open", v.file))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := os.ReadFile(filepath.Join(dir, "golden", strings.TrimSuffix(v.file, ".yaml")+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want Pod
		if err := json.Unmarshal(stored, &want); err != nil {
			t.Fatal(err)
		}
		in, _, _ := Parse(v.file, data, Options{RootfsGiven: true})
		if len(in.Pods) == 0 {
			t.Errorf("%s: no pod decoded", v.file)
			continue
		}
		got := in.Pods[0]
		// What the server itself sets.
		want.UID, got.UID = "", ""
		if got.Name == "" { // made up from generateName
			want.Name = ""
		}
		if g, w := encode(t, got), encode(t, &want); !bytes.Equal(g, w) {
			t.Errorf("%s:\ngot  %s\nwant %s", v.file, g, w)
		}
		compared++
	}
	if compared < 100 {
		t.Errorf("compared %d pods, want the corpus", compared)
	}
}

func encode(t *testing.T, p *Pod) []byte {
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
