package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podlab/podlab/examples"
)

// maxManifest is the most that is read of one file: as the kubelet's for static pods (10 MiB).
const maxManifest = 10 << 20

// source is one manifest as it was read.
type source struct {
	name string // as the user named it: "pod.yaml", "<stdin>", "example:hello"
	data []byte
}

const examplePrefix = "example:"

// readSources reads the manifests that names stand for: files, directories of *.yaml, *.yml and *.json, `-` for
// standard input, example:NAME for one that is built in.
func (u *ui) readSources(names []string) ([]source, error) {
	if u.given != nil {
		u.sources = u.given
		return u.given, nil
	}
	if len(names) == 0 {
		return nil, &failure{code: codeOwn, err: errNoManifest, hint: "give files, - for standard input, or example:NAME: podlab " + u.verb + " example:hello"}
	}
	var all []source
	stdin := false
	for _, name := range names {
		var got []source
		var err error
		switch example, isExample := strings.CutPrefix(name, examplePrefix); {
		case name == "-" && stdin:
			err = errors.New("standard input can be read only once")
		case name == "-":
			stdin = true
			got, err = readOne("<stdin>", u.in)
		case isExample:
			got, err = readExample(example)
		default:
			got, err = readPath(name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	u.sources = all
	return all, nil
}

func readOne(name string, r io.Reader) ([]source, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, context(name, bareErrno(err))
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, maxManifest>>20)
	}
	return []source{{name, data}}, nil
}

func readPath(path string) ([]source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, noFile(path, err)
	}
	defer func() { _ = f.Close() }() // only read from
	st, err := f.Stat()
	if err != nil {
		return nil, context(path, bareErrno(err))
	}
	if !st.IsDir() {
		return readOne(path, f)
	}
	files, err := f.ReadDir(-1)
	if err != nil {
		return nil, context(path, bareErrno(err))
	}
	return readDir(path, files)
}

// readDir reads the manifests right in a directory, in the order of their names, and no files that begin with a dot,
// as kubectl -f does.
func readDir(path string, files []fs.DirEntry) ([]source, error) {
	var all []source
	slices.SortFunc(files, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, f := range files {
		full := filepath.Join(path, f.Name())
		// Stat, for a link to a file is as good as a file; opening a FIFO would wait for its writer.
		if st, err := os.Stat(full); !isManifest(f.Name()) || err == nil && !st.Mode().IsRegular() {
			continue
		}
		got, err := readPath(full)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no manifest in it (*.yaml, *.yml, *.json)", path)
	}
	return all, nil
}

func isManifest(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// noFile says that path can't be opened, and what may have been meant.
func noFile(path string, err error) error {
	f := &failure{code: codeOwn, err: context(path, bareErrno(err))}
	if !errors.Is(err, fs.ErrNotExist) {
		return f
	}
	short := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if slices.Contains(examples.Names(), short) {
		f.hint = "did you mean " + examplePrefix + short + "?"
		return f
	}
	var names []string
	if files, err := os.ReadDir(filepath.Dir(path)); err == nil { // only for the hint
		for _, e := range files {
			if isManifest(e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	if near, ok := nearest(filepath.Base(path), names); ok {
		f.hint = "did you mean " + filepath.Join(filepath.Dir(path), near) + "?"
	}
	return f
}

func readExample(name string) ([]source, error) {
	data, err := examples.Read(name)
	if err == nil {
		return []source{{examplePrefix + name, data}}, nil
	}
	f := &failure{code: codeOwn, err: errors.New(examplePrefix + name + ": there is no such example")}
	if near, ok := nearest(name, examples.Names()); ok {
		f.hint = "did you mean " + examplePrefix + near + "?"
	} else {
		f.hint = "there are " + strings.Join(examples.Names(), ", ")
	}
	return nil, f
}
