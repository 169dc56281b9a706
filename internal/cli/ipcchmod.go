package cli

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/podlab/podlab/ipc"
)

// chmodVerb is for System V's kinds only: the others are files, and chmod(1) changes them where they are mounted.
func chmodVerb(kind ipc.Kind) ipcVerb {
	return ipcVerb{name: "chmod", args: "KEY MODE", summary: "change who may use it", flags: "owner wait timeout o", run: (*ipcCall).chmod,
		about: "MODE is octal, as for chmod(1). Only the owner, the creator and CAP_SYS_ADMIN may (" + string(kind) + "ctl(2)). No other tool does it:\n" +
			"ipcrm(1) removes, ipcmk(1) makes.\n\n  $ $KIND chmod jobs 660 --owner 1000:1000"}
}

func (c *ipcCall) chmod() error {
	mode, err := parseMode("MODE", c.args[1])
	if err != nil {
		return usage(c.path, err)
	}
	uid, gid, err := parseOwner(c.c.String("owner"))
	if err != nil {
		return usage(c.path, err)
	}
	o, err := c.object(c.args[0])
	if err != nil {
		return err
	}
	var id int
	if err := c.await(func() error { id, err = c.idOf(o); return err }); err != nil {
		return err
	}
	// Whoever may change the mode need not be able to read, as IPC_STAT must: the listing says who the owner is.
	now, listed := c.listed(object{byID: true, id: id})
	ids := [2]int{uid, gid}
	if uid < 0 && listed {
		ids[0] = now.UID
	}
	if gid < 0 && listed {
		ids[1] = now.GID
	}
	if err := setPerm(c.kind, id, ids[0], ids[1], mode); err != nil {
		return err
	}
	what := c.named(o, id)
	c.add("mode", "0"+octal(mode))
	owner := ""
	if uid >= 0 {
		c.add("uid", uid)
		owner = ", owner " + userName(uid)
	}
	if gid >= 0 {
		c.add("gid", gid)
		owner += ", group " + strconv.Itoa(gid)
	}
	c.say("%s: mode %s%s", what, octal(mode), owner)
	return nil
}

func setPerm(kind ipc.Kind, id, uid, gid int, mode fs.FileMode) error {
	switch kind {
	case ipc.KindShm:
		return ipc.Shm(id).SetPerm(uid, gid, mode)
	case ipc.KindSem:
		return ipc.Sem(id).SetPerm(uid, gid, mode)
	}
	return ipc.Msg(id).SetPerm(uid, gid, mode)
}

// parseOwner reads UID or UID:GID. -1 stays as it is.
func parseOwner(typed string) (uid, gid int, err error) {
	if typed == "" {
		return -1, -1, nil
	}
	user, group, both := strings.Cut(typed, ":")
	u, err := strconv.ParseUint(user, 10, 32)
	g := uint64(0)
	if err == nil && both {
		g, err = strconv.ParseUint(group, 10, 32)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("--owner %s: want UID or UID:GID, in numbers", quote(typed))
	}
	if !both {
		return int(u), -1, nil
	}
	return int(u), int(g), nil
}
