package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/ipc"
)

func ipcCommand(*ui) *cli.Command {
	return &cli.Command{
		Description: "Six kinds of objects that processes talk through. The first three are System V's: a KEY names them, which is\n" +
			"written as 0x6a6f6273 or as a name that is hashed to a key (never ftok, which depends on inode numbers), or\n" +
			"id:N for the kernel's own identifier. The other three are POSIX's and have a /NAME.\n" +
			"shm, sem, msg and mq live in an IPC namespace. posix-shm and posix-sem are files in /dev/shm: who shares that\n" +
			"mount shares them, in whatever IPC namespace.\n\n" +
			"  $ podlab ipc shm create jobs\n  $ podlab ipc shm write jobs hello\n  $ podlab ipc shm read jobs\n" +
			"  hello\n  $ podlab ipc ls\n  $ podlab ipc shm rm jobs\n\n" +
			"Exit codes: 0 done; 1 the kernel said no; 124 --timeout ran out; 125 wrong usage.",
	}
}

// ipcEntries is the verbs below `podlab ipc`, or below one kind of it.
func ipcEntries(kind string) []entry {
	if kind == "" {
		var all []entry
		for _, k := range ipcKinds() {
			all = append(all, entry{string(k.kind), k.aliases, k.what, k.command})
		}
		return append(all,
			entry{"ls", []string{"list"}, "list the objects of all six kinds", ipcListCommand},
			entry{"limits", nil, "show the limits of this IPC namespace or a pod's, beside the kernel's defaults", ipcLimitsCommand},
			entry{"matrix", nil, "measure who reaches whose objects: containers, pods, this machine", matrixCommand},
		)
	}
	for _, k := range ipcKinds() {
		if string(k.kind) == kind {
			return k.entries()
		}
	}
	return nil
}

// ipcKind is what the command line knows of a kind of IPC.
type ipcKind struct {
	kind    ipc.Kind
	aliases []string
	what    string
	noun    string // what one of them is called
	about   string
	verbs   func() []ipcVerb
}

func ipcKinds() []ipcKind {
	return []ipcKind{
		{ipc.KindShm, nil, "System V shared memory", "segment", shmAbout, shmVerbs},
		{ipc.KindSem, nil, "System V semaphores", "semaphore set", semAbout, semVerbs},
		{ipc.KindMsg, nil, "System V message queues", "queue", msgAbout, msgVerbs},
		{ipc.KindQueue, nil, "POSIX message queues", "queue", mqAbout, mqVerbs},
		{ipc.KindShared, []string{"pshm"}, "POSIX shared memory", "shared memory", posixShmAbout, posixShmVerbs},
		{ipc.KindNamedSem, []string{"psem"}, "POSIX named semaphores", "semaphore", posixSemAbout, posixSemVerbs},
	}
}

// kindOf is the row of a kind.
func kindOf(kind ipc.Kind) ipcKind {
	for _, k := range ipcKinds() {
		if k.kind == kind {
			return k
		}
	}
	panic("a kind without a row: " + string(kind))
}

// inDevShm tells whether objects of k are files in /dev/shm, so that the mount decides who sees them.
func inDevShm(k ipc.Kind) bool { return k == ipc.KindShared || k == ipc.KindNamedSem }

func (k ipcKind) command(*ui) *cli.Command { return &cli.Command{Description: k.about} }

func (k ipcKind) entries() []entry {
	var all []entry
	verbs := append(k.verbs(), commonVerbs(k.kind)...)
	if k.kind.SystemV() {
		verbs = append(verbs, chmodVerb(k.kind))
	}
	for _, v := range verbs {
		all = append(all, entry{v.name, v.aliases, v.summary, func(u *ui) *cli.Command { return v.command(u, k.kind) }})
	}
	return all
}

// ipcVerb is what can be done with an object of one kind.
type ipcVerb struct {
	name    string
	aliases []string
	args    string // "KEY TEXT|-"; a last word that ends in … may be given many times, one in brackets may be missing
	summary string
	about   string
	flags   string // names for ipcFlag
	surplus string // the flag that one argument too many was meant for
	list    bool   // it lists
	run     func(*ipcCall) error
}

func (v ipcVerb) command(u *ui, kind ipc.Kind) *cli.Command {
	path := "ipc " + string(kind) + " " + v.name
	about := strings.ReplaceAll(v.about, "$KIND", "podlab ipc "+string(kind))
	return &cli.Command{
		ArgsUsage:   v.args,
		Description: about,
		Flags:       ipcFlags(v.flags),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if err := countArgs(v.args, args); err != nil {
				if n := len(strings.Fields(v.args)); v.surplus != "" && len(args) == n+1 {
					return withHint(fmt.Sprintf("did you mean --%s %s?", v.surplus, args[n]), "%w", usage(path, err))
				}
				return usage(path, err)
			}
			if v.list {
				return listIPC(u, path, c.String("output"), kind)
			}
			return (&ipcCall{u: u, c: c, kind: kind, path: path, args: args}).do(v.run)
		},
	}
}

// countArgs compares the arguments with what ArgsUsage promises.
func countArgs(want string, have []string) error {
	words := strings.Fields(want)
	least, most := 0, len(words)
	for _, w := range words {
		if !strings.HasPrefix(w, "[") {
			least++
		}
		if strings.HasSuffix(strings.TrimSuffix(w, "]"), "…") {
			most = len(have)
		}
	}
	switch {
	case len(have) < least:
		return fmt.Errorf("want %s", want)
	case len(have) > most:
		return tooMany(have[most:])
	}
	return nil
}

// ipcFlags makes the flags of a list of names.
func ipcFlags(names string) []cli.Flag {
	var all []cli.Flag
	for _, n := range strings.Fields(names) {
		all = append(all, ipcFlag(n))
	}
	return all
}

// ipcFlag makes one flag of its row. A name after a colon tells apart flags that mean different things to different verbs.
func ipcFlag(name string) cli.Flag {
	flag, _, _ := strings.Cut(name, ":")
	for _, r := range ipcFlagRows() {
		if r.name != name {
			continue
		}
		switch v := r.value.(type) {
		case string:
			if flag == "o" {
				return outputFlag(r.usage, v)
			}
			return &cli.StringFlag{Name: flag, Usage: r.usage, Value: v}
		case int:
			return &cli.Int64Flag{Name: flag, Usage: r.usage, Value: int64(v)}
		case time.Duration:
			return &cli.DurationFlag{Name: flag, Usage: r.usage, Value: v}
		}
		return &cli.BoolFlag{Name: flag, Usage: r.usage}
	}
	panic("a flag without a row: " + name)
}

type ipcFlagRow struct {
	name, usage string
	value       any // where it isn't given; its type is the flag's
}

func ipcFlagRows() []ipcFlagRow {
	return []ipcFlagRow{
		{"o", "text or json", "text"},
		{"o:ls", "table, wide or json", "table"},
		{"wait", "wait until the object exists", false},
		{"no-wait", "don't wait: what would block fails", false},
		{"timeout", "wait `DURATION` at most (500ms, 2s), then end with code 124", time.Duration(0)},
		{"hold", "then keep it until standard input ends or a signal comes; says holding when it does. Where standard input is /dev/null or closed, or was the text, only a signal ends it", false},
		{"size", "`BYTES` it has; 64k and 1M are understood", "4096"},
		{"size:read", "read `BYTES`, whatever they are", ""},
		{"size:resize", "`BYTES` it has from now on; 64k and 1M are understood", ""},
		{"offset", "begin at `BYTE`", 0},
		{"mode", "permissions `MODE`, in octal as chmod(1) has them; no umask is applied", "600"},
		{"excl", "fail with EEXIST if it is there already", false},
		{"raw", "the bytes and nothing else: no zero byte, no newline, nothing made visible", false},
		{"number", "`N` semaphores in the set", 1},
		{"value", "first `VALUE`: one for all of a set, or one for each, as 1,0,5", "1"},
		{"num", "semaphore `N` of the set, from 0", 0},
		{"num:set", "only semaphore `N` of the set, from 0", 0},
		{"by", "`N` at once, or none", 1},
		{"undo", "have the kernel take it back when this process ends, however it ends (SEM_UNDO)", false},
		{"type", "the message's `TYPE`, greater than 0", 1},
		{"type:receive", "only `TYPE`; 0: any; -N: the lowest of those up to N", 0},
		{"priority", "`N` from 0 to 32767; the highest is received first", 0},
		{"max-bytes", "`BYTES` of text that it can hold, all messages together", 0},
		{"owner", "new owner: `UID` or UID:GID, in numbers", ""},
		{"max-messages", "`N` messages that it can hold (default fs.mqueue.msg_default)", 0},
		{"message-size", "`BYTES` that a message can have (default fs.mqueue.msgsize_default)", 0},
		{"count", "end after `N` changes", 0},
		{"every", "look every `DURATION`", watchEvery},
	}
}
