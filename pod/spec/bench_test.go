package spec

import "testing"

const twoContainers = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  restartPolicy: OnFailure
  hostname: web
  containers:
  - name: app
    command: [sh, -c, 'echo hello; sleep 1']
    env:
    - {name: A, value: "1"}
    - {name: B, value: $(A)2}
    - name: NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    volumeMounts:
    - {name: data, mountPath: /data}
  - name: side
    command: [cat, /data/x]
    securityContext: {runAsUser: 1000}
    volumeMounts:
    - {name: data, mountPath: /data, readOnly: true}
  volumes:
  - name: data
    emptyDir: {medium: Memory, sizeLimit: 10Mi}
`

// BenchmarkParse is on the way of every podlab run; 0.3 ms is the budget.
func BenchmarkParse(b *testing.B) {
	data := []byte(twoContainers)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Parse("web.yaml", data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
