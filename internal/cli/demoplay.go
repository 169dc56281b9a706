package cli

import (
	"bytes"
	stdcontext "context"
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/lesson"
)

// The looks of a lesson, for a projector: bold and inverse last on any background, faint and yellow don't. What a mark
// says is never said by its colour alone.
var lessonLooks = map[lesson.Role]color{
	lesson.Title:    "1;7",
	lesson.Section:  "1;4",
	lesson.Strong:   bold,
	lesson.Emphasis: "4",
	lesson.Verbatim: bold,
}

const (
	commandLook color = "1;36"
	rightLook   color = "1;32"
	wrongLook   color = "1;31;7"
)

// columns is how wide prose is at most: a line of more is hard to read from the back row.
const columns = 78

// screen is what the audience sees, and the transcript of it. The pauses are the terminal's.
type screen struct {
	u       *ui
	file    *os.File // of --to-file, or nil
	pauses  bool
	width   int
	colored bool
	err     error // the first of writing
}

func newScreen(u *ui, a demoArgs) (*screen, error) {
	s := &screen{u: u, pauses: !a.fast && isTerminal(u.in) && u.outTTY, width: columns, colored: u.outColor}
	if w := u.width(); w > 0 {
		s.width = min(w-1, columns)
	}
	if a.file == "" {
		return s, nil
	}
	f, err := os.Create(a.file)
	s.file = f
	return s, err
}

// Write shows what a command prints, as it comes.
func (s *screen) Write(p []byte) (int, error) {
	s.show(string(p))
	return len(p), nil
}

// show shows a text, now.
func (s *screen) show(text string) {
	_, err := s.u.out.WriteString(text)
	if s.file != nil {
		_, fileErr := s.file.WriteString(lesson.Uncolored(text))
		err = errors.Join(err, fileErr)
	}
	if s.err == nil {
		s.err = err
	}
}

func (s *screen) paint(c color, text string) string { return s.u.paint(s.colored, c, text) }

func (s *screen) looks(r lesson.Role, text string) string {
	if look, ok := lessonLooks[r]; ok {
		return s.paint(look, text)
	}
	return text
}

// close is the error of the transcript.
func (s *screen) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// enter waits for the Enter key, or the end of ctx. The terminal shows the key by a new line. Ctrl-D means: no more
// pauses. It polls, since a read of a terminal can't be interrupted.
func (s *screen) enter(ctx stdcontext.Context) error {
	if !s.pauses {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	stop := stdcontext.AfterFunc(ctx, func() { _, _ = w.Write([]byte{0}) }) // to a pipe that is empty, and open until stop has returned
	defer stop()
	fds := []unix.PollFd{{Fd: int32(s.u.in.Fd()), Events: unix.POLLIN}, {Fd: int32(r.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case ctx.Err() != nil:
			return stdcontext.Cause(ctx)
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		var line [1024]byte // a terminal gives a line at a time (termios(3))
		n, err := s.u.in.Read(line[:])
		if n == 0 || err != nil {
			s.pauses = false
			s.show("\n")
		}
		if n == 0 || bytes.IndexByte(line[:n], '\n') >= 0 {
			return nil
		}
	}
}

// player plays one lesson.
type player struct {
	*screen
	lesson  *lesson.Lesson
	run     *lesson.Run
	without string
	tally   lesson.Tally
	left    string // the condition that the part before was left out for
}

// play shows the lesson from its title to the end. An error ends it.
func (p *player) play(ctx stdcontext.Context) error {
	if p.pauses {
		p.show(p.paint(bold, "Enter goes on, Ctrl-D plays the rest without pauses, Ctrl-C ends.") + "\n")
	}
	for i, part := range p.lesson.Parts {
		if i == 1 && p.without != "" {
			p.show("\n" + p.paint(wrongLook, " without "+p.without+" ") + " The pods are built without that isolation: predictions that rest on it fail now.\n")
		}
		if err := p.part(ctx, part); err != nil {
			return err
		}
		switch {
		case p.err != nil:
			return p.err
		case ctx.Err() != nil:
			return stdcontext.Cause(ctx)
		}
	}
	return nil
}

// part shows a part, and runs what is to be run of it. Prose that belongs to what is left out is left out too.
func (p *player) part(ctx stdcontext.Context, part lesson.Part) error {
	if n, why, unmet := part.Unmet(hasFeature); unmet {
		p.tally.LeftOut += len(part.Claims)
		if p.left != n.What {
			text := lesson.Part{Kind: lesson.Text, Text: "**Left out here: it " + why + ".** " + n.Why}
			p.show("\n" + lesson.Render(text, p.width, p.looks))
		}
		p.left = n.What
		return nil
	}
	p.left = ""
	switch part.Kind {
	case lesson.Condition: // and it holds
		return nil
	case lesson.Session:
		return p.session(ctx, part)
	}
	p.show("\n" + lesson.Render(part, p.width, p.looks))
	return nil
}

// session shows and checks the claims of one block.
func (p *player) session(ctx stdcontext.Context, part lesson.Part) error {
	for _, c := range part.Claims {
		p.show("\n" + p.paint(commandLook, c.Prompt()))
		if p.pauses {
			if err := p.enter(ctx); err != nil {
				return err
			}
		} else {
			p.show("\n")
		}
		res, err := p.run.Do(ctx, c, p)
		if err != nil {
			return err
		}
		p.tally.Add(res)
		p.mark(c, res)
	}
	return p.enter(ctx)
}

// mark says whether a claim held.
func (p *player) mark(c lesson.Claim, res lesson.Result) {
	if res.Output != "" && !strings.HasSuffix(res.Output, "\n") {
		p.show("\n")
	}
	if res.Fault == nil {
		verdict := "as predicted"
		if c.Fails {
			verdict = "fails, as predicted"
		}
		// Where a claim is that two numbers are one, or two, that has to be said.
		if len(res.Same) > 0 {
			verdict += "   same: " + strings.Join(res.Same, " ")
		}
		if len(res.New) > 0 {
			verdict += "   new: " + strings.Join(res.New, " ")
		}
		p.show(p.paint(rightLook, "✓") + " " + verdict + "\n")
		return
	}
	p.show(p.paint(wrongLook, " ✗ ") + p.paint(bold, " not as predicted: "+res.Fault.Why) + "\n")
	for _, w := range c.Want {
		p.show("  want: " + w.Text + "\n")
	}
	p.show("  The text goes on as if it were as predicted: that is what should have been.\n")
}

// verdict is the last line, with the claims that failed below it, by their sections: the page isn't at hand.
func (p *player) verdict() error {
	look := rightLook
	if len(p.tally.Faults) > 0 {
		look = wrongLook
	}
	p.show("\n" + p.paint(look, p.tally.String()) + "\n")
	for _, f := range p.tally.Faults {
		command, _, more := strings.Cut(f.Claim.Prompt(), "\n")
		if more {
			command = strings.TrimSuffix(command, " \\") + " …"
		}
		p.show(f.Claim.Section + ": " + command + "\n")
	}
	if p.err != nil {
		return p.interrupted(p.err)
	}
	return nil
}

// interrupted is the error of a lesson that was given up.
func (p *player) interrupted(err error) error {
	if errors.Is(err, syscall.EPIPE) { // a reader that went away, as head(1) does, isn't worth a word
		return exit(codePipe)
	}
	var sig signalled
	if errors.As(err, &sig) {
		err = exit(codeSignal + int(sig))
	}
	p.show("\n")
	p.u.note("demo %s: given up after %s", p.lesson.Name, p.tally.String())
	return err
}
