package cli

// later is the verbs that fingers trained elsewhere will try, and what can be said about each until podlab has it. It
// is a table of answers, not of commands: nothing here pretends to do something.
var later = map[string]string{
	"get":          "it is podlab ps",
	"attach":       "podlab can't attach to a running container yet",
	"kill":         "podlab stop --grace 0 POD kills a pod at once",
	"restart":      "podlab can't restart a pod yet; podlab stop ends it, and podlab run -d starts it again",
	"describe":     "podlab can't describe a running pod yet; podlab ps -o json tells its status, podlab plan how it is made",
	"inspect":      "podlab can't describe a running pod yet; podlab ps -o json tells its status, podlab plan how it is made",
	"top":          "podlab doesn't measure running containers yet",
	"wait":         "podlab run waits for the pod by itself; podlab logs -f ends with the pod",
	"events":       "podlab keeps no events yet; podlab run --explain shows them as they come",
	"cp":           "podlab can't copy into a running container yet; a hostPath volume shares a directory",
	"port-forward": "podlab has no port forwarding yet; hostNetwork: true uses this machine's network",
	"debug":        "podlab can't add a container to a running pod yet",
	"kubelet":      "podlab doesn't watch a directory of manifests yet; podlab run DIR runs what is in one",
	"draw":         "podlab draws no pictures yet; podlab plan is the same as text",
	"prune":        "podlab rm POD removes what a lost pod left",
	"apply":        "it is podlab run -f FILE",
	"create":       "it is podlab run -f FILE",
	"play":         "it is podlab run FILE",
	"up":           "it is podlab run FILE",
	"start":        "it is podlab run FILE",
	"kube":         "podman kube play FILE is podlab run FILE",
	"pull":         "podlab has no images yet; containers use this machine's programs",
	"images":       "podlab has no images yet; containers use this machine's programs",
	"build":        "podlab builds no images",
}
