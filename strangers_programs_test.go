package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

// A pod that uses all six kinds as hard as it can, and checks what comes back, doesn't disturb another one.
func TestStress(t *testing.T) {
	_, err := exec.LookPath("stress-ng")
	testenv.Need(t, "stress-ng", err == nil, "no stress-ng")
	idle := "  - {name: app, command: [sleep, infinity]}\n  - {name: pull, command: [sleep, infinity]}\n"
	p := startPods(t, podHeader("noisy")+idle+podHeader("quiet")+idle)
	stressors := []string{"shm-sysv", "sem-sysv", "msg", "mq", "sem", "shm"}
	command := []string{"stress-ng", "--verify", "--metrics-brief", "--temp-path", "/tmp", "--timeout", "2s",
		"--shm-sysv-bytes", "1m", "--shm-bytes", "1m"}
	for _, s := range stressors {
		command = append(command, "--"+s, "1")
	}
	stress := p.starts("noisy/app", command...)
	stress.says("dispatching hogs")
	ended := make(chan struct{})
	var rest string
	var code int
	go func() {
		defer close(ended)
		rest, code = stress.ends()
	}()
	during := 0
	for running := true; running; {
		r := p.run("ipc", "matrix", "quiet", "noisy")
		select {
		case <-ended:
			running = false
		default:
			during++
		}
		if r.code != 0 {
			t.Errorf("podlab ipc matrix: code %d\n%s%s", r.code, r.stdout, r.stderr)
			break
		}
	}
	<-ended
	if code != 0 || !strings.Contains(rest, "successful run completed") {
		t.Errorf("stress-ng: code %d\n%s", code, rest)
	}
	for _, s := range stressors {
		if !regexp.MustCompile(`\] ` + s + ` +[1-9]\d* `).MatchString(rest) {
			t.Errorf("stress-ng did nothing of %s\n%s", s, rest)
		}
	}
	if during == 0 {
		t.Error("no matrix was measured while stress-ng ran")
	}
	t.Logf("%d matrices while stress-ng ran", during)
}

// What `podlab ipc ls POD -o json` says, as far as it matters here.
type inventory struct {
	Items []struct {
		Object struct {
			Kind, Key          string
			ID, Size, Attached int
		}
		Creator *holder
		Users   []holder
	}
}

type holder struct {
	PID             int
	Name, Container string
	Gone            bool
}

// PostgreSQL's segment is its pod's: seen by a sibling, by nobody in another pod; from outside it has a name on it.
func TestPostgreSQLSegment(t *testing.T) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	testenv.Need(t, "postgresql", len(bins) > 0, "no PostgreSQL in /usr/lib/postgresql")
	postgres, err := user.Lookup("postgres")
	testenv.Need(t, "postgresql", err == nil, "no user postgres")
	manifest, err := os.ReadFile("testdata/programs/postgres_shm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := startPods(t, strings.NewReplacer("@UID@", postgres.Uid, "@GID@", postgres.Gid, "@BIN@", filepath.Dir(bins[0])).Replace(string(manifest)))
	p.follows("pg/server").says("database system is ready to accept connections|has ended")
	if got := p.does("pg/sibling", "psql", "-h", "/data", "-U", "postgres", "-qAt", "-c", "select 1"); got != "1" {
		t.Fatalf("the server says %q, want 1", got)
	}

	// The server's own word: line 7 of postmaster.pid is key and identifier, as decimal numbers.
	own := strings.Fields(p.does("pg/sibling", "sed", "-n", "7p", "/data/db/postmaster.pid"))
	if len(own) != 2 {
		t.Fatalf("postmaster.pid: got %q, want a key and an identifier", own)
	}
	number, err := strconv.ParseUint(own[0], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	key, id := "0x"+strconv.FormatUint(1<<32|number, 16)[1:], own[1]

	p.names(key, id)
	p.does("pg/sibling", "podlab", "ipc", "shm", "stat", key)
	for _, r := range []result{p.run("ipc", "ls", "other"), p.exec("other/app", "podlab", "ipc", "ls")} {
		if r.code != 0 || strings.Contains(r.stdout, key) {
			t.Errorf("other: code %d, want no %s\n%s%s", r.code, key, r.stdout, r.stderr)
		}
	}
	p.refused("other/app", "ENOENT", "podlab", "ipc", "shm", "stat", key)
	p.does("pg/sibling", "podlab", "ipc", "shm", "stat", key)

	// What it is for: no second server for the same files, although the sibling can't see the first one's process.
	second := p.exec("pg/sibling", "postgres", "-D", "/data/db", "-k", "/tmp", "-c", "listen_addresses=", "-p", "5433")
	if want := "(key " + own[0] + ", ID " + id + ") is still in use"; second.code != 1 || !strings.Contains(second.stderr, want) {
		t.Errorf("a second server: code %d, want 1 and %q\n%s%s", second.code, want, second.stdout, second.stderr)
	}
}

// names wants that podlab ipc ls knows PostgreSQL's segment, its maker, and everybody who is attached, from outside.
func (p pods) names(key, id string) {
	p.t.Helper()
	r := p.run("ipc", "ls", "pg", "-o", "json")
	var all inventory
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		p.t.Fatalf("podlab ipc ls pg: %v\n%s%s", err, r.stdout, r.stderr)
	}
	for _, item := range all.Items {
		if item.Object.Kind != "shm" || item.Object.Key != key {
			continue
		}
		if got := strconv.Itoa(item.Object.ID); got != id {
			p.t.Errorf("identifier: got %s, want %s", got, id)
		}
		if item.Creator == nil || item.Creator.Container != "server" || item.Creator.Name != "postgres" {
			p.t.Errorf("creator: got %+v, want postgres in server", item.Creator)
		}
		// Postmaster, checkpointer, writer and so on: at least three, and as many as the kernel counts.
		if n := len(item.Users); n != item.Object.Attached || n < 3 {
			p.t.Errorf("users: got %+v, want %d", item.Users, item.Object.Attached)
		}
		for _, u := range item.Users {
			if u.Container != "server" || !strings.HasPrefix(u.Name, "postgres") {
				p.t.Errorf("user: got %+v, want postgres in server", u)
			}
		}
		line := regexp.MustCompile(`(?m)^shm +` + key + ` +` + id + ` .* server/postgres .*server/postgres`)
		if r := p.run("ipc", "ls", "pg"); !line.MatchString(r.stdout) {
			p.t.Errorf("podlab ipc ls pg: want a line like %q\n%s%s", line, r.stdout, r.stderr)
		}
		return
	}
	p.t.Errorf("podlab ipc ls pg: want %s\n%s%s", key, r.stdout, r.stderr)
}
