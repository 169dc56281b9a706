package cli

import (
	"errors"
	"fmt"

	"github.com/podlab/podlab/pod/spec"
)

// manifest reads the manifests that names stand for, and judges them together: a ConfigMap of one serves the Pods of
// another. Warnings are printed; faults come back all at once.
func (u *ui) manifest(names []string, namespace string, o spec.Options) (*spec.Input, error) {
	sources, err := u.readSources(names)
	if err != nil {
		return nil, err
	}
	files := make([]spec.File, len(sources))
	for i, s := range sources {
		files[i] = spec.File{Name: s.name, Data: s.data}
	}
	in, warnings, err := spec.ParseAll(files, o)
	for _, w := range warnings {
		u.warn("%s: %s", w.Place, w.Msg)
	}
	if err != nil {
		return nil, err
	}
	if len(in.Pods) == 0 {
		return nil, fmt.Errorf("%s: no Pod in it", sources[0].name)
	}
	if err := intoNamespace(in, namespace); err != nil {
		return nil, err
	}
	return in, nil
}

// intoNamespace puts objects that name no namespace, which are in "default" by now, into another one.
func intoNamespace(in *spec.Input, namespace string) error {
	if namespace == "" || namespace == defaultNamespace {
		return nil
	}
	if err := checkName("namespace", namespace); err != nil {
		return err
	}
	move := func(at *string, what string) error {
		if *at != defaultNamespace && *at != namespace {
			return fmt.Errorf("%s is in namespace %s, and --namespace says %s", what, *at, namespace)
		}
		*at = namespace
		return nil
	}
	var all []error
	for _, p := range in.Pods {
		all = append(all, move(&p.Namespace, "Pod "+p.Name))
	}
	for _, c := range in.ConfigMaps {
		all = append(all, move(&c.Namespace, "ConfigMap "+c.Name))
	}
	for _, s := range in.Secrets {
		all = append(all, move(&s.Namespace, "Secret "+s.Name))
	}
	return errors.Join(all...)
}
