package matrix

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// request is a line that a probe reads. A probe does one thing at a time.
type request struct {
	Do    string `json:"do"` // facts, locate, create, look, check, remove, unlink, guard, release
	Row   string `json:"row,omitempty"`
	Place string `json:"place,omitempty"`
	Token string `json:"token,omitempty"` // create: goes out; look: goes back
	Mount *Mount `json:"mount,omitempty"` // locate: the owner's volume
	File  File   `json:"file,omitzero"`   // locate: its directory
}

// answer is the line that it writes for each.
type answer struct {
	Place   string   `json:"place,omitempty"` // create: where the object is
	Token   string   `json:"token,omitempty"` // look: what came out; check: what came back
	Call    string   `json:"call,omitempty"`  // of an error: the call that the kernel refused
	Errno   string   `json:"errno,omitempty"`
	Error   string   `json:"error,omitempty"` // why not; else it was done
	Facts   *Facts   `json:"facts,omitempty"`
	Mounts  []Mount  `json:"mounts,omitempty"`  // facts: all
	Volumes []Mount  `json:"volumes,omitempty"` // facts: those that may be volumes
	Located *Located `json:"located,omitempty"`
}

// Input is what Serve reads: a file that can be read with a deadline, as a pipe can.
type Input interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// Serve is the whole of a probe: it obeys requests until the end of in, or of ctx, or SIGTERM, SIGINT or SIGHUP, and then removes what
// it made. Only SIGKILL leaves something behind, for others to remove.
func Serve(ctx context.Context, in Input, out io.Writer) error {
	// Objects are open to everybody, so that a refusal tells of namespaces and not of users.
	unix.Umask(0)
	// Who asked may be gone when the answer is written: that must not be the end before the cleaning (SIGPIPE).
	signal.Ignore(unix.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	defer stop()
	unhook := context.AfterFunc(ctx, func() { _ = in.SetReadDeadline(time.Unix(1, 0)) }) // a file without deadlines never blocks
	defer unhook()

	p := probe{objects: map[string]held{}, guarded: map[string]string{}}
	err := p.serve(ctx, bufio.NewReader(in), json.NewEncoder(out))
	return errors.Join(err, p.removeAll())
}

type probe struct {
	objects map[string]held   // by row: one of each kind at a time
	guarded map[string]string // by row: places of another's objects, to be removed if this probe ends before it is told that they are
}

func (p *probe) serve(ctx context.Context, in *bufio.Reader, out *json.Encoder) error {
	for {
		line, err := in.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		a, err := p.obey(r)
		if err != nil {
			a.Call, a.Errno, a.Error = explain(err)
		}
		if err := out.Encode(a); err != nil && !errors.Is(err, unix.EPIPE) {
			return err
		}
	}
}

func (p *probe) obey(r request) (a answer, err error) {
	switch r.Do {
	case "facts":
		facts, err := readFacts()
		if err != nil {
			return a, err
		}
		a.Facts = &facts
		a.Mounts, err = readMounts()
		a.Volumes = writableVolumes(a.Mounts)
		return a, err
	case "locate":
		if r.Mount == nil {
			return a, errors.New("locate: what?")
		}
		l := locate(*r.Mount, r.File)
		a.Located = &l
		return a, nil
	}
	k, ok := kinds[r.Row]
	if !ok {
		return a, fmt.Errorf("row %q: there is none", r.Row)
	}
	switch r.Do {
	case "create":
		a.Place, err = p.create(k, r)
	case "look":
		a.Token, err = k.look(r.Place, r.Token)
	case "check":
		if h := p.objects[r.Row]; h != nil {
			a.Token, err = h.check()
		} else {
			err = fs.ErrNotExist
		}
	case "remove":
		err = p.remove(r.Row)
	case "unlink":
		err = k.unlink(r.Place)
	case "guard":
		p.guarded[r.Row] = r.Place
	case "release":
		delete(p.guarded, r.Row)
	default:
		err = fmt.Errorf("request %q: there is none", r.Do)
	}
	return a, err
}

// create makes an object. One that was made by half is removed; one that was there before is not ours.
func (p *probe) create(k kind, r request) (place string, err error) {
	if p.objects[r.Row] != nil {
		return "", fs.ErrExist
	}
	h, err := k.create(r.Place, r.Token)
	switch {
	case err == nil:
		p.objects[r.Row] = h
		return h.where(), nil
	case !errors.Is(err, fs.ErrExist) && !errors.Is(err, unix.EADDRINUSE):
		_ = k.unlink(r.Place) // most often it was never made
	}
	return "", err
}

func (p *probe) remove(row string) error {
	h := p.objects[row]
	if h == nil {
		return nil
	}
	delete(p.objects, row)
	err := kinds[row].unlink(h.where())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // somebody was faster
	}
	return errors.Join(err, h.close())
}

func (p *probe) removeAll() (err error) {
	for row := range p.objects {
		err = errors.Join(err, p.remove(row))
	}
	for row, place := range p.guarded {
		_ = kinds[row].unlink(place) // its owner may have removed it, or never made it
	}
	return err
}

// explain takes an error apart: the call, the errno's name, and all of it.
func explain(err error) (call, errno, text string) {
	var pe *os.PathError
	if errors.As(err, &pe) {
		call = pe.Op
	}
	return call, errnoName(err), err.Error()
}

// errnoName is ENOENT for what unix.ENOENT is in, "" for an error without an errno, and for none.
func errnoName(err error) string {
	if err == nil {
		return ""
	}
	return ipc.ErrnoName(err)
}
