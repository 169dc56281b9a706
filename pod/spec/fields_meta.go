package spec

var metaFields = []row{
	{path: "apiVersion", text: "v1, for the kinds that podlab reads"},
	{path: "kind", text: "Pod runs; ConfigMap and Secret serve the pods of the same input; List holds any of them"},
	{path: "metadata", text: "who the pod is"},
	{path: "metadata.name", text: "the pod's name: in ns, in messages, and as its host name unless spec.hostname is set", keys: "uts.hostname"},
	{path: "metadata.namespace", text: "a prefix that keeps pods of one name apart; ConfigMaps and Secrets are looked up in it; default \"default\""},
	{path: "metadata.uid", text: "kept as written, for the downward API; one is made if it is missing"},
	{path: "metadata.labels", text: "kept, for the downward API"},
	{path: "metadata.annotations", text: "kept, for the downward API"},
	{path: "metadata.generateName", verb: ignores, text: "a cluster makes up a name that begins so; podlab needs metadata.name"},
	{path: "metadata.selfLink", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.resourceVersion", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.generation", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.creationTimestamp", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.deletionTimestamp", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.deletionGracePeriodSeconds", verb: ignores, text: "the API server's bookkeeping"},
	{path: "metadata.ownerReferences", verb: ignores, text: "a cluster deletes the pod with its owner; there are no owners"},
	{path: "metadata.finalizers", verb: ignores, text: "a cluster keeps the object until controllers have removed these; there are no controllers"},
	{path: "metadata.managedFields", verb: ignores, text: "the API server's bookkeeping"},
	{path: "status", verb: ignores, text: "status is what the kubelet reports, not what is asked for"},
}
