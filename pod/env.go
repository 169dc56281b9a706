package pod

import (
	"fmt"
	"strings"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// defaultPath is where programs are looked for, if the manifest doesn't say.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/podlab"

// exec is the last step of a container: its command, with its environment.
func (pl *planner) exec(c *spec.Container) (ns.Exec, error) {
	vars, err := pl.environment(c)
	if err != nil {
		return ns.Exec{}, err
	}
	var argv []string
	for _, words := range [][]string{c.Command, c.Args} {
		for _, w := range words {
			argv = append(argv, expand(w, vars.get))
		}
	}
	// Without an image there is no entrypoint that args could be for.
	if len(c.Command) == 0 {
		return ns.Exec{}, &HintError{errNoCommand, "add command: [sh, -c, …] to the container"}
	}
	for _, s := range append(vars.list(), argv...) {
		if strings.Contains(s, "\x00") {
			name, _, _ := strings.Cut(s, "=")
			return ns.Exec{}, fmt.Errorf("%.40q: a NUL byte in it, where a string of execve(2) ends", name)
		}
	}
	return ns.Exec{Path: argv[0], Args: argv, Env: vars.list()}, nil
}

// variables keep the order in which they were first set.
type variables struct {
	names  []string
	values map[string]string
	given  map[string]bool // by the manifest, not by the runtime: only these expand
}

func (v *variables) set(name, value string) {
	if _, ok := v.values[name]; !ok {
		v.names = append(v.names, name)
	}
	v.values[name] = value
}

func (v *variables) get(name string) (string, bool) {
	value, ok := v.values[name]
	return value, ok && v.given[name]
}

// give sets a variable of the manifest's.
func (v *variables) give(name, value string) {
	v.set(name, value)
	v.given[name] = true
}

func (v *variables) list() []string {
	list := make([]string, len(v.names))
	for i, n := range v.names {
		list[i] = n + "=" + v.values[n]
	}
	return list
}

// environment is what the container is born with: what the runtime gives, then
// envFrom, then env, each overriding the one before.
func (pl *planner) environment(c *spec.Container) (*variables, error) {
	v := &variables{values: map[string]string{}, given: map[string]bool{}}
	v.set("PATH", defaultPath)
	if pl.opts.Without.Has(ns.Mnt) {
		v.set("PATH", defaultPath+":"+pl.opts.Dir+"/pod") // where podlab is, without a root of one's own
	}
	v.set("HOSTNAME", pl.node)
	v.set("HOME", pl.home(c))
	if c.TTY {
		v.set("TERM", "xterm")
	}
	for i := range c.EnvFrom {
		if err := pl.envFrom(&c.EnvFrom[i], v); err != nil {
			return nil, fmt.Errorf("envFrom[%d]: %w", i, err)
		}
	}
	for i := range c.Env {
		e := &c.Env[i]
		value, ok, err := pl.envValue(e, v)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		if ok {
			v.give(e.Name, value)
		}
	}
	return v, nil
}

func (pl *planner) home(c *spec.Container) string {
	if userOf(pl.pod, c).UID == 0 {
		return "/root"
	}
	return "/"
}

func (pl *planner) envFrom(from *spec.EnvFromSource, v *variables) error {
	var data map[string]string
	var err error
	switch {
	case from.ConfigMapRef != nil:
		data, err = pl.configMap(from.ConfigMapRef.Name, yes(from.ConfigMapRef.Optional), false)
	case from.SecretRef != nil:
		data, err = pl.secret(from.SecretRef.Name, yes(from.SecretRef.Optional))
	}
	for _, k := range sortedKeys(data) {
		v.give(from.Prefix+k, data[k])
	}
	return err
}

// envValue is the value of one entry of env. ok is false where an optional
// source is missing: the variable isn't set then.
func (pl *planner) envValue(e *spec.EnvVar, v *variables) (value string, ok bool, err error) {
	from := e.ValueFrom
	switch {
	case from == nil:
		return expand(e.Value, v.get), true, nil
	case from.FieldRef != nil:
		value, err = pl.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		data, err := pl.configMap(r.Name, yes(r.Optional), false)
		return key("ConfigMap", r.Name, data, r.Key, yes(r.Optional), err)
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		data, err := pl.secret(r.Name, yes(r.Optional))
		return key("Secret", r.Name, data, r.Key, yes(r.Optional), err)
	}
	return "", false, nil
}

func key(kind, name string, data map[string]string, k string, optional bool, err error) (string, bool, error) {
	value, ok := data[k]
	if err == nil && !ok && !optional {
		err = fmt.Errorf("%s %s has no key %s", kind, name, k)
	}
	return value, ok, err
}

// field is the pod's own data, as env's fieldRef names it.
func (pl *planner) field(path string) (string, error) {
	if name, k, ok := subscript(path); ok {
		switch name {
		case "metadata.labels":
			return pl.pod.Labels[k], nil
		case "metadata.annotations":
			return pl.pod.Annotations[k], nil
		}
	}
	switch path {
	case "metadata.name":
		return pl.pod.Name, nil
	case "metadata.namespace":
		return pl.pod.Namespace, nil
	case "metadata.uid":
		return pl.uid, nil
	case "spec.nodeName":
		return pl.host.Node, nil
	case "spec.serviceAccountName":
		return pl.pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs":
		return podIP, nil
	}
	return "", fmt.Errorf("fieldPath %s: not one that an environment variable can have", path)
}

// podIP: the pod's network is a loopback interface, and so is all that it sees
// of the node.
const podIP = "127.0.0.1"

// subscript splits metadata.labels['key'].
func subscript(path string) (name, key string, ok bool) {
	name, rest, ok := strings.Cut(path, "['")
	if !ok {
		return "", "", false
	}
	key, ok = strings.CutSuffix(rest, "']")
	return name, key, ok
}

// expand replaces $(NAME) by the variable's value. $$ is a single $, and a name
// that isn't set stays as it is written.
func expand(s string, get func(string) (string, bool)) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i+2:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			name := s[i+2 : i+2+end]
			if value, ok := get(name); ok {
				b.WriteString(value)
			} else {
				b.WriteString("$(" + name + ")")
			}
			i += 2 + end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}
