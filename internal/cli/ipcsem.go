package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/podlab/podlab/ipc"
)

const semAbout = "Sets of System V semaphores (semget(2)). Operations on several of a set are atomic; with --undo the kernel takes\n" +
	"an operation back when its process ends, even by kill -9.\n\n" +
	"  $ podlab ipc sem create lock\n  $ podlab ipc sem wait lock\n  took 1\n  $ podlab ipc sem get lock\n  0\n  $ podlab ipc sem post lock\n  posted 1"

func semVerbs() []ipcVerb {
	const waiting = "num by undo no-wait wait hold timeout o"
	return []ipcVerb{
		{name: "create", args: "KEY", summary: "make a set, or find it", flags: "number value mode excl hold timeout o", surplus: "value", run: (*ipcCall).createSem,
			about: "A set that is there already keeps its values. A new one is born with zeros (semget(2)) and then given its values\n" +
				"by one semop(2), so that nobody sees half of them.\n\n  $ $KIND create lock\n  $ $KIND create forks --number 5\n  $ $KIND create buffer --value 0,10"},
		{name: "wait", args: "KEY", summary: "take from a semaphore, waiting until that is possible", flags: waiting, run: func(c *ipcCall) error { return c.semBy(-1) },
			about: "Also called P, down or decrement. With --undo --hold it is given back when the hold ends, or podlab is killed;\n" +
				"without --undo it stays taken.\n\n  $ $KIND wait lock --undo --hold\n  $ $KIND wait lock --timeout 2s\n  $ $KIND wait lock --no-wait"},
		{name: "post", args: "KEY", summary: "give to a semaphore", flags: waiting, run: func(c *ipcCall) error { return c.semBy(+1) },
			about: "Also called V, up or increment.\n\n  $ $KIND post lock\n  $ $KIND post buffer --num 1 --by 10"},
		{name: "op", args: "KEY NUM:DELTA…", summary: "do several operations at once, or none", flags: "undo no-wait wait hold timeout o", run: (*ipcCall).semOp,
			about: "A DELTA below 0 takes, above 0 gives, and 0 waits until the value is 0 (semop(2)).\n\n" +
				"  $ $KIND op forks 0:-1 1:-1     both forks or none: no deadlock\n  $ $KIND op gate 0:0            wait for zero"},
		{name: "get", args: "KEY", summary: "print the values", flags: "wait timeout o", run: (*ipcCall).getSem,
			about: "-o json adds how many processes wait for each, and who changed it last.\n\n  $ $KIND get buffer\n  0 10"},
		{name: "set", args: "KEY VALUES", summary: "give values, whatever they were", flags: "num:set wait timeout o", run: (*ipcCall).setSem,
			about: "One value for all, or one for each, with commas; with --num for that one only. What was to be undone is forgotten\n" +
				"(semctl(2)).\n\n  $ $KIND set lock 1\n  $ $KIND set buffer 0,10"},
	}
}

func (c *ipcCall) openSem() (object, ipc.Sem, error) {
	o, id, err := openSysV(c, c.args[0], func(k ipc.Key) (ipc.Sem, error) { return ipc.GetSem(k, 0, ipc.Get{}) })
	if err == nil {
		c.named(o, int(id))
	}
	return o, id, err
}

// firstValues is the values of a new set.
func (c *ipcCall) firstValues() ([]int, error) {
	values, err := numbers("--value", c.c.String("value"))
	if err != nil {
		return nil, err
	}
	n := int(c.c.Int64("number"))
	switch {
	case n < 1 || n > math.MaxInt32:
		return nil, fmt.Errorf("--number %d: want 1 or more", n)
	case len(values) > 1 && c.c.IsSet("number") && n != len(values):
		return nil, fmt.Errorf("--number %d, but %d values", n, len(values))
	}
	for len(values) == 1 && n > 1 && len(values) < n {
		values = append(make([]int, 0, n), values...)
		for len(values) < n {
			values = append(values, values[0])
		}
	}
	return values, nil
}

func (c *ipcCall) createSem() error {
	values, err := c.firstValues()
	if err != nil {
		return usage(c.path, err)
	}
	o, id, created, err := createSysV(c, func(k ipc.Key, g ipc.Get) (ipc.Sem, error) {
		if g.Exclusive {
			g.Perm |= ownerMay // to give it its values, whatever --mode says: fillSem sets that
		}
		return ipc.GetSem(k, len(values), g)
	})
	if err != nil {
		return err
	}
	if created {
		if err := c.fillSem(id, values); err != nil {
			return errors.Join(err, id.Remove())
		}
	}
	at := c.withKey(o, int(id))
	var mode fs.FileMode
	if st, err := id.Stat(); err == nil {
		mode = st.Perm.Mode
	} else if !created {
		return err
	} else if mode, err = c.mode(); err != nil {
		return usage(c.path, err)
	}
	if !created {
		if values, err = id.Values(); err != nil {
			return err
		}
	}
	c.add("created", created)
	c.add("values", values)
	c.add("mode", "0"+octal(mode))
	c.say("%s %s, %s %s, mode %s", madeOrFound(created), at, plural(len(values), "value"), shortened(values), octal(mode))
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// fillSem gives a new set its values. By semop(2), because it adds: what others have done to the set since it was made
// isn't lost, and whoever waits for its first operation, as semget(2) advises, sees it.
func (c *ipcCall) fillSem(id ipc.Sem, values []int) error {
	if err := c.firstSemOp(id, values); err != nil {
		return err
	}
	if mode, err := c.mode(); err != nil || mode&ownerMay == ownerMay {
		return err
	} else {
		return id.SetPerm(-1, -1, mode)
	}
}

const ownerMay fs.FileMode = 0o600

func (c *ipcCall) firstSemOp(id ipc.Sem, values []int) error {
	const most = 500 // SEMOPM, the default of the operations in one call (semop(2))
	var ops []ipc.SemOp
	for i, v := range values {
		if v > math.MaxInt16 {
			return id.SetValue(i, v) // the kernel says what it thinks of it
		}
		if v > 0 {
			ops = append(ops, ipc.SemOp{Num: uint16(i), Delta: int16(v)})
		}
	}
	if len(ops) > most {
		return id.SetValues(values)
	}
	if len(ops) == 0 {
		return nil
	}
	return id.Do(c.ctx, ops...)
}

// semBy adds --by to a semaphore, or takes it.
func (c *ipcCall) semBy(sign int) error {
	by, num := c.c.Int64("by"), c.c.Int64("num")
	switch {
	case by < 1 || by > math.MaxInt16:
		return usage(c.path, fmt.Errorf("--by %d: want 1 to %d", by, math.MaxInt16))
	case num < 0 || num > math.MaxUint16:
		return usage(c.path, fmt.Errorf("--num %d: want 0 or more", num))
	}
	said := fmt.Sprintf("posted %d", by)
	if sign < 0 {
		said = fmt.Sprintf("took %d", by)
	}
	return c.semDo(said, ipc.SemOp{Num: uint16(num), Delta: int16(sign * int(by))})
}

// semDo does operations with the flags that were typed.
func (c *ipcCall) semDo(said string, ops ...ipc.SemOp) error {
	_, id, err := c.openSem()
	if err != nil {
		return err
	}
	for i := range ops {
		ops[i].Undo, ops[i].NoWait = c.c.Bool("undo"), c.c.Bool("no-wait")
	}
	if err := id.Do(c.ctx, ops...); err != nil {
		return err
	}
	if c.c.Bool("undo") && !c.c.Bool("hold") {
		c.u.note("--undo without --hold: podlab ends now, and the kernel takes it back")
	}
	done := []fields{}
	for _, op := range ops {
		done = append(done, fields{{"num", op.Num}, {"delta", op.Delta}})
	}
	c.add("operations", done)
	c.add("undo", c.c.Bool("undo"))
	c.say("%s", said)
	return nil
}

func (c *ipcCall) semOp() error {
	var ops []ipc.SemOp
	for _, a := range c.args[1:] {
		num, delta, ok := strings.Cut(a, ":")
		n, err := strconv.ParseUint(num, 10, 16)
		d, err2 := strconv.ParseInt(delta, 10, 16)
		if !ok || err != nil || err2 != nil {
			return usage(c.path, fmt.Errorf("%s: want NUM:DELTA, as 0:-1 or 1:+1", quote(a)))
		}
		ops = append(ops, ipc.SemOp{Num: uint16(n), Delta: int16(d)})
	}
	return c.semDo("done", ops...)
}

func (c *ipcCall) getSem() error {
	_, id, err := c.openSem()
	if err != nil {
		return err
	}
	values, err := id.Values()
	if err != nil {
		return err
	}
	c.add("values", values)
	if c.c.String("output") == "json" {
		each := []fields{}
		for i, v := range values {
			up, zero, err := id.Waiting(i)
			if err != nil {
				return err
			}
			last, err := id.LastPid(i)
			if err != nil {
				return err
			}
			each = append(each, fields{{"num", i}, {"value", v}, {"waitingUp", up}, {"waitingZero", zero}, {"lastPid", last}})
		}
		c.add("semaphores", each)
	}
	c.say("%s", spaced(values))
	return nil
}

func (c *ipcCall) setSem() error {
	values, err := numbers("value", c.args[1])
	if err != nil {
		return usage(c.path, err)
	}
	one, num := c.c.IsSet("num"), int(c.c.Int64("num"))
	if one && len(values) > 1 {
		return usage(c.path, fmt.Errorf("--num %d, but %d values", num, len(values)))
	}
	_, id, err := c.openSem()
	if err != nil {
		return err
	}
	if one {
		err = id.SetValue(num, values[0])
		c.add("num", num)
	} else {
		err = c.setAll(id, &values)
	}
	if err != nil {
		return err
	}
	c.add("values", values)
	c.say("set to %s", shortened(values))
	return nil
}

// setAll gives values to a whole set; a single one to every semaphore.
func (c *ipcCall) setAll(id ipc.Sem, values *[]int) error {
	st, err := id.Stat()
	if err != nil {
		return err
	}
	for len(*values) == 1 && st.Semaphores > 1 {
		all := make([]int, st.Semaphores)
		for i := range all {
			all[i] = (*values)[0]
		}
		*values = all
	}
	if len(*values) != st.Semaphores {
		return usage(c.path, fmt.Errorf("%d values: %s has %d semaphores", len(*values), c.args[0], st.Semaphores))
	}
	return id.SetValues(*values)
}
