package spec

import (
	"fmt"
	"strings"
	"testing"
)

// pod wraps lines of spec, indented by two, into a manifest that is otherwise
// valid. Line 5 is the first of them.
func pod(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n" + spec
}

// container wraps lines of a container, indented by four; line 7 is the first.
func container(lines string) string {
	return pod("  containers:\n  - name: app\n" + lines)
}

const ok = "  containers: [{name: app, command: [x]}]\n"

const noCommand = "no command, and no image"

func TestNoCommand(t *testing.T) {
	for manifest, want := range map[string]string{
		container(""):                                  "m:6:5: spec.containers[0].command: not supported: " + noCommand,
		container("    args: [x]\n"):                   "m:7:5: spec.containers[0].command: not supported: " + noCommand,
		container("    command: []\n"):                 "m:6:5: spec.containers[0].command: not supported: " + noCommand,
		container("    comand: [x]\n"):                 "m:7:5: spec.containers[0].comand: unknown field",
		container("    command: [x]\n"):                "",
		container("    command: [x]\n    args: [z]\n"): "",
	} {
		_, _, err := Parse("m", []byte(manifest), Options{RootfsGiven: true})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", manifest, got, want)
		}
	}
}

func faults(err error) string {
	var b strings.Builder
	if errs, isErrs := err.(Errors); isErrs {
		for _, e := range errs {
			if strings.Contains(e.Msg, noCommand) {
				continue // most manifests here are about something else
			}
			fmt.Fprintf(&b, "%s: %s: %s", e.Kind, e.Place, e.Msg)
			if e.Hint != "" {
				b.WriteString(" | " + e.Hint)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// TestFaults: what is said, and of which place. Each case is one manifest; want
// is a part of what is said about it, or "" for nothing at all.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, manifest, want string }{
		{"fine", pod(ok), ""},
		{"unknown field", container("    comand: [sh]\n"), "invalid: m:7:5: spec.containers[0].comand: unknown field | did you mean command?"},
		{"wrong case", pod("  hostnetwork: true\n" + ok), "m:5:3: spec.hostnetwork: unknown field | did you mean hostNetwork?"},
		{"wrong level", container("    hostPID: true\n"), "unknown field | hostPID is a field of spec"},
		{"unknown below ignored", pod(ok + "  affinity: {nodeAfinity: {}}\n"), "spec.affinity.nodeAfinity: unknown field"},
		{"unknown below refused", container("    livenessProbe: {exec: {comand: [x]}}\n"), "livenessProbe.exec.comand: unknown field"},
		{"number for a string", container("    env: [{name: A, value: 80}]\n"), "m:7:28: spec.containers[0].env[0].value: want a string, have the number 80 | write \"80\""},
		{"yes for a string", container("    env: [{name: A, value: yes}]\n"), "want a string, have the boolean yes | write \"yes\""},
		{"yes is true", pod("  hostPID: yes\n" + ok), ""},
		{"string for a boolean", pod("  hostPID: \"true\"\n" + ok), "want true or false, have the string \"true\" | write true without quotes"},
		{"string for a number", pod("  activeDeadlineSeconds: \"9\"\n" + ok), "write 9 without quotes"},
		{"fraction", pod("  activeDeadlineSeconds: 1.5\n" + ok), "want a whole number, have the number 1.5"},
		{"whole float", pod("  activeDeadlineSeconds: 1e3\n" + ok), ""},
		{"too large", container("    ports: [{containerPort: 4294967296}]\n"), "does not fit"},
		{"string for a list", container("    command: sh\n"), "want a list, have the string \"sh\" | write [\"sh\"]"},
		{"null is absent", container("    command: null\n    env:\n"), ""},
		{"duplicate key", container("    tty: true\n    tty: true\n"), "m:8:5: spec.containers[0].tty: the key is already on line 7"},
		{"no name", "apiVersion: v1\nkind: Pod\nmetadata: {}\nspec:\n" + ok, "m:3:11: metadata.name: required"},
		{"bad name", "apiVersion: v1\nkind: Pod\nmetadata: {name: Web_1}\nspec:\n" + ok, "have \"Web_1\" | write web-1"},
		{"path as a name", "apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}\nspec:\n" + ok, "metadata.name: want"},
		{"generateName", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\nspec:\n" + ok, "not supported: m:3:12: metadata.generateName"},
		{"no containers", pod("  containers: []\n"), "spec.containers: a pod needs at least one container"},
		{"two of a name", pod("  containers: [{name: a}, {name: a}]\n"), "spec.containers[1].name: \"a\" is already taken"},
		{"dotted container", pod("  containers: [{name: a.b}]\n"), "write a-b"},
		{"env name", container("    env: [{name: A=B}]\n"), "printable ASCII without ="},
		{"two sources", container("    env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n"), "may not be set together with value"},
		{"label by key", container("    env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}]\n"), ""},
		{"unknown fieldPath", container("    env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.nam}}}]\n"), "write metadata.name"},
		{"mount of nothing", container("    volumeMounts: [{name: dat, mountPath: /x}]\n  volumes: [{name: data}]\n"), "there is no volume \"dat\" | did you mean data?"},
		{"two at one path", container("    volumeMounts: [{name: d, mountPath: /x}, {name: d, mountPath: /x}]\n  volumes: [{name: d}]\n"), "\"/x\" is already taken"},
		{"subPath climbs", container("    volumeMounts: [{name: d, mountPath: /x, subPath: a/../../b}]\n  volumes: [{name: d}]\n"), "want a path without .."},
		{"subPath absolute", container("    volumeMounts: [{name: d, mountPath: /x, subPath: /etc}]\n  volumes: [{name: d}]\n"), "want a relative path"},
		{"hostPath climbs", pod(ok + "  volumes: [{name: d, hostPath: {path: /a/../b}}]\n"), "want a path without .."},
		{"hostPath type", pod(ok + "  volumes: [{name: d, hostPath: {path: /a, type: directory}}]\n"), "write Directory"},
		{"two sources of a volume", pod(ok + "  volumes: [{name: d, emptyDir: {}, hostPath: {path: /a}}]\n"), "may not be set together with emptyDir"},
		{"octal mode", pod(ok + "  volumes: [{name: d, configMap: {name: c, defaultMode: 0644, optional: true}}]\n"), ""},
		{"decimal mode", pod(ok + "  volumes: [{name: d, configMap: {name: c, defaultMode: 644, optional: true}}]\n"), "octal modes begin with 0"},
		{"size", pod(ok + "  volumes: [{name: d, emptyDir: {sizeLimit: 10MB}}]\n"), "write 10M"},
		{"negative size", pod(ok + "  volumes: [{name: d, emptyDir: {sizeLimit: -1Mi}}]\n"), "want a size of 0 or more"},
		{"restartPolicy", pod(ok + "  restartPolicy: never\n"), "write Never"},
		{"both PIDs", pod(ok + "  hostPID: true\n  shareProcessNamespace: true\n"), "may not be true together with hostPID"},
		{"user namespace and host", pod(ok + "  hostUsers: false\n  hostNetwork: true\n  hostIPC: true\n"), "m:7:3: spec.hostNetwork: may not be true with hostUsers: false"},
		{"deadline", pod(ok + "  activeDeadlineSeconds: 0\n"), "want a number from 1"},
		{"negative grace", pod(ok + "  terminationGracePeriodSeconds: -5\n"), ""},
		{"sysctl", pod(ok + "  securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: \"1\"}]}\n"), ""},
		{"unsafe sysctl", pod(ok + "  securityContext: {sysctls: [{name: kernel.msgmax, value: \"1\"}]}\n"), "run with --allow-unsafe-sysctls"},
		{"sysctl of the machine", pod(ok + "  securityContext: {sysctls: [{name: vm.swappiness, value: \"1\"}]}\n"), "belongs to the whole machine"},
		{"sysctl climbs", pod(ok + "  securityContext: {sysctls: [{name: net/../kernel, value: \"1\"}]}\n"), "want a-z"},
		{"sysctl of the host", pod(ok + "  hostNetwork: true\n  securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: \"1\"}]}\n"), "may not be set with hostNetwork"},
		{"sysctl with slashes", pod(ok + "  securityContext: {sysctls: [{name: net/ipv4/tcp_syncookies, value: \"1\"}]}\n"), ""},
		{"root against runAsNonRoot", container("    securityContext: {runAsNonRoot: true}\n"), "would run as uid 0"},
		{"runAsNonRoot", container("    securityContext: {runAsNonRoot: true, runAsUser: 5}\n"), ""},
		{"uid", container("    securityContext: {runAsUser: -1}\n"), "want a number from 0 to 2147483647"},
		{"image", container("    image: nginx\n"), "not yet supported: images are not fetched | leave image out"},
		{"refused", pod(ok + "  initContainers: [{name: i}]\n"), "not supported: m:6:3: spec.initContainers: not yet supported"},
		{"refused but empty", pod(ok + "  initContainers: []\n  dnsPolicy: ClusterFirst\n"), ""},
		{"fault in the refused", pod(ok + "  initContainers: [{name: i, livenessProbe: {exec: {command: [x]}}}]\n"), "only with restartPolicy: Always"},
		{"ignored is judged", pod(ok + "  nodeSelector: {a: \"b c\"}\n"), "spec.nodeSelector.a: want at most 63"},
		{"alias", "x: &c [{name: app}]\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: *c}\n", "m:1:1: x: unknown field"},
		{"no kind", "apiVersion: v1\n", "kind is missing"},
		{"another kind", "apiVersion: apps/v1\nkind: Deployment\n", "kind Deployment; podlab runs Pods, with the ConfigMaps and Secrets that they use | write the metadata and spec"},
		{"version", "apiVersion: apps/v1\nkind: Pod\nmetadata: {name: a}\nspec:\n" + ok, "there is no Pod in \"apps/v1\" | write v1"},
		{"twice", pod(ok) + "---\n" + pod(ok), "the Pod default/web is already at m:3:18"},
		{"nothing", "# only a comment\n", "no Pod in it"},
		{"missing ConfigMap", container("    envFrom: [{configMapRef: {name: c}}]\n"), "not supported: m:7:31: spec.containers[0].envFrom[0].configMapRef.name: not supported: the ConfigMap \"c\" is not in this input"},
		{"ConfigMap elsewhere", container("    envFrom: [{configMapRef: {name: c}}]\n") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: other}\n", "there is one in the namespace other"},
		{"missing key", container("    env: [{name: A, valueFrom: {secretKeyRef: {name: c, key: k}}}]\n") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {x: z}\n", "has no key \"k\""},
		{"found key", container("    env: [{name: A, valueFrom: {secretKeyRef: {name: c, key: x}}}]\n") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {x: z}\n", ""},
		{"base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\ndata: {x: \"?\"}\n", "want base64"},
		{"control code", "a: \x1b[31m\n", "m:1:4: the control code 0x1b"},
		{"not UTF-8", "a: \xff\n", "m:1:4: not UTF-8"},
		{"tab", pod("  containers:\n\t- name: app\n"), "m:6:2: not YAML"},
		{"indentation", container("   tty: true\n"), "m:7:4: not YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Parse("m", []byte(c.manifest), Options{})
			got := faults(err)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s\ngot  %s\nwant %s", c.manifest, got, c.want)
			}
		})
	}
}

// TestAllFaults: one run reports all, in the order of the file.
func TestAllFaults(t *testing.T) {
	_, _, err := Parse("m", []byte(container("    comand: [sh]\n    env: [{name: A, value: 1}]\n")+"  restartPolicy: no\n  x: 1\n"), Options{})
	var lines []int
	for _, e := range err.(Errors) {
		lines = append(lines, e.Line)
	}
	if got, want := fmt.Sprint(lines), "[7 8 9 10]"; got != want {
		t.Errorf("faults on lines %s, want %s:\n%s", got, want, faults(err))
	}
}

func TestWarnings(t *testing.T) {
	in, warnings, err := Parse("m", []byte(container("    image: nginx\n    imagePullPolicy: Always\n    command: [x]\n")+"  nodeSelector: {a: b}\n  serviceAccountName: x\n  schedulerName: default-scheduler\n"), Options{RootfsGiven: true})
	if err != nil || len(in.Pods) != 1 {
		t.Fatal(err)
	}
	var paths []string
	for _, w := range warnings {
		paths = append(paths, w.Path)
	}
	if got, want := strings.Join(paths, " "), "spec.containers[0].image spec.containers[0].imagePullPolicy spec.nodeSelector spec.serviceAccountName"; got != want {
		t.Errorf("warnings of %s, want %s", got, want)
	}
}
