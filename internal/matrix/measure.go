package matrix

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// Viewpoint is a probe, and where it is.
type Viewpoint struct {
	Column Column
	Name   string
	Link   *Link
}

// Measure has owner make an object of each kind, and viewers look for it. It removes what was made, whatever happens.
// The error is of what keeps it from measuring at all; what a single cell lacks is in the report. A viewer of the same
// container or pod is needed, or nothing that isn't reached is proven.
func Measure(ctx context.Context, owner Viewpoint, viewers []Viewpoint) (*Report, error) {
	m := &measurement{owner: owner, viewers: viewers}
	if err := m.facts(ctx); err != nil {
		return nil, err
	}
	for _, row := range Rows() {
		line := m.row(ctx, row)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.report.Rows = append(m.report.Rows, line)
	}
	m.report.Verdict = count(m.report.Rows)
	return &m.report, nil
}

type measurement struct {
	owner   Viewpoint
	viewers []Viewpoint
	report  Report

	noVolume string // why there is none to put a socket into
}

// facts asks everybody for their numbers, finds the volume, and asks where everybody has it.
func (m *measurement) facts(ctx context.Context) error {
	ask := func(v Viewpoint) (Place, answer, error) {
		a, err := v.Link.ask(ctx, request{Do: "facts"})
		if err == nil && (a.Error != "" || a.Facts == nil) {
			err = errors.New(a.Error)
		}
		if err != nil {
			return Place{}, a, fmt.Errorf("%s: %w", v.Name, err)
		}
		return Place{v.Column, v.Name, *a.Facts}, a, nil
	}
	place, own, err := ask(m.owner)
	if err != nil {
		return err
	}
	m.report.Owner = place
	var sibling, host []Mount
	for _, v := range m.viewers {
		place, a, err := ask(v)
		if err != nil {
			return err
		}
		m.report.Viewers = append(m.report.Viewers, place)
		switch {
		case v.Column == Sibling && sibling == nil:
			sibling = append(a.Mounts, Mount{}) // not nil, even without any
		case v.Column == Host:
			host = a.Mounts
		}
	}
	volume, why := sharedVolume(own.Volumes, own.Mounts, sibling, host)
	if m.noVolume = why; why != "" {
		return nil
	}
	return m.locate(ctx, volume)
}

func (m *measurement) locate(ctx context.Context, volume Mount) error {
	owner, err := locateAt(ctx, m.owner, request{Do: "locate", Mount: &volume})
	if err != nil {
		return err
	}
	m.report.Owner.Facts.Volume = owner
	for i, v := range m.viewers {
		if m.report.Viewers[i].Facts.Volume, err = locateAt(ctx, v, request{Do: "locate", Mount: &volume, File: owner.File}); err != nil {
			return err
		}
	}
	return nil
}

func locateAt(ctx context.Context, v Viewpoint, r request) (*Located, error) {
	a, err := v.Link.ask(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Name, err)
	}
	if a.Located == nil {
		return nil, fmt.Errorf("%s: locate: %s", v.Name, a.Error)
	}
	return a.Located, nil
}

// tries is how many objects of a row are made at most: one whose name a stranger has somewhere, a port above all,
// shows nothing.
const tries = 3

// row measures one row.
func (m *measurement) row(ctx context.Context, row Row) (line Line) {
	if row.Follows == FollowsVolume && m.report.Owner.Facts.Volume == nil {
		return Line{Row: row, Why: m.noVolume}
	}
	for range tries {
		line = m.object(ctx, row)
		if !line.metStranger() {
			break
		}
	}
	return line
}

func (l Line) metStranger() bool {
	for _, c := range l.Cells {
		if c.Measured.Stranger {
			return true
		}
	}
	return false
}

// object has the owner make an object, and everybody look for it.
func (m *measurement) object(ctx context.Context, row Row) (line Line) {
	k, nonce := kinds[row.ID], newNonce()
	o := &target{measurement: m, row: row, kind: k, place: k.place(nonce), out: k.out()}
	if v := m.report.Owner.Facts.Volume; row.Follows == FollowsVolume {
		o.place = path.Join(v.Path, o.place)
	}
	o.guard(ctx)
	defer o.remove(ctx)
	a, err := m.owner.Link.ask(ctx, request{Do: "create", Row: row.ID, Place: o.place, Token: o.out})
	switch {
	case err != nil:
		return Line{Row: row, Why: m.owner.Name + ": " + err.Error(), Fault: true}
	case a.Error != "":
		return Line{Row: row, Why: m.owner.Name + ": " + withErrno(a), Fault: true}
	}
	o.place = a.Place
	line = Line{Row: row, Object: o.place}
	for i := range m.viewers {
		line.Cells = append(line.Cells, o.cell(ctx, i))
	}
	return line
}

func withErrno(a answer) string {
	if a.Errno == "" {
		return a.Error
	}
	return a.Error + " (" + a.Errno + ")"
}

// target is an object that is there.
type target struct {
	*measurement
	row   Row
	kind  kind
	place string
	out   string
}

// cell lets one viewer look, and its positive control before and after.
func (o *target) cell(ctx context.Context, viewer int) (c Cell) {
	c.Viewer = o.viewers[viewer].Name
	c.Predicted = o.predict(viewer)
	if n, ok := o.control(viewer); ok {
		c.Control = o.viewers[n].Name
		before := o.look(ctx, n)
		c.Measured = o.look(ctx, viewer)
		after := o.look(ctx, n)
		c.Before, c.After = &before, &after
	} else {
		c.Measured = o.look(ctx, viewer)
	}
	c.Judgement, c.Why = judge(c)
	return c
}

func (o *target) predict(viewer int) Prediction {
	return Predict(o.row, o.report.Owner.Facts, o.report.Viewers[viewer].Facts)
}

// control is who shows that the object is there while viewer looks: a sibling, or another process of the container.
func (o *target) control(viewer int) (n int, ok bool) {
	for _, want := range []Column{Sibling, SameContainer} {
		for i, v := range o.viewers {
			if v.Column == want && i != viewer && o.predict(i).Reached {
				return i, true
			}
		}
	}
	return 0, false
}

// look lets one viewer look for the object, and asks the owner what came back.
func (o *target) look(ctx context.Context, viewer int) (l Look) {
	v, back := o.viewers[viewer], o.kind.back()
	a, err := v.Link.ask(ctx, request{Do: "look", Row: o.row.ID, Place: o.placeFor(viewer), Token: back})
	if err != nil {
		return Look{Lost: true, Detail: err.Error()}
	}
	own, err := o.owner.Link.ask(ctx, request{Do: "check", Row: o.row.ID})
	if err != nil || own.Error != "" {
		return Look{Lost: true, Detail: o.owner.Name + ": " + reason(err, own)}
	}
	return weigh(a, own.Token, o.out, back)
}

func reason(err error, a answer) string {
	if err != nil {
		return err.Error()
	}
	return withErrno(a)
}

// weigh tells from a viewer's answer, and from what came back to the owner, whether the viewer reached the object.
func weigh(a answer, cameBack, out, back string) Look {
	l := Look{Call: a.Call, Errno: a.Errno, Detail: a.Error}
	switch {
	case a.Error == "" && a.Token == out && cameBack == back:
		return Look{Reached: true}
	case a.Error == "" && a.Token == out:
		l.Detail = fmt.Sprintf("found, but what was given back didn't reach the owner: got %q, want %q", cameBack, back)
	case a.Error == "":
		l.Stranger, l.Detail = true, fmt.Sprintf("found, with something else in it: got %q, want %q", a.Token, out)
	case cameBack != "":
		l.Detail = fmt.Sprintf("the owner got %q back, but the viewer says: %s", cameBack, a.Error)
		l.Errno = ""
	}
	return l
}

// placeFor is the object's place as a viewer has it: a volume may be at another path there.
func (o *target) placeFor(viewer int) string {
	if o.row.Follows == FollowsVolume {
		return path.Join(o.report.Viewers[viewer].Facts.Volume.Path, path.Base(o.place))
	}
	return o.place
}

// guard has everybody who reaches the object remove it if they end before it is removed in order. If this process is
// killed, a pod's supervisor kills those probes that it runs, perhaps before they see the end of their input; a probe
// on the host lives on, and cleans up the host at least.
func (o *target) guard(ctx context.Context) {
	o.neighbours(ctx, "guard")
}

// remove removes the object, even when ctx has ended. If its owner can't any more, a neighbour does who reaches it.
func (o *target) remove(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if a, err := o.owner.Link.ask(ctx, request{Do: "remove", Row: o.row.ID}); err != nil || a.Error != "" {
		o.neighbours(ctx, "unlink")
	}
	o.neighbours(ctx, "release")
}

// neighbours has all who reach the object do something about its place. What one of them can't do another can, and
// what none can goes with the namespace.
func (o *target) neighbours(ctx context.Context, do string) {
	if o.row.Follows == FollowsNet {
		return // goes with its owner
	}
	for i, v := range o.viewers {
		if o.predict(i).Reached {
			_, _ = v.Link.ask(ctx, request{Do: do, Row: o.row.ID, Place: o.placeFor(i)})
		}
	}
}
