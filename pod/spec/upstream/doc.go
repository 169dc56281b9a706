// Package upstream holds pod/spec against k8s.io/api: names and kinds by
// reflection, the three lists against every field of the Pod type, Quantity and
// the YAML reader by fuzzing. It is a module of its own, so that nobody who
// builds podlab downloads Kubernetes.
//
//	go test ./...                       in this directory
//	go test -run TestSchema -update     after a new k8s.io/api, then judge the new fields
package upstream
