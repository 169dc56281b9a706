package pod_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podlab/podlab/examples"
	"github.com/podlab/podlab/internal/testenv"
	_ "github.com/podlab/podlab/ns/stage" // the test binary is its own pod stage
	"github.com/podlab/podlab/pod"
	"github.com/podlab/podlab/pod/spec"
)

// look is what a container is asked about itself.
const look = `
echo "host $(uname -n)"
echo "cwd $(pwd) umask $(umask)"
echo "env $(env | sort | tr '\n' ' ')"
grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|SigIgn|SigBlk):' /proc/self/status
for n in ipc net uts mnt pid cgroup user; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
echo "root $(echo /*) ids $(cat /proc/self/uid_map)"
echo "dev $(ls -l /dev | sed 's/ [A-Z][a-z][a-z] .*:[0-9]* / /; s/^total.*//')"
sed 's/^/mount /' /proc/self/mountinfo
`

// asked is the manifest with every command replaced by look.
func asked(t *testing.T, name string) (*spec.Pod, *spec.Input) {
	t.Helper()
	data, err := examples.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := spec.Parse(name, data, spec.Options{AllowUnsafeSysctls: true})
	if err != nil {
		t.Fatal(err)
	}
	p := in.Pods[0]
	p.Spec.RestartPolicy = spec.RestartPolicyNever
	p.Spec.ActiveDeadlineSeconds = nil
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		c.Command, c.Args = []string{"sh", "-c", fmt.Sprintf("o=$(%s); echo \"$o\" | sed -u 's/^/%s /'", strings.ReplaceAll(look, `$`, `$$`), c.Name)}, nil
		c.Command[2] = strings.ReplaceAll(c.Command[2], "$$", "$")
	}
	return p, in
}

// picture is what look said, put so that two pods can be compared: mounts
// without their numbers, namespaces as "the same as container x".
func picture(out string) string {
	num := regexp.MustCompile(`^(\S+) mount \d+ \d+ \S+ (\S+) (\S+) (\S+).*? - (\S+) \S+ (\S+)$`)
	first := map[string]string{}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	sort.SliceStable(lines, func(i, j int) bool { return strings.Fields(lines[i] + " x")[0] < strings.Fields(lines[j] + " x")[0] })
	for i, l := range lines {
		if m := num.FindStringSubmatch(l); m != nil {
			if m[3] == "/opt/podlab/podlab" {
				m[2] = "podlab" // the test binary lies where root of a pod can't see it; sh has to show another file
			}
			lines[i] = strings.Join([]string{m[1], "mount", m[2], m[3], m[4], m[5], superOptions(m[6])}, " ")
		}
		if f := strings.Fields(l); len(f) == 4 && f[1] == "ns" {
			if first[f[3]] == "" {
				first[f[3]] = f[0]
			}
			lines[i] = f[0] + " ns " + f[2] + " is " + first[f[3]] + "'s"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// superOptions leaves out what differs between two mounts of one kind.
func superOptions(s string) string {
	return regexp.MustCompile(`,(inode64|size=0k|size=0)\b`).ReplaceAllString(s, "")
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// stateRoot is a state directory, short enough and open to a pod's root.
func stateRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "podlab-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Every example is the same pod, made by podlab and made by sh from what
// podlab says it does.
func TestScriptMakesTheSamePod(t *testing.T) {
	for _, tool := range []string{"unshare", "nsenter", "setpriv", "pivot_root"} {
		_, err := exec.LookPath(tool)
		testenv.Need(t, "util-linux", err == nil, tool+" is not installed")
	}
	for _, name := range examples.Names() {
		t.Run(name, func(t *testing.T) {
			dir := stateRoot(t)
			byPodlab := runAsked(t, name, filepath.Join(dir, "s"))
			script := scriptOf(t, name, filepath.Join(dir, "s"))
			bySh := runScript(t, script, dir, "default_"+name)
			if diff := cmp.Diff(picture(byPodlab), picture(bySh)); diff != "" {
				t.Errorf("podlab (-) and sh (+) made different pods:\n%s", diff)
			}
			changed := strings.Replace(script, "mount -t mqueue", "mount -t tmpfs", 1)
			if changed == script {
				t.Fatal("the script mounts no mqueue")
			}
			if picture(byPodlab) == picture(runScript(t, changed, dir, "default_"+name)) {
				t.Error("a changed line makes no difference: the comparison sees nothing")
			}
		})
	}
}

func runAsked(t *testing.T, name, dir string) string {
	t.Helper()
	p, in := asked(t, name)
	root, err := pod.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var out syncBuffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := pod.Run(ctx, root, p, in, pod.Options{Output: func(string, bool) io.Writer { return &out }})
	if err != nil || st.ExitCode != 0 {
		t.Fatalf("run: %v, exit %d\n%s", err, st.ExitCode, out.b.String())
	}
	return out.b.String()
}

func scriptOf(t *testing.T, name, dir string) string {
	t.Helper()
	p, in := asked(t, name)
	h, err := pod.Probe(p)
	if err != nil {
		t.Fatal(err)
	}
	h.Exe = "/bin/true" // see picture
	tree, err := pod.Plan(p, h, pod.PlanOptions{Dir: dir + "/" + p.Namespace + "_" + p.Name, UID: "u", IDBase: 8192 * 65536, Now: time.Now(), Input: in})
	if err != nil {
		t.Fatal(err)
	}
	return tree.Script()
}

func runScript(t *testing.T, script, dir, entry string) string {
	t.Helper()
	if err := os.Chmod(filepath.Join(dir, "s"), 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		entries, _ := filepath.Glob(filepath.Join(dir, "s", "*"))
		for _, e := range entries {
			if err := os.RemoveAll(e); err != nil {
				t.Error(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "s"), 0o700); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "D="+filepath.Join(dir, "s", entry))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		os.WriteFile("/tmp/podlab-script.sh", []byte(script), 0o644)
		t.Fatalf("sh: %v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
