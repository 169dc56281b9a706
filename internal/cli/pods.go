package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/podlab/podlab/pod"
)

const defaultNamespace = "default"

// listPods is the pods there are. No state directory means that there are none, and none is made for looking.
func listPods(root string) ([]pod.Entry, error) {
	r, err := pod.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	return r.List()
}

// findPod is the pod called name, or the only one whose name begins with it: fine for reading, never for deleting.
// Without a namespace, one of any namespace will do if there is no other of that name.
func findPod(all []pod.Entry, namespace, name string) (pod.Entry, error) {
	if name == "" { // every name begins with it
		return pod.Entry{}, withHint("podlab ps lists the pods there are", "want the name of a pod, have %s", quote(name))
	}
	var exact, begin []pod.Entry
	var names []string
	for _, e := range all {
		if namespace != "" && e.Namespace != namespace {
			continue
		}
		names = append(names, e.Name)
		switch {
		case e.Name == name:
			exact = append(exact, e)
		case strings.HasPrefix(e.Name, name):
			begin = append(begin, e)
		}
	}
	found := exact
	if len(found) == 0 {
		found = begin
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var which []string
		for _, e := range found {
			which = append(which, e.Namespace+"/"+e.Name)
		}
		return pod.Entry{}, withHint("give the whole name, and -n NAMESPACE", "%s: which of %s?", name, strings.Join(which, ", "))
	}
	return pod.Entry{}, noPod(name, names)
}

func noPod(name string, names []string) error {
	f := &failure{code: codeOwn, err: fmt.Errorf("%s: there is no such pod", cleanString(name))}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean " + near + "?"
	} else if len(names) > 0 {
		f.hint = "there are " + strings.Join(names, ", ")
	}
	return f
}

// sameProcess tells whether a pid is still the process that it was when the state was written: pids come again.
func sameProcess(p pod.Process) bool {
	if p.Pid <= 0 {
		return false
	}
	start, err := startTime(p.Pid)
	return err == nil && (p.Start == 0 || p.Start == start)
}

// startTime is field 22 of /proc/PID/stat. The second field may hold spaces and parentheses: count from the last one.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0, errors.New("too short a /proc/PID/stat")
	}
	return strconv.ParseUint(fields[19], 10, 64) // the first of them is field 3
}

// members finds the processes that args name; without any, who called us and the containers of all running pods.
func members(args []string, root, namespace string) ([]member, error) {
	all, err := listPods(root)
	if err != nil && (len(args) == 0 || !onlyPIDs(args)) {
		return nil, err
	}
	var ms []member
	if len(args) == 0 {
		// The shell, not podlab itself: podlab is in the same ones, and gone a moment later.
		m, err := look("caller ("+comm(os.Getppid())+")", os.Getppid())
		if err != nil {
			if m, err = look("podlab", os.Getpid()); err != nil {
				return nil, err
			}
		}
		ms = append(ms, m)
		for _, e := range all {
			if namespace == "" || e.Namespace == namespace {
				ms = append(ms, podMembers(e, "")...)
			}
		}
		return ms, nil
	}
	for _, a := range args {
		got, err := membersOf(a, all, namespace)
		if err != nil {
			return nil, err
		}
		ms = append(ms, got...)
	}
	return ms, nil
}

func onlyPIDs(args []string) bool {
	return !slices.ContainsFunc(args, func(a string) bool { _, err := strconv.Atoi(a); return err != nil })
}

// membersOf is the processes that one argument names: PID, POD or POD/CONTAINER. A number is a PID, unless a pod has
// that name.
func membersOf(arg string, all []pod.Entry, namespace string) ([]member, error) {
	name, container, _ := strings.Cut(arg, "/")
	isPod := slices.ContainsFunc(all, func(e pod.Entry) bool { return e.Name == name })
	if pid, err := strconv.Atoi(arg); err == nil && !isPod {
		if pid <= 0 {
			return nil, fmt.Errorf("%d: a PID is greater than 0", pid)
		}
		m, err := look(comm(pid), pid)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%d: there is no such process", pid)
		}
		return []member{m}, err
	}
	e, err := findPod(all, namespace, name)
	if err != nil {
		return nil, err
	}
	ms := podMembers(e, container)
	if len(ms) == 0 {
		return nil, nothingRuns(e, container)
	}
	return ms, nil
}

// nothingRuns says why a pod has no process to look at.
func nothingRuns(e pod.Entry, container string) error {
	names := containerNames(e)
	switch {
	case !e.Alive:
		return withHint("podlab rm "+e.Name+" removes what it left", "%s: a lost pod: nothing of it runs", e.Name)
	case container != "" && !slices.Contains(names, container):
		f := &failure{code: codeOwn, err: fmt.Errorf("%s/%s: there is no such container", e.Name, cleanString(container))}
		if len(names) > 0 {
			f.hint = "there are " + strings.Join(names, ", ")
		}
		return f
	case container != "":
		return fmt.Errorf("%s/%s: has no process now", e.Name, container)
	}
	return fmt.Errorf("%s: has no process now", e.Name)
}

func containerNames(e pod.Entry) []string {
	var names []string
	for n := range e.State.Containers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// podMembers looks at the containers of a living pod that have a process, or at one of them. One that ends while we
// look is left out.
func podMembers(e pod.Entry, container string) []member {
	if !e.Alive {
		return nil
	}
	var ms []member
	for _, n := range containerNames(e) {
		p := e.State.Containers[n].Process
		if container != "" && n != container || !sameProcess(p) {
			continue
		}
		if m, err := look(e.Name+"/"+n, p.Pid); err == nil && sameProcess(p) {
			ms = append(ms, m)
		}
	}
	return ms
}

// podCandidates completes the names of pods: of running ones and their containers, or of lost ones.
func podCandidates(u *ui, have []string, running bool) []candidate {
	all, err := listPods("")
	if err != nil {
		return nil // nothing to complete is no error
	}
	var cs []candidate
	for _, e := range all {
		if e.Alive != running || slices.Contains(have, e.Name) {
			continue
		}
		about := "lost"
		if running {
			about = string(e.State.Phase)
		}
		cs = append(cs, candidate{e.Name, about})
		if running {
			for _, n := range containerNames(e) {
				cs = append(cs, candidate{e.Name + "/" + n, e.State.Containers[n].State})
			}
		}
	}
	return cs
}
