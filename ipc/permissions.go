package ipc

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Permissions is what the three System V kinds have in common (struct ipc_perm, sysvipc(7)). The ids are as the
// caller's user namespace sees them; one that has no number there reads 65534.
type Permissions struct {
	Key        Key // Private for a segment that was removed while attached
	UID, GID   int // the owner
	CUID, CGID int // the creator, who may do what the owner may, for ever
	Mode       fs.FileMode
}

func permissions(p *unix.SysvIpcPerm) Permissions {
	return Permissions{
		Key: Key(p.Key), UID: int(p.Uid), GID: int(p.Gid), CUID: int(p.Cuid), CGID: int(p.Cgid),
		Mode: fs.FileMode(p.Mode).Perm(),
	}
}

// change puts an owner and a mode into p, for IPC_SET. stat fills in the present ones, and is only called for an id
// of -1: it needs read permission, IPC_SET does not.
func change(p *unix.SysvIpcPerm, uid, gid int, mode fs.FileMode, stat func() error) error {
	if uid == -1 || gid == -1 {
		if err := stat(); err != nil {
			return err
		}
	}
	if uid != -1 {
		p.Uid = uint32(uid)
	}
	if gid != -1 {
		p.Gid = uint32(gid)
	}
	p.Mode = uint32(mode.Perm())
	return nil
}

// seconds is the kernel's time of an event, the zero Time for one that has not happened yet.
func seconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
