package matrix

import "fmt"

// Column is where a viewpoint stands to the owner of the objects.
type Column string

// The columns, in the order in which they are shown.
const (
	SameContainer Column = "same container" // another process in it
	Sibling       Column = "sibling"        // another container of the pod
	OtherPod      Column = "other pod"
	Host          Column = "host"
	HostIPCPod    Column = "hostIPC pod" // a pod that asked for the host's IPC namespace
)

// Report is a measured matrix.
type Report struct {
	Owner   Place   `json:"owner"`
	Viewers []Place `json:"viewers"`
	Rows    []Line  `json:"rows"`
	Verdict Verdict `json:"verdict"`
}

// Place is a viewpoint, and its numbers.
type Place struct {
	Column Column `json:"column,omitempty"` // none: the owner
	Name   string `json:"name"`             // "web/app", "host"
	Facts  Facts  `json:"facts"`
}

// Line is a row of the matrix: one object after another of one kind, as seen by the viewers.
type Line struct {
	Row
	Object string `json:"object,omitempty"` // the last one's place: "key 0x…", "/name"
	Why    string `json:"why,omitempty"`    // there is no claim: no volume is shared, or nothing could be made
	Fault  bool   `json:"fault,omitempty"`  // and that is a failure
	Cells  []Cell `json:"cells"`            // by viewer; none if Why
}

// Cell is one viewer's look at one object.
type Cell struct {
	Viewer    string     `json:"viewer"`
	Predicted Prediction `json:"predicted"`
	Measured  Look       `json:"measured"`
	Before    *Look      `json:"before,omitempty"` // the positive control's
	After     *Look      `json:"after,omitempty"`
	Control   string     `json:"control,omitempty"` // who that was: "web/pull"
	Judgement Judgement  `json:"judgement"`
	Why       string     `json:"why,omitempty"` // of another judgement than AsPredicted
}

// Look is what came of one attempt to reach an object.
type Look struct {
	Reached  bool   `json:"reached"`            // data went out and came back
	Call     string `json:"call,omitempty"`     // if not, the call that the kernel refused
	Errno    string `json:"errno,omitempty"`    // its errno
	Detail   string `json:"detail,omitempty"`   // the whole error
	Stranger bool   `json:"stranger,omitempty"` // something of that name was there, and it wasn't the owner's
	Lost     bool   `json:"lost,omitempty"`     // nobody could look
}

// String is the look in a few words.
func (l Look) String() string {
	switch {
	case l.Reached:
		return "reached it"
	case l.Errno != "" && l.Call != "":
		return l.Call + ": " + l.Errno
	case l.Errno != "":
		return l.Errno
	}
	return l.Detail
}

// Judgement of a cell.
type Judgement string

// The three judgements; only the first is good.
const (
	AsPredicted Judgement = "as predicted"
	Differs     Judgement = "differs"    // from what the numbers say
	NotProven   Judgement = "not proven" // not reached, but nobody else reached it either
)

// judge compares what was measured with what was to be expected.
func judge(c Cell) (Judgement, string) {
	switch {
	case c.Measured.Lost:
		return NotProven, "nobody could look: " + c.Measured.Detail
	case c.Predicted.Reached && c.Measured.Reached:
		return AsPredicted, ""
	case c.Predicted.Reached:
		return Differs, fmt.Sprintf("%s is here as well, so it should be reached; %s", c.Predicted.Owner, c.Measured)
	case c.Measured.Reached:
		return Differs, fmt.Sprintf("the object is in %s and the viewer in %s, so want %s; data went out and came back", c.Predicted.Owner, c.Predicted.Viewer, c.Predicted.Errno)
	case c.Before == nil || c.After == nil:
		return NotProven, "there is no neighbour who could show that the object was there"
	case !c.Before.Reached:
		return NotProven, fmt.Sprintf("%s didn't find the object before: %s", c.Control, *c.Before)
	case !c.After.Reached:
		return NotProven, fmt.Sprintf("%s didn't find the object after: %s", c.Control, *c.After)
	case c.Measured.Stranger:
		return NotProven, "another object of that name is in the way: " + c.Measured.Detail
	case c.Measured.Errno != c.Predicted.Errno:
		return Differs, fmt.Sprintf("not reached, but for another reason than %s against %s: want %s, got %s", c.Predicted.Viewer, c.Predicted.Owner, c.Predicted.Errno, c.Measured)
	}
	return AsPredicted, ""
}

// Verdict counts the cells by judgement.
type Verdict struct {
	OK          bool `json:"ok"` // something was claimed, and all of it holds
	Cells       int  `json:"cells"`
	AsPredicted int  `json:"asPredicted"`
	Differ      int  `json:"differ"`
	NotProven   int  `json:"notProven"`
	Faults      int  `json:"faults"` // rows without cells for which nothing could be made
}

func count(lines []Line) (v Verdict) {
	for _, l := range lines {
		if l.Fault {
			v.Faults++
		}
		for _, c := range l.Cells {
			v.Cells++
			switch c.Judgement {
			case AsPredicted:
				v.AsPredicted++
			case Differs:
				v.Differ++
			default:
				v.NotProven++
			}
		}
	}
	v.OK = v.Cells > 0 && v.AsPredicted == v.Cells && v.Faults == 0
	return v
}
