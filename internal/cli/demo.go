package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/docs"
	"github.com/podlab/podlab/examples"
	"github.com/podlab/podlab/internal/lesson"
	"github.com/podlab/podlab/ns"
)

func demoCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[LESSON]",
		Description: "Plays a lesson: what it is about, a command, what the command prints, and whether that is what was predicted.\n" +
			"LESSON is a name, a number, the path of a page of one's own (with a / or .md in it), or all.\n" +
			"On a terminal Enter runs the next command, Ctrl-D plays the rest without pauses, and Ctrl-C ends the lesson.\n" +
			"Its pods and files are its own and are gone afterwards; what a demo that was killed has left in TMPDIR is cleared\n" +
			"by the next one of the same user. The exit code is 1 if a prediction was wrong, as it is meant to be with\n" +
			"--without. Without a lesson: a list of them.\n\n" +
			"  $ podlab demo ipc\n  $ podlab demo all --fast --to-file ipc.txt\n  $ podlab demo ipc --fast --without ipc",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "fast", Usage: "don't wait for Enter"},
			&cli.BoolFlag{Name: "list", Usage: "list the lessons"},
			&cli.StringFlag{Name: "to-file", Usage: "write all that is shown to `FILE` as well, without colours"},
			withoutFlag(),
		},
		Action: func(c *cli.Context) error {
			a := demoArgs{fast: c.Bool("fast"), list: c.Bool("list"), file: c.String("to-file"), without: c.String("without")}
			if c.NArg() > 1 {
				return usage("demo", tooMany(c.Args().Slice()[1:]))
			}
			a.name = c.Args().First()
			return demo(u, a)
		},
	}
}

type demoArgs struct {
	name, file, without string
	fast, list          bool
}

func demo(u *ui, a demoArgs) error {
	all, err := lessons()
	if err != nil {
		return context("demo", err)
	}
	self, err := os.Executable()
	if err != nil {
		return context("demo", err)
	}
	clearDead(u, self)
	if a.name == "" || a.list {
		demoList(u, all)
		return nil
	}
	if _, err := parseWithout(a.without); err != nil {
		return usage("demo", err)
	}
	chosen, err := choose(a.name, all)
	if err != nil {
		return context("demo", err)
	}
	if err := playAll(u, self, chosen, a); err != nil {
		return context("demo "+a.name, err)
	}
	return nil
}

// clearDead removes what demos that were killed have left.
func clearDead(u *ui, self string) {
	cleared, err := lesson.Sweep(self)
	for _, c := range cleared {
		pods := "no pod"
		if len(c.Pods) > 0 {
			pods = "with " + strings.ReplaceAll(strings.Join(c.Pods, ", "), "default_", "")
		}
		u.note("demo: cleared what a demo that was killed had left: %s, %s", c.Dir, pods)
	}
	if err != nil { // this demo has a place of its own
		u.warn("demo: not cleared, what a demo that was killed had left: %s", err)
	}
}

// choose finds the lessons that a name, a number, a path or "all" stands for.
func choose(name string, all []*lesson.Lesson) ([]*lesson.Lesson, error) {
	if name == "all" {
		return all, nil
	}
	if strings.Contains(name, "/") || strings.HasSuffix(name, ".md") {
		page, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		l, err := lesson.Parse(name, page)
		if err == nil && l.Claims() == 0 {
			err = fmt.Errorf("%s: no session in it: want a block of ```console", name)
		}
		return []*lesson.Lesson{l}, err
	}
	i := slices.IndexFunc(all, func(l *lesson.Lesson) bool { return l.Name == name || fmt.Sprint(l.No) == name })
	if i < 0 {
		return nil, noLesson(name, all)
	}
	return all[i : i+1], nil
}

// playAll plays lessons one after the other. A wrong prediction doesn't keep the next from being played.
func playAll(u *ui, self string, chosen []*lesson.Lesson, a demoArgs) (err error) {
	s, err := newScreen(u, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ctx, done := untilSignal()
	defer done()
	// Caught, so that a closed standard output is an error, which ends the lesson, and not podlab's sudden death.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	wrong := false
	for i, l := range chosen {
		if i > 0 {
			s.show("\n")
		}
		ok, err := play(ctx, s, self, l, a.without)
		if err != nil {
			return err
		}
		wrong = wrong || !ok
	}
	if wrong {
		return exit(1)
	}
	return nil
}

// lessons are the pages that are built in, in the order of their numbers.
func lessons() (all []*lesson.Lesson, err error) {
	files, err := fs.Glob(docs.Lessons, "lessons/*.md")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		page, err := docs.Lessons.ReadFile(f)
		if err != nil {
			return nil, err
		}
		l, err := lesson.Parse("docs/"+f, page)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func demoList(u *ui, all []*lesson.Lesson) {
	t := table{head: []string{"NO", "LESSON", "CLAIMS", "WHAT IT SHOWS"}}
	for _, l := range all {
		t.add(fmt.Sprint(l.No), l.Name, fmt.Sprint(l.Claims()), l.Title)
	}
	u.table(&t)
}

// lessonCandidates is for completion.
func lessonCandidates() (words []candidate) {
	all, _ := lessons() // the error is for whoever plays one
	for _, l := range all {
		words = append(words, candidate{l.Name, l.Title})
	}
	return append(words, candidate{"all", "all of them, in order"})
}

func noLesson(name string, all []*lesson.Lesson) error {
	f := &failure{code: codeOwn, err: errors.New("there is no lesson " + quote(name))}
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
	}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean podlab demo " + near + "?"
	} else {
		f.hint = "there are " + strings.Join(names, ", ")
	}
	return f
}

// features asks the kernel, once and only if a lesson has such a condition.
var features = sync.OnceValues(ns.Probe)

func hasFeature(name string) bool {
	f, err := features()
	return err == nil && f.Has(name)
}

// play plays a lesson, and tells whether all was as predicted. However it ends, what the lesson made is removed.
func play(ctx stdcontext.Context, s *screen, self string, l *lesson.Lesson, without string) (ok bool, err error) {
	var env []string
	if without != "" {
		env = append(env, "PODLAB_WITHOUT="+without)
	}
	place, err := lesson.NewPlace(self, examples.FS, env...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	p := player{screen: s, lesson: l, run: lesson.NewRun(l, place), without: without}
	p.run.Color = s.colored
	if without != "" {
		if err := place.Remember(l); err != nil {
			return false, err
		}
	}
	if err := p.play(ctx); err != nil {
		p.run.Afterwards()
		return false, p.interrupted(err)
	}
	return len(p.tally.Faults) == 0, p.verdict()
}
