package main_test

import (
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

// Programs that nobody wrote for podlab, as the distribution ships them.

func TestPostgreSQL(t *testing.T) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	testenv.Need(t, "postgresql", len(bins) > 0, "no PostgreSQL in /usr/lib/postgresql")
	postgres, err := user.Lookup("postgres")
	testenv.Need(t, "postgresql", err == nil, "no user postgres")
	runProgram(t, "postgres", strings.NewReplacer("@UID@", postgres.Uid, "@GID@", postgres.Gid, "@BIN@", filepath.Dir(bins[0])),
		"client: tcp, written over localhost, from 127\\.0\\.0\\.1",
		"client: socket, written over localhost, from a file",
		"client: shared memory by posix",
	)
}

func TestNginx(t *testing.T) {
	_, err := os.Stat("/usr/sbin/nginx")
	testenv.Need(t, "nginx", err == nil, "no /usr/sbin/nginx")
	runProgram(t, "nginx", strings.NewReplacer(),
		"browser: page, version 1",
		"browser: page, version 2",
		"browser: page, version 3",
	)
}

func TestPython(t *testing.T) {
	_, err := os.Stat("/usr/bin/python3")
	testenv.Need(t, "python3", err == nil, "no /usr/bin/python3")
	runProgram(t, "python", strings.NewReplacer(),
		"client: over HTTP: numbers 4950 pid 1",
		"client: in memory: 4950",
		"server: client is done",
	)
}

// runProgram runs testdata/programs/NAME.yaml with its placeholders filled in
// and wants exit code 0 and every line, given as in expected.
func runProgram(t *testing.T, name string, fill *strings.Replacer, lines ...string) {
	t.Helper()
	data, err := os.ReadFile("testdata/programs/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(fill.Replace(string(data))), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "run", file)
	if r.code != 0 {
		t.Errorf("exit code: got %d, want 0", r.code)
	}
	for _, line := range lines {
		container, text, _ := strings.Cut(line, ": ")
		if !regexp.MustCompile(`(?m)^` + container + `\s*[|│] ` + text + `$`).MatchString(r.stdout) {
			t.Errorf("no line %q", line)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}
