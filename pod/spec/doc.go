// Package spec reads v1 Pod manifests: it decodes YAML and JSON, fills in
// Kubernetes' defaults and judges every field, without touching the kernel.
//
// Parse reports all faults at once, each with its place. A manifest that it
// accepts is one that kubectl apply accepts (a missing image is the one
// extension). Every field of the upstream Pod type is in exactly one of three
// lists: honoured, refused, or ignored with a warning that says what a cluster
// would do; Explain and Fields show them.
//
// It is not a general Kubernetes decoder: it knows Pod, ConfigMap, Secret and
// lists of them, and only what podlab needs of those.
package spec
