package spec

// A Quantity is a number with a unit, as Kubernetes writes it: 100Mi, 0.5, 1500m.
type Quantity struct {
	nano int64
	text string
}

// Value rounds up to a whole number.
func (q Quantity) Value() int64 { return q.nano }

// MilliValue is the number of thousandths, rounded up.
func (q Quantity) MilliValue() int64 { return q.nano }

func (q Quantity) String() string { return q.text }
