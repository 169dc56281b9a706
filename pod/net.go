package pod

import (
	"strings"

	"github.com/podlab/podlab/ns"
)

// podEtc are the files of /etc that say who and where the pod is. The pod has
// one of each, and every container sees it.
var podEtc = [...]string{"hosts", "hostname", "resolv.conf"}

// hostname is the pod's host name by the kubelet's rule: spec.hostname, else
// the pod's name, cut to 63 bytes, the kernel's limit for what DNS can carry.
func (pl *planner) hostname() string {
	if pl.shares(ns.UTS) {
		return pl.host.Node
	}
	p := pl.pod
	name := p.Spec.Hostname
	if name == "" {
		name = p.Name
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}

// etcFiles writes them to the pod's tmpfs.
func (pl *planner) etcFiles(in *steps) {
	for _, f := range [...]struct{ name, data string }{
		{"hosts", pl.hosts()},
		{"hostname", pl.node + "\n"},
		{"resolv.conf", pl.host.Resolv},
	} {
		in.add("etc.write["+f.name+"]", ns.WriteFile{Path: "etc/" + f.name, Data: f.data, Create: true, Mode: 0o644})
	}
}

// hosts is /etc/hosts as the kubelet writes it.
func (pl *planner) hosts() string {
	var b strings.Builder
	if pl.shares(ns.Net) {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n" + pl.host.Hosts)
	} else {
		b.WriteString(`# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
`)
		b.WriteString(podIP + "\t" + pl.node + "\n")
	}
	if len(pl.pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pl.pod.Spec.HostAliases {
			b.WriteString(a.IP + "\t" + strings.Join(a.Hostnames, "\t") + "\n")
		}
	}
	return b.String()
}
