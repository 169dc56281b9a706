package spec

// references looks up what a pod takes from the ConfigMaps and Secrets of its
// input. A cluster accepts the pod and waits until a missing one appears.
type references struct {
	*judge
	in  *Input
	pod *Pod
}

func (r references) check(n *node) {
	spec := n.get("spec")
	for _, c := range spec.list("containers") {
		for _, e := range c.list("env") {
			from := e.get("valueFrom")
			r.keyRef(from.get("configMapKeyRef"), "ConfigMap")
			r.keyRef(from.get("secretKeyRef"), "Secret")
		}
		for _, e := range c.list("envFrom") {
			r.object(e.get("configMapRef"), "ConfigMap", "name")
			r.object(e.get("secretRef"), "Secret", "name")
		}
	}
	for _, v := range spec.list("volumes") {
		r.items(v.get("configMap"), "ConfigMap", "name")
		r.items(v.get("secret"), "Secret", "secretName")
	}
}

// object finds what a reference names; a missing one is a fault unless the
// reference is optional.
func (r references) object(ref *node, kind, field string) (has func(key string) bool, found bool) {
	name := ref.get(field)
	if name.str() == "" {
		return nil, false
	}
	if has, found = r.in.data(kind, r.pod.Namespace, name.text); !found && !ref.get("optional").yes() {
		hint := "add a document of kind: " + kind + ", or give its file too"
		if other := r.in.elsewhere(kind, name.text); other != "" {
			hint = "there is one in the namespace " + other + "; the pod is in " + r.pod.Namespace
		}
		r.unsupported(ref.look(field), "not supported: the "+kind+" "+quote(name.text)+" is not in this input, and there is no cluster to ask", hint)
	}
	return has, found
}

func (r references) keyRef(ref *node, kind string) {
	if has, found := r.object(ref, kind, "name"); found {
		r.key(ref, kind, ref.get("name").text, has, ref.get("optional").yes())
	}
}

func (r references) items(ref *node, kind, field string) {
	has, found := r.object(ref, kind, field)
	if !found {
		return
	}
	for _, item := range ref.list("items") {
		r.key(item, kind, ref.get(field).text, has, ref.get("optional").yes())
	}
}

func (r references) key(in *node, kind, name string, has func(string) bool, optional bool) {
	if key := in.get("key"); key.str() != "" && !has(key.text) && !optional {
		r.unsupported(in.look("key"), "not supported: the "+kind+" "+quote(name)+" has no key "+quote(key.text)+"; a kubelet would wait for it", "")
	}
}

// data is the test for keys of a ConfigMap or Secret.
func (in *Input) data(kind, namespace, name string) (has func(key string) bool, found bool) {
	if kind == "Secret" {
		s := in.Secret(namespace, name)
		return func(key string) bool { _, ok := s.Data[key]; return ok }, s != nil
	}
	c := in.ConfigMap(namespace, name)
	return func(key string) bool {
		_, text := c.Data[key]
		_, bytes := c.BinaryData[key]
		return text || bytes
	}, c != nil
}

// elsewhere is another namespace that has such an object.
func (in *Input) elsewhere(kind, name string) string {
	for _, c := range in.ConfigMaps {
		if kind == "ConfigMap" && c.Name == name {
			return c.Namespace
		}
	}
	for _, s := range in.Secrets {
		if kind == "Secret" && s.Name == name {
			return s.Namespace
		}
	}
	return ""
}
