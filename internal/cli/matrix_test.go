package cli

import (
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/podlab/podlab/internal/matrix"
)

// sampleMatrix is a report with every sort of cell and row.
func sampleMatrix() *matrix.Report {
	near := matrix.Facts{IPC: 4026532201, Net: 4026532203, Shm: matrix.File{Device: 57, Inode: 1}, Volume: &matrix.Located{Path: "/data", File: matrix.File{Device: 0xfe00, Inode: 12}}}
	far := matrix.Facts{IPC: 4026531839, Net: 4026532310, Shm: matrix.File{Device: 24, Inode: 1}, Volume: &matrix.Located{Path: "/data"}}
	host := far
	host.Volume = &matrix.Located{Path: "/run/podlab/default_web/volumes/data", File: near.Volume.File}
	r := &matrix.Report{Owner: matrix.Place{Name: "web/app", Facts: near}, Viewers: []matrix.Place{
		{Column: matrix.SameContainer, Name: "web/app", Facts: near},
		{Column: matrix.Sibling, Name: "web/pull", Facts: near},
		{Column: matrix.OtherPod, Name: "b<&>/app", Facts: far},
		{Column: matrix.Host, Name: "this machine", Facts: host},
	}}
	reached := matrix.Cell{Predicted: matrix.Prediction{Reached: true}, Measured: matrix.Look{Reached: true}, Judgement: matrix.AsPredicted}
	blocked := func(errno string) matrix.Cell {
		return matrix.Cell{Predicted: matrix.Prediction{Errno: errno}, Measured: matrix.Look{Errno: errno}, Control: "web/pull", Judgement: matrix.AsPredicted}
	}
	leak := reached
	leak.Predicted, leak.Judgement, leak.Why = matrix.Prediction{Errno: "ENOENT"}, matrix.Differs, "want ENOENT"
	unproven := blocked("ENOENT")
	unproven.Judgement, unproven.Why = matrix.NotProven, "web/pull didn't find the object before"
	lost := matrix.Cell{Measured: matrix.Look{Lost: true}, Judgement: matrix.NotProven, Why: "nobody could look"}
	for _, row := range matrix.Rows() {
		cells := []matrix.Cell{reached, reached, blocked("ENOENT"), blocked("ENOENT")}
		line := matrix.Line{Row: row, Object: "/x"}
		switch row.ID {
		case "shm":
			cells[2] = leak
		case "sem":
			cells[2], cells[3] = unproven, lost
		case "mq":
			cells, line.Why, line.Fault = nil, "web/app: mq_open /x: too many open files (EMFILE)", true
		case "posix-sem":
			cells, line.Why = nil, "no such thing here"
		case "abstract", "tcp":
			cells[2], cells[3] = blocked("ECONNREFUSED"), blocked("ECONNREFUSED")
		case "socket":
			cells[3] = reached
		}
		line.Cells = cells
		r.Rows = append(r.Rows, line)
	}
	r.Verdict = matrix.Verdict{Cells: 28, AsPredicted: 25, Differ: 1, NotProven: 2, Faults: 1}
	return r
}

// printed is what show prints, on a terminal of that width or (0) into a pipe.
func printed(t *testing.T, show func(*ui) error) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	u := newUI(nil, w, nil)
	err = errors.Join(show(u), u.outw.Flush(), w.Close())
	out, err2 := io.ReadAll(r)
	if err = errors.Join(err, err2, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const wantMatrix = `OBJECT                    FOLLOWS    SAME CONTAINER   SIBLING        OTHER POD        HOST
                                     web/app          web/pull       b<&>/app         this machine
SysV shared memory        ipc        ✓                ✓              ✓ shared !       ✗ ENOENT
SysV semaphores           ipc        ✓                ✓              ? ENOENT         ? not proven
SysV message queue        ipc        ✓                ✓              ✗ ENOENT         ✗ ENOENT
POSIX message queue       ipc        ? web/app: mq_open /x: too many open files (EMFILE)
POSIX shared memory       /dev/shm   ✓                ✓              ✗ ENOENT         ✗ ENOENT
POSIX named semaphore     /dev/shm   – no such thing here, so no claim
Unix socket, abstract     net        ✓                ✓              ✗ ECONNREFUSED   ✗ ECONNREFUSED
Unix socket on a volume   volume     ✓                ✓              ✗ ENOENT         ✓ shared
TCP on loopback           net        ✓                ✓              ✗ ECONNREFUSED   ✗ ECONNREFUSED

ipc namespace                        = 4026532201     = 4026532201   ≠ 4026531839     ≠ 4026531839
/dev/shm device                      = 0:57           = 0:57         ≠ 0:24           ≠ 0:24
net namespace                        = 4026532203     = 4026532203   ≠ 4026532310     ≠ 4026532310
volume inode                         = 12             = 12           ≠ none           = 12
`

const wantShort = `OBJECT     SAME CONT.    SIBLING       OTHER POD       HOST
           web/app       web/pull      b<&>/app        this machine
SysV shm   ✓             ✓             ✓ shared !      ✗ ENOENT
`

const wantNarrow = `OBJECT     SAME CONT.    SIBLING       OTHER POD     HOST
           web/app       web/pull      b<&>/app      this machine
SysV shm   ✓             ✓             ✓             ✗
                                       shared !      ENOENT
`

func TestMatrixTable(t *testing.T) {
	r := sampleMatrix()
	if got := fitMatrix(r, 0).text(false); got != wantMatrix {
		t.Errorf("got\n%s\nwant\n%s", got, wantMatrix)
	}
	for width, want := range map[int]string{80: wantShort, 66: wantNarrow} {
		if got := fitMatrix(r, width).text(false); !strings.HasPrefix(got, want) {
			t.Errorf("%d columns: got\n%s\nwant\n%s…", width, got, want)
		}
	}
	for _, width := range []int{66, 75, 80, 100, 120, 200} {
		l := fitMatrix(r, width)
		if l.width() > width {
			t.Errorf("%d columns: %d wide", width, l.width())
		}
		for line := range strings.Lines(l.text(false)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.Contains(line, "–") && !strings.Contains(line, "EMFILE") {
				t.Errorf("%d columns: a line of %d: %s", width, n, line)
			}
		}
	}
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(fitMatrix(r, 0).text(true), "")
	if plain != wantMatrix {
		t.Errorf("coloured, without the colours: got\n%s\nwant\n%s", plain, wantMatrix)
	}
}

// A row that says why it has no cells is as wide in its first columns as any other.
func TestMatrixRowWithoutCells(t *testing.T) {
	r := sampleMatrix()
	for i := range r.Rows {
		if r.Rows[i].ID == "socket" { // the longest name
			r.Rows[i].Cells, r.Rows[i].Why = nil, "no volume"
		}
	}
	got := fitMatrix(r, 0).text(false)
	for _, want := range []string{"OBJECT                    FOLLOWS    SAME CONTAINER", "Unix socket on a volume   volume     – no volume, so no claim", "SysV shared memory        ipc        ✓   "} {
		if !strings.Contains(got, "\n"+want) && !strings.HasPrefix(got, want) {
			t.Errorf("got\n%s\nwant a line %q", got, want)
		}
	}
}

// Some file systems number inodes with 20 digits; a narrow table stays one.
func TestMatrixLongNumbers(t *testing.T) {
	for number, want := range map[string]string{"= 4026532201": "= 4026532201", "≠ 12 on 0:44": "≠ 12 on 0:44", "= 12345678901234567890": "= …1234567890"} {
		if got := shortNumber(number); got != want {
			t.Errorf("%s: got %q, want %q", number, got, want)
		}
	}
}

func TestMatrixNotes(t *testing.T) {
	got := strings.Join(matrixNotes(sampleMatrix()), "\n")
	want := `25 of 28 cells as the numbers predict, 1 otherwise, 2 not proven, 1 of the kinds of object not made.
Each ✗ counts because web/pull reached the same object just before and just after.
The volume /data is /run/podlab/default_web/volumes/data for this machine.`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A bad cell, and a row that could not be made, is an error and exit code 1; a row without a claim is none.
func TestMatrixFaults(t *testing.T) {
	err := matrixFaults(sampleMatrix())
	want := `SysV shared memory from b<&>/app: differs: want ENOENT
SysV semaphores from b<&>/app: not proven: web/pull didn't find the object before
SysV semaphores from this machine: not proven: nobody could look
POSIX message queue: web/app: mq_open /x: too many open files (EMFILE)`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var f *failure
	if !errors.As(err, &f) || f.code != codeDiffers {
		t.Errorf("got %+v, want exit code %d", f, codeDiffers)
	}
	if err := matrixFaults(&matrix.Report{Verdict: matrix.Verdict{OK: true}}); err != nil {
		t.Errorf("all is well: got %v", err)
	}
	if err := matrixFaults(&matrix.Report{}); err == nil {
		t.Error("nothing measured: got no error")
	}
}

// Whatever a cell is, it can be told without colour.
func TestMatrixCells(t *testing.T) {
	seen := map[string]color{}
	inside, outside := matrix.Place{Column: matrix.Sibling}, matrix.Place{Column: matrix.OtherPod}
	for _, c := range []struct {
		cell   matrix.Cell
		viewer matrix.Place
	}{
		{matrix.Cell{Measured: matrix.Look{Reached: true}, Judgement: matrix.AsPredicted}, inside},
		{matrix.Cell{Measured: matrix.Look{Reached: true}, Judgement: matrix.AsPredicted}, outside},
		{matrix.Cell{Measured: matrix.Look{Reached: true}, Judgement: matrix.Differs}, outside},
		{matrix.Cell{Measured: matrix.Look{Errno: "ENOENT"}, Judgement: matrix.AsPredicted}, outside},
		{matrix.Cell{Measured: matrix.Look{Errno: "ENOENT"}, Judgement: matrix.Differs}, outside},
		{matrix.Cell{Measured: matrix.Look{Errno: "ENOENT"}, Judgement: matrix.NotProven}, outside},
		{matrix.Cell{Measured: matrix.Look{Detail: "found, with something else in it"}, Judgement: matrix.Differs}, outside},
	} {
		m := cellOf(c.cell, c.viewer)
		if before, twice := seen[m.String()]; twice {
			t.Errorf("%q: in colour %q and in %q", m, before, m.color)
		}
		seen[m.String()] = m.color
	}
}
