package spec

// Defaults are those of Kubernetes' pkg/apis/core/v1/defaults.go for the fields
// that podlab honours, filled in before anything is judged by its value.

func (p *Pod) complete(n *node) {
	p.TypeMeta = TypeMeta{"Pod", "v1"}
	p.ObjectMeta.complete()
	s := &p.Spec
	if s.RestartPolicy == "" {
		s.RestartPolicy = RestartPolicyAlways
	}
	if s.TerminationGracePeriodSeconds == nil {
		s.TerminationGracePeriodSeconds = ptr(int64(30))
	} else if *s.TerminationGracePeriodSeconds < 0 {
		// Older API servers took negative values; they mean one second.
		s.TerminationGracePeriodSeconds = ptr(int64(1))
	}
	if s.SecurityContext == nil {
		s.SecurityContext = &PodSecurityContext{}
	}
	if s.ServiceAccountName == "" {
		s.ServiceAccountName = n.get("spec").get("serviceAccount").str()
	}
	for i := range s.Volumes {
		s.Volumes[i].complete(n.get("spec").list("volumes")[i])
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		// The API server moves the annotation into the container's context.
		if _, ok := p.Annotations[appArmorPrefix+c.Name]; ok && c.SecurityContext == nil {
			c.SecurityContext = &SecurityContext{}
		}
		c.complete()
	}
}

func (m *ObjectMeta) complete() {
	if m.Namespace == "" {
		m.Namespace = "default"
	}
}

func (v *Volume) complete(n *node) {
	sources := 0
	for _, f := range n.fields {
		if f.name != "name" && f.value.class != nullClass {
			sources++
		}
	}
	if sources == 0 {
		v.EmptyDir = &EmptyDirVolumeSource{}
	}
	if h := v.HostPath; h != nil && h.Type == nil {
		h.Type = ptr(HostPathUnset)
	}
	const readable = 0o644
	if s := v.Secret; s != nil && s.DefaultMode == nil {
		s.DefaultMode = ptr(int32(readable))
	}
	if c := v.ConfigMap; c != nil && c.DefaultMode == nil {
		c.DefaultMode = ptr(int32(readable))
	}
}

func (c *Container) complete() {
	for i := range c.Ports {
		if c.Ports[i].Protocol == "" {
			c.Ports[i].Protocol = "TCP"
		}
	}
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil && from.FieldRef != nil && from.FieldRef.APIVersion == "" {
			from.FieldRef.APIVersion = "v1"
		}
	}
}

func ptr[T any](v T) *T { return &v }
