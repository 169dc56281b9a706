package pod_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
	"github.com/podlab/podlab/pod/spec"
)

// The manifests here want out of their pod, or podlab down. Each of them once
// succeeded.

// ran is what became of a pod.
type ran struct {
	out    string
	failed []error // why containers didn't start
	st     pod.Status
}

// runYAML runs the pod of a manifest to its end, as whoever we are.
func runYAML(t *testing.T, manifest, rootfs string) ran {
	t.Helper()
	in, _, err := spec.Parse("hostile.yaml", []byte(manifest), spec.Options{RootfsGiven: rootfs != ""})
	if err != nil {
		t.Fatal(err)
	}
	root, err := pod.OpenRoot(filepath.Join(stateRoot(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var r ran
	var out syncBuffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.st, err = pod.Run(ctx, root, in.Pods[0], in, pod.Options{
		Rootfs: rootfs,
		Output: func(string, bool) io.Writer { return &out },
		Watch: func(e pod.Event) {
			if e.Kind == pod.EventFailed {
				r.failed = append(r.failed, e.Err)
			}
		},
	})
	if err != nil {
		t.Fatalf("run: %v\n%s", err, out.b.String())
	}
	r.out = out.b.String()
	return r
}

// In a shared PID namespace process 1 is the pod stage, whose root is the
// machine's.
func TestHostileWorkingDir(t *testing.T) {
	r := runYAML(t, `
apiVersion: v1
kind: Pod
metadata: {name: cwd}
spec:
  restartPolicy: Never
  shareProcessNamespace: true
  containers: [{name: a, workingDir: /proc/1/root, command: [sh, -c, "echo escaped; ls"]}]
`, "")
	if len(r.failed) != 1 || !errors.Is(r.failed[0], unix.ELOOP) || !strings.Contains(r.failed[0].Error(), "cwd.chdir") || r.out != "" {
		t.Errorf("got %v and output %q, want only ELOOP of cwd.chdir", r.failed, r.out)
	}
}

// hostileRoot is a directory for --rootfs in which name is a symbolic link. What
// programs need comes from a volume at /usr.
func hostileRoot(t *testing.T, name, target string) string {
	t.Helper()
	dir := filepath.Join(stateRoot(t), "root")
	if err := os.MkdirAll(dir+"/usr", 0o755); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{name: target}
	for _, d := range []string{"bin", "lib", "lib64"} {
		links[d] = "usr/" + d
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inRoot is a pod for such a root.
func inRoot(shared bool, workingDir, script string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: root}
spec:
  restartPolicy: Never
  shareProcessNamespace: %v
  volumes: [{name: usr, hostPath: {path: /usr}}]
  containers:
  - name: a
    workingDir: %s
    command: [/usr/bin/sh, -c, %q]
    volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}]
`, shared, workingDir, script)
}

func TestHostileRootfs(t *testing.T) {
	host := stateRoot(t)
	if err := os.Chmod(host, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(host+"/precious", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	plain := runYAML(t, inRoot(false, "/", "echo works"), hostileRoot(t, "other", "/nowhere"))
	if plain.out != "works\n" {
		t.Fatalf("a harmless root doesn't work: %v, output %q", plain.failed, plain.out)
	}
	for _, c := range []struct {
		target string
		shared bool
	}{{host, false}, {host, true}, {"../.." + host, false}, {"/proc/1/root" + host, true}, {"/proc/self/root" + host, true}} {
		t.Run(fmt.Sprintf("etc=%s,shared=%v", c.target, c.shared), func(t *testing.T) {
			runYAML(t, inRoot(c.shared, "/", ":"), hostileRoot(t, "etc", c.target))
			if entries, err := os.ReadDir(host); err != nil || len(entries) != 1 {
				t.Errorf("got %v, %v in a directory of the machine, want one file", entries, err)
			}
		})
	}
	// What a volume has left in it is no better than a root.
	left := stateRoot(t)
	if err := os.Symlink("../../.."+host, left+"/x"); err != nil {
		t.Fatal(err)
	}
	runYAML(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: inner}
spec:
  restartPolicy: Never
  volumes: [{name: v, hostPath: {path: %s}}, {name: w, emptyDir: {}}]
  containers:
  - name: a
    command: ["true"]
    volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /v/x/made}]
`, left), "")
	if entries, err := os.ReadDir(host); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v in a directory of the machine, want one file", entries, err)
	}
	look := fmt.Sprintf("for f in precious .%[1]s/precious /work/precious /work%[1]s/precious; do [ ! -e $f ] || echo seen: $f; done", host)
	for _, target := range []string{"/", host, "../../../..", "/proc/1/root", "/proc/1/cwd", "/proc/self/root"} {
		t.Run("work="+target, func(t *testing.T) {
			if r := runYAML(t, inRoot(true, "/work", look), hostileRoot(t, "work", target)); r.out != "" {
				t.Errorf("the container sees the machine's files:\n%s", r.out)
			}
		})
	}
}

// A volume at /dev lasts longer than the container that leaves a link in it
// (CVE-2025-31133). Masks are made of /dev/null.
func TestHostileDevNull(t *testing.T) {
	_, err := os.Stat("/proc/keys")
	testenv.Need(t, "keys", err == nil, "this kernel has no /proc/keys")
	r := runYAML(t, `
apiVersion: v1
kind: Pod
metadata: {name: masks}
spec:
  restartPolicy: OnFailure
  volumes: [{name: dev, emptyDir: {}}]
  containers:
  - name: a
    volumeMounts: [{name: dev, mountPath: /dev}]
    command:
    - sh
    - -c
    - |
      [ -L /dev/null ] || { ln -s /etc/hostname /dev/null; exit 1; }
      stat -c '%F %t:%T' /proc/keys
      while read -r id parent dev root at rest; do
        [ "$at" != /proc/keys ] || echo "$root"
      done < /proc/self/mountinfo
`, "")
	if want := "character special file 1:3\n/null\n"; r.out != want || r.st.Containers[0].Restarts != 1 {
		t.Errorf("after %d restarts /proc/keys is %q, want %q", r.st.Containers[0].Restarts, r.out, want)
	}
}

// However much there is of something, it is no panic.
func TestHostileNumbers(t *testing.T) {
	var volumes, mounts, containers strings.Builder
	for i := range 200 {
		fmt.Fprintf(&volumes, "  - {name: v%d, emptyDir: {medium: Memory}}\n", i)
		fmt.Fprintf(&mounts, "    - {name: v%d, mountPath: /v/%d, subPath: a/b}\n", i, i)
	}
	for i := range 100 {
		fmt.Fprintf(&containers, "  - {name: c%d, command: [echo, ran]}\n", i)
	}
	const head = "apiVersion: v1\nkind: Pod\nmetadata: {name: many}\nspec:\n  restartPolicy: Never\n"
	for name, c := range map[string]struct {
		manifest string
		want     string
	}{
		"subPath": {head + "  volumes: [{name: v, emptyDir: {}}]\n  containers:\n  - name: a\n    command: [sh, -c, 'echo > /v/f; echo ran']\n    volumeMounts: [{name: v, mountPath: /v, subPath: " +
			strings.TrimSuffix(strings.Repeat("a/", 250), "/") + "}]\n", "ran\n"},
		"volumes":    {head + "  volumes:\n" + volumes.String() + "  containers:\n  - name: a\n    command: [sh, -c, 'set -- /v/*; echo $#']\n    volumeMounts:\n" + mounts.String(), "200\n"},
		"containers": {head + "  containers:\n" + containers.String(), strings.Repeat("ran\n", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			if r := runYAML(t, c.manifest, ""); r.out != c.want {
				t.Errorf("got %v and output %q, want %q", r.failed, r.out, c.want)
			}
		})
	}
}

// binaryData is for volumes, as in the kubelet: it may be no text.
func TestHostileBinaryData(t *testing.T) {
	r := runYAML(t, fmt.Sprintf(`
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {TEXT: text}
binaryData: {BLOB: %s}
---
apiVersion: v1
kind: Pod
metadata: {name: binary}
spec:
  restartPolicy: Never
  volumes: [{name: cm, configMap: {name: cm}}]
  containers:
  - name: a
    envFrom: [{configMapRef: {name: cm}}]
    volumeMounts: [{name: cm, mountPath: /cm}]
    command: [sh, -c, 'echo "$TEXT ${BLOB-unset}"; od -An -tx1 /cm/BLOB']
`, base64.StdEncoding.EncodeToString([]byte("\x00\xff\n"))), "")
	if want := "text unset\n 00 ff 0a\n"; r.out != want {
		t.Errorf("got %q, want %q", r.out, want)
	}
}

// $(NAME) is a variable of the manifest's; what the runtime sets stays as it is
// written.
func TestHostileExpansion(t *testing.T) {
	r := runYAML(t, `
apiVersion: v1
kind: Pod
metadata: {name: expansion}
spec:
  restartPolicy: Never
  containers:
  - name: a
    env: [{name: MINE, value: mine}, {name: BOTH, value: $(MINE) $(HOSTNAME)}]
    command: [echo, $(PATH), $(HOME), $(HOSTNAME), $(MINE), $(BOTH), $$(MINE)]
`, "")
	if want := "$(PATH) $(HOME) $(HOSTNAME) mine mine $(HOSTNAME) $(MINE)\n"; r.out != want {
		t.Errorf("got %q, want %q", r.out, want)
	}
}

// A user with a range of ids can't delete what others of the range have left,
// but with the pod's ids.
func TestHostileForeignFiles(t *testing.T) {
	uid := os.Geteuid()
	if uid == 0 {
		uid = 1000
	}
	uids, gids, err := ns.SubIDs(ns.UserName(uid), uid)
	testenv.Need(t, "subid", err == nil && len(uids) > 0 && len(gids) > 0, fmt.Sprintf("user %d has no range of subordinate ids (%v)", uid, err))
	_, err = ns.IDHelper("newuidmap")
	testenv.Need(t, "newuidmap", err == nil, "no newuidmap here: package uidmap")
	eachCaller(t, func(t *testing.T, c *caller) {
		mark := fmt.Sprintf("foreign-%d-%d", os.Getpid(), c.uid)
		file := c.write(t, "foreign.yaml", strings.ReplaceAll(`
apiVersion: v1
kind: Pod
metadata: {name: MARK}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: a
    securityContext: {runAsUser: 33, runAsGroup: 33}
    volumeMounts: [{name: v, mountPath: /v}]
    command: [sh, -c, "mkdir -p /v/theirs/below && echo > /v/theirs/below/f && chmod 700 /v/theirs && echo done"]
`, "MARK", mark))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if out, err := c.command(ctx, c.prog, "run", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "done") {
			t.Errorf("run: %v\n%s", err, out)
		}
		if left := c.left(mark); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}

// What a manifest says can't end the here-document that it is written into.
func TestHostileScript(t *testing.T) {
	begins := regexp.MustCompile(`^cat > "\$D/[^"]*" <<'(.*)'$`)
	value := "x\nEND\nEOF\nEND_a\nEND_a.sh\nEND_pod.sh\necho escaped\n"
	for range 3 { // each time with what ended the documents the time before
		script := scriptWith(t, value)
		end, inside := "", 0
		for _, line := range strings.Split(script, "\n") {
			switch m := begins.FindStringSubmatch(line); {
			case end == "" && m != nil:
				end = m[1]
				value += end + "\necho escaped\n"
			case end == "" && strings.Contains(line, "escaped"):
				t.Fatalf("it is out of its here-document:\n%s", script)
			case line == end:
				end = ""
			case line == "echo escaped":
				inside++
			}
		}
		if end != "" || inside == 0 {
			t.Fatalf("%q doesn't end, or %d lines are inside one:\n%s", end, inside, script)
		}
		sh := exec.Command("sh", "-n")
		sh.Stdin = strings.NewReader(script)
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("sh -n: %v\n%s", err, out)
		}
	}
}

func scriptWith(t *testing.T, value string) string {
	t.Helper()
	in, _, err := spec.Parse("script.yaml", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: script}\nspec: {containers: [{name: a, command: [env]}]}\n"), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := in.Pods[0]
	p.Spec.Containers[0].Env = []spec.EnvVar{{Name: "V", Value: value}}
	h, err := pod.Probe(p)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := pod.Plan(p, h, pod.PlanOptions{Dir: "/nowhere/default_script", UID: "u", Now: time.Now(), Input: in})
	if err != nil {
		t.Fatal(err)
	}
	return tree.Script()
}
