package cli

import (
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
			"On a terminal Enter runs the next command, Ctrl-D plays the rest without pauses, and Ctrl-C ends the lesson.\n" +
			"Its pods and files are its own and are gone afterwards. The exit code is 1 if a prediction was wrong, as it is\n" +
			"meant to be with --without. Without a lesson: a list of them.\n\n" +
			"  $ podlab demo ipc\n  $ podlab demo ipc --fast --to-file ipc.txt\n  $ podlab demo ipc --fast --without ipc",
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
	if a.name == "" || a.list {
		demoList(u, all)
		return nil
	}
	if _, err := parseWithout(a.without); err != nil {
		return usage("demo", err)
	}
	i := slices.IndexFunc(all, func(l *lesson.Lesson) bool { return l.Name == a.name })
	if i < 0 {
		return context("demo", noLesson(a.name, all))
	}
	if err := play(u, all[i], a); err != nil {
		return context("demo "+a.name, err)
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
	t := table{head: []string{"LESSON", "CLAIMS", "WHAT IT SHOWS"}}
	for _, l := range all {
		t.add(l.Name, fmt.Sprint(l.Claims()), l.Title)
	}
	u.table(&t)
}

// lessonCandidates is for completion.
func lessonCandidates() (words []candidate) {
	all, _ := lessons() // the error is for whoever plays one
	for _, l := range all {
		words = append(words, candidate{l.Name, l.Title})
	}
	return words
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

// play plays a lesson. However it ends, what the lesson made is removed.
func play(u *ui, l *lesson.Lesson, a demoArgs) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var env []string
	if a.without != "" {
		env = append(env, "PODLAB_WITHOUT="+a.without)
	}
	s, err := newScreen(u, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	place, err := lesson.NewPlace(self, examples.FS, env...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	ctx, done := untilSignal()
	defer done()
	// Caught, so that a closed standard output is an error, which ends the lesson, and not podlab's sudden death.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	p := player{screen: s, lesson: l, run: lesson.NewRun(l, place), without: a.without}
	if a.without != "" {
		p.run.Ignore = "podlab: without " // what warnWithout says
	}
	if err := p.play(ctx); err != nil {
		p.run.Afterwards()
		return p.interrupted(err)
	}
	return p.verdict()
}
