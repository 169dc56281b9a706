package spec

import (
	"fmt"
)

// maxData is the most that a ConfigMap or Secret holds: etcd's limit on a value.
const maxData = 1 << 20

// dataKeys judges the keys of data, and that no key is in two of the mappings.
func (j *judge) dataKeys(n *node, exclusive bool, names ...string) {
	seen := map[string]string{}
	size := 0
	for _, name := range names {
		m := n.get(name)
		if m == nil {
			continue
		}
		for i := range m.fields {
			f := &m.fields[i]
			if !isDataKey(f.name) {
				j.fault(Invalid, f.line, f.col, m.path(), "want a key of letters, digits, -, _ and ., have "+quote(f.name), "")
			}
			if other, dup := seen[f.name]; dup && exclusive {
				j.fault(Invalid, f.line, f.col, f.value.path(), "the key is in "+other+" too", "keep one of the two")
			}
			seen[f.name] = name
			size += len(f.value.text)
		}
	}
	if size > maxData*4/3+maxData/100 { // base64 is a third longer
		j.invalid(n, fmt.Sprintf("want at most %d bytes of data", maxData), "")
	}
}

func (j *judge) configMapRules(n *node) {
	j.objectMeta(n)
	j.dataKeys(n, true, "data", "binaryData")
}

// secretTypes are those whose keys the API server looks at.
var secretTypes = [...]struct {
	name string
	keys []string
}{
	{"kubernetes.io/tls", []string{"tls.crt", "tls.key"}},
	{"kubernetes.io/dockercfg", []string{".dockercfg"}},
	{"kubernetes.io/dockerconfigjson", []string{".dockerconfigjson"}},
	{"kubernetes.io/ssh-auth", []string{"ssh-privatekey"}},
}

func (j *judge) secretRules(n *node) {
	j.objectMeta(n)
	j.dataKeys(n, false, "data", "stringData")
	has := func(key string) bool {
		return n.get("data").look(key) != nil || n.get("stringData").look(key) != nil
	}
	kind := n.get("type").str()
	for _, t := range secretTypes {
		for _, key := range t.keys {
			if kind == t.name && !has(key) {
				j.missing(n, "data", "a Secret of type "+kind+" needs the key "+key)
			}
		}
	}
	if kind == "kubernetes.io/basic-auth" && !has("username") && !has("password") {
		j.missing(n, "data", "a Secret of type "+kind+" needs the key username or password")
	}
	if kind == "kubernetes.io/service-account-token" && n.get("metadata").get("annotations").look("kubernetes.io/service-account.name") == nil {
		j.missing(n, "metadata.annotations", "a Secret of type "+kind+" needs the annotation kubernetes.io/service-account.name")
	}
}

// objectMeta judges the metadata of what is not a pod.
func (j *judge) objectMeta(n *node) {
	if meta := n.get("metadata"); meta != nil {
		j.metaRules(meta, false)
	} else if f := n.look("metadata"); f == nil || !f.value.wrong {
		j.missing(n, "metadata.name", "required, and not there")
	}
}
