package matrix

import "testing"

func TestPredict(t *testing.T) {
	dir := File{Device: 57, Inode: 1}
	near := Facts{IPC: 1, Net: 2, Mount: 3, Shm: dir, Loopback: true, Volume: &Located{Path: "/data", File: File{8, 9}}}
	with := func(change func(*Facts)) Facts {
		f := near
		change(&f)
		return f
	}
	for _, c := range []struct {
		name   string
		row    string
		viewer Facts
		want   Prediction
	}{
		{"same", "shm", near, Prediction{true, "", "ipc:[1]", "ipc:[1]"}},
		{"other ipc", "shm", with(func(f *Facts) { f.IPC = 7 }), Prediction{false, "ENOENT", "ipc:[1]", "ipc:[7]"}},
		{"other ipc, queue", "mq", with(func(f *Facts) { f.IPC = 7 }), Prediction{false, "ENOENT", "ipc:[1]", "ipc:[7]"}},
		{"other everything but ipc", "sem", Facts{IPC: 1}, Prediction{true, "", "ipc:[1]", "ipc:[1]"}},
		{"other ipc, same shm", "posix-shm", with(func(f *Facts) { f.IPC = 7 }), Prediction{true, "", "/dev/shm dev 0:57", "/dev/shm dev 0:57"}},
		{"other shm", "posix-sem", with(func(f *Facts) { f.Shm.Device = 58 }), Prediction{false, "ENOENT", "/dev/shm dev 0:57", "/dev/shm dev 0:58"}},
		{"other directory of the same device", "posix-sem", with(func(f *Facts) { f.Shm.Inode = 2 }), Prediction{false, "ENOENT", "/dev/shm dev 0:57 inode 1", "/dev/shm dev 0:57 inode 2"}},
		{"no shm", "posix-sem", with(func(f *Facts) { f.Shm = File{} }), Prediction{false, "ENOENT", "/dev/shm dev 0:57", "/dev/shm dev none"}},
		{"same net", "abstract", Facts{Net: 2}, Prediction{true, "", "net:[2]", "net:[2]"}},
		{"other net", "abstract", Facts{Net: 7}, Prediction{false, "ECONNREFUSED", "net:[2]", "net:[7]"}},
		{"other net, lo up", "tcp", Facts{Net: 7, Loopback: true}, Prediction{false, "ECONNREFUSED", "net:[2]", "net:[7]"}},
		{"other net, lo down", "tcp", Facts{Net: 7}, Prediction{false, "ENETUNREACH", "net:[2]", "net:[7]"}},
		{"same volume elsewhere", "socket", Facts{Volume: &Located{Path: "/in", File: File{8, 9}}}, Prediction{true, "", "/data dev 0:8 inode 9", "/in dev 0:8 inode 9"}},
		{"no volume", "socket", Facts{Volume: &Located{Path: "/data", Errno: "ENOENT"}}, Prediction{false, "ENOENT", "/data dev 0:8 inode 9", "/data dev none"}},
		{"another directory there", "socket", Facts{Volume: &Located{Path: "/data", File: File{8, 10}}}, Prediction{false, "ENOENT", "/data dev 0:8 inode 9", "/data dev 0:8 inode 10"}},
		{"a locked directory there", "socket", Facts{Volume: &Located{Path: "/data", Errno: "EACCES"}}, Prediction{false, "EACCES", "/data dev 0:8 inode 9", "/data dev none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := Rows()[rowIndex(c.row)]
			if got := Predict(row, near, c.viewer); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
	nobody := Facts{}
	if p := Predict(Row{Follows: FollowsShm}, nobody, nobody); p.Reached {
		t.Error("two viewpoints without /dev/shm don't share one")
	}
	if p := Predict(Row{Follows: FollowsVolume}, nobody, nobody); p.Reached {
		t.Error("two viewpoints without a volume don't share one")
	}
}

// Every row has a kind of object, and tokens that fit it.
func TestRowsHaveKinds(t *testing.T) {
	for _, r := range Rows() {
		if _, ok := kinds[r.ID]; !ok {
			t.Errorf("%s: no kind", r.ID)
		}
	}
	if len(Rows()) != 9 || len(kinds) != 9 {
		t.Errorf("got %d rows and %d kinds, want 9", len(Rows()), len(kinds))
	}
}

// Of all that can be measured, only two things are good: what should be reached is; what should not be isn't, for the
// predicted reason, while a neighbour reached it before and after.
func TestJudge(t *testing.T) {
	looks := []Look{{Reached: true}, {Errno: "ENOENT", Call: "shmget"}, {Errno: "EACCES", Call: "shmat"}, {Detail: "found, with something else in it", Stranger: true}, {Lost: true, Detail: "gone"}}
	controls := []*Look{nil}
	for i := range looks {
		controls = append(controls, &looks[i])
	}
	good := 0
	for _, p := range []Prediction{{Reached: true}, {Errno: "ENOENT"}} {
		for _, l := range looks {
			for _, before := range controls {
				for _, after := range controls {
					c := Cell{Predicted: p, Measured: l, Before: before, After: after, Control: "a/two"}
					proven := before != nil && after != nil && before.Reached && after.Reached
					want := p.Reached && l.Reached || !p.Reached && l.Errno == "ENOENT" && proven
					got, why := judge(c)
					if (got == AsPredicted) != want || (why == "") != want {
						t.Errorf("%+v, before %+v, after %+v: got %s (%s), want good: %v", c, before, after, got, why, want)
					}
					if l.Reached != p.Reached && !l.Lost && l.Reached && got != Differs {
						t.Errorf("%+v: got %s, want %s", c, got, Differs)
					}
					if want {
						good++
					}
				}
			}
		}
	}
	if good != 36+1 {
		t.Errorf("got %d good cells, want 37", good)
	}
}

func TestVerdict(t *testing.T) {
	good := Line{Cells: []Cell{{Judgement: AsPredicted}}}
	for _, c := range []struct {
		name  string
		lines []Line
		ok    bool
	}{
		{"nothing", nil, false},
		{"good", []Line{good}, true},
		{"no claim", []Line{good, {Why: "no volume shared"}}, true},
		{"no claim at all", []Line{{Why: "no volume shared"}}, false},
		{"not made", []Line{good, {Why: "mq_open: EMFILE", Fault: true}}, false},
		{"differs", []Line{good, {Cells: []Cell{{Judgement: Differs}}}}, false},
		{"not proven", []Line{good, {Cells: []Cell{{Judgement: NotProven}}}}, false},
		{"not judged", []Line{good, {Cells: []Cell{{}}}}, false},
	} {
		if v := count(c.lines); v.OK != c.ok {
			t.Errorf("%s: got %+v, want ok %v", c.name, v, c.ok)
		}
	}
}
