package matrix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const podFlags = unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWNS

// pod is the boxes of two containers, which share the namespaces of this test as containers share their pod's, and a
// volume that is at another path in each.
type pod struct {
	first, second box
	disk          string // where the volume is on the host
}

func newPod(t *testing.T) pod {
	t.Helper()
	dir := t.TempDir()
	p := pod{disk: filepath.Join(dir, "disk")}
	for i, b := range []*box{&p.first, &p.second} {
		point := filepath.Join(dir, []string{"data", "in"}[i])
		for _, d := range []string{p.disk, point} {
			if err := os.MkdirAll(d, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		*b = box{Flags: unix.CLONE_NEWNS, Binds: [][2]string{{p.disk, point}}}
	}
	return p
}

// views are the viewpoints that every test has: the owner, another process beside it, and a sibling.
func (p pod) views(t *testing.T) (owner Viewpoint, viewers []Viewpoint) {
	t.Helper()
	return p.first.at(t, "", "a/one"), []Viewpoint{p.first.at(t, SameContainer, "a/one"), p.second.at(t, Sibling, "a/two")}
}

func measure(t *testing.T, owner Viewpoint, viewers []Viewpoint) *Report {
	t.Helper()
	r, err := Measure(t.Context(), owner, viewers)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A pod of its own reaches nothing, whoever shares a namespace or a mount reaches what follows it, and nothing else.
// Here the pod's namespaces are those of the test, so the host is as near as a sibling.
func TestMeasure(t *testing.T) {
	p := newPod(t)
	cover := filepath.Dir(p.disk)
	for _, c := range []struct {
		name string
		box  box
		want string // of the last column
	}{
		{"a pod of its own", box{Flags: podFlags, Tmpfs: []string{"/dev/shm", cover}, Lo: true},
			rowsOf("ENOENT", "ENOENT", "ECONNREFUSED", "ENOENT", "ECONNREFUSED")},
		{"lo is down", box{Flags: podFlags, Tmpfs: []string{"/dev/shm", cover}},
			rowsOf("ENOENT", "ENOENT", "ECONNREFUSED", "ENOENT", "ENETUNREACH")},
		{"without ipc", box{Flags: podFlags &^ unix.CLONE_NEWIPC, Tmpfs: []string{"/dev/shm", cover}, Lo: true},
			rowsOf("✓", "ENOENT", "ECONNREFUSED", "ENOENT", "ECONNREFUSED")},
		{"without net", box{Flags: podFlags &^ unix.CLONE_NEWNET, Tmpfs: []string{"/dev/shm", cover}},
			rowsOf("ENOENT", "ENOENT", "✓", "ENOENT", "✓")},
		{"the same /dev/shm", box{Flags: podFlags, Tmpfs: []string{cover}, Lo: true},
			rowsOf("ENOENT", "✓", "ECONNREFUSED", "ENOENT", "ECONNREFUSED")},
		{"the same volume", box{Flags: podFlags, Tmpfs: []string{"/dev/shm"}, Lo: true},
			rowsOf("ENOENT", "ENOENT", "ECONNREFUSED", "✓", "ECONNREFUSED")},
		{"nothing of its own", box{}, rowsOf("✓", "✓", "✓", "✓", "✓")},
	} {
		t.Run(c.name, func(t *testing.T) {
			owner, viewers := p.views(t)
			r := measure(t, owner, append(viewers, c.box.at(t, OtherPod, "b/one")))
			want := strings.ReplaceAll(c.want, ": ", ": ✓ ✓ ")
			if got := picture(r); got != want || !r.Verdict.OK || r.Verdict.Cells != 27 {
				t.Errorf("got\n%s%s\nwant\n%s", got, why(r), want)
			}
		})
	}
}

// The owner may be anywhere: a pod in namespaces of its own, and this test the host.
func TestMeasureFromOutside(t *testing.T) {
	own := box{Flags: podFlags, Tmpfs: []string{"/dev/shm"}, Lo: true}
	r := measure(t, own.at(t, "", "a/one"), []Viewpoint{{SameContainer, "a/one", box{}.at(t, "", "").Link}})
	// That neighbour is none: it shares nothing, so nothing that isn't reached is proven.
	if r.Verdict.OK || r.Verdict.AsPredicted != 0 || r.Verdict.NotProven != r.Verdict.Cells || r.Verdict.Cells == 0 {
		t.Errorf("without a control: got\n%s%s", picture(r), why(r))
	}
}

// Without a volume that both containers have, there is a row without a claim, and that is no failure.
func TestMeasureWithoutVolume(t *testing.T) {
	p := newPod(t)
	p.second.Binds = nil
	owner, viewers := p.views(t)
	r := measure(t, owner, viewers)
	if got, want := picture(r), rowsOf("✓ ✓", "✓ ✓", "✓ ✓", "no volume shared", "✓ ✓"); got != want || !r.Verdict.OK || r.Verdict.Cells != 16 {
		t.Errorf("got\n%s%s\nwant\n%s", got, why(r), want)
	}
}

// A container alone, without a sibling: another process of it is the control.
func TestMeasureOneContainer(t *testing.T) {
	p := newPod(t)
	owner, viewers := p.views(t)
	other := box{Flags: podFlags, Tmpfs: []string{"/dev/shm", filepath.Dir(p.disk)}, Lo: true}
	r := measure(t, owner, []Viewpoint{viewers[0], other.at(t, OtherPod, "b/one")})
	if got, want := picture(r), rowsOf("✓ ENOENT", "✓ ENOENT", "✓ ECONNREFUSED", "✓ ENOENT", "✓ ECONNREFUSED"); got != want || !r.Verdict.OK {
		t.Errorf("got\n%s%s\nwant\n%s", got, why(r), want)
	}
}

// If what is measured isn't what the numbers say, the cell says so. Nothing real makes the kernel do that, so the
// numbers are the lie.
func TestMeasureFindsLies(t *testing.T) {
	p := newPod(t)
	owner, viewers := p.views(t)
	viewers = append(viewers,
		box{}.at(t, OtherPod, "near"), // reaches everything
		box{Flags: podFlags, Tmpfs: []string{"/dev/shm", filepath.Dir(p.disk)}, Lo: true}.at(t, OtherPod, "far"))
	m := &measurement{owner: owner, viewers: viewers}
	if err := m.facts(t.Context()); err != nil {
		t.Fatal(err)
	}
	near, far := m.report.Viewers[2].Facts, m.report.Viewers[3].Facts
	far.Volume.Path = near.Volume.Path // the lie must not send the looks elsewhere
	volume := *near.Volume
	near.Volume, far.Volume = far.Volume, &volume
	near.Volume.Path = far.Volume.Path
	m.report.Viewers[2].Facts, m.report.Viewers[3].Facts = far, near
	m.report.Viewers[2].Facts.Volume, m.report.Viewers[3].Facts.Volume = near.Volume, far.Volume
	for _, row := range Rows() {
		m.report.Rows = append(m.report.Rows, m.row(t.Context(), row))
	}
	m.report.Verdict = count(m.report.Rows)
	want := rowsOf("✓ ✓ ✓! ENOENT!", "✓ ✓ ✓! ENOENT!", "✓ ✓ ✓! ECONNREFUSED!", "✓ ✓ ✓! ENOENT!", "✓ ✓ ✓! ECONNREFUSED!")
	if got := picture(&m.report); got != want || m.report.Verdict.OK || m.report.Verdict.Differ != 18 {
		t.Errorf("got\n%s%s\nwant\n%s", got, why(&m.report), want)
	}
}
