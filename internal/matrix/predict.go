package matrix

import "fmt"

// Follows is what decides who can reach an object.
type Follows string

// The four that there are.
const (
	FollowsIPC    Follows = "ipc"      // the IPC namespace, ipc_namespaces(7)
	FollowsShm    Follows = "/dev/shm" // the file system mounted there, shm_overview(7), sem_overview(7)
	FollowsNet    Follows = "net"      // the network namespace, network_namespaces(7), unix(7)
	FollowsVolume Follows = "volume"   // the mounts by which a directory has a path
)

// Row is a kind of object.
type Row struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Short   string  `json:"short"`
	Follows Follows `json:"follows"`
}

// Rows are the nine kinds, in the order in which they are shown and measured.
func Rows() []Row {
	return []Row{
		{"shm", "SysV shared memory", "SysV shm", FollowsIPC},
		{"sem", "SysV semaphores", "SysV sem", FollowsIPC},
		{"msg", "SysV message queue", "SysV msg", FollowsIPC},
		{"mq", "POSIX message queue", "POSIX mq", FollowsIPC},
		{"posix-shm", "POSIX shared memory", "POSIX shm", FollowsShm},
		{"posix-sem", "POSIX named semaphore", "POSIX sem", FollowsShm},
		{"abstract", "Unix socket, abstract", "abstract", FollowsNet},
		{"socket", "Unix socket on a volume", "on volume", FollowsVolume},
		{"tcp", "TCP on loopback", "TCP lo", FollowsNet},
	}
}

// Prediction is what the numbers say about an object of one viewpoint, looked for from another.
type Prediction struct {
	Reached bool   `json:"reached"`
	Errno   string `json:"errno,omitempty"` // if not
	Owner   string `json:"owner"`           // the number that decides, where the object is: "ipc:[4026532201]"
	Viewer  string `json:"viewer"`          // and where it is looked for
}

// Predict tells from numbers alone whether viewer reaches an object of owner's, and with which errno it doesn't.
func Predict(row Row, owner, viewer Facts) Prediction {
	switch row.Follows {
	case FollowsIPC:
		return predictInode("ipc", owner.IPC, viewer.IPC, "ENOENT")
	case FollowsNet:
		errno := "ECONNREFUSED"
		if row.ID == "tcp" && !viewer.Loopback {
			errno = "ENETUNREACH" // 127.0.0.1 has no route while lo is down
		}
		return predictInode("net", owner.Net, viewer.Net, errno)
	case FollowsShm:
		p := Prediction{Reached: owner.Shm.Exists() && owner.Shm == viewer.Shm, Owner: "/dev/shm dev " + owner.Shm.Device.String(), Viewer: "/dev/shm dev " + viewer.Shm.Device.String()}
		if !p.Reached {
			p.Errno = "ENOENT"
		}
		if !p.Reached && p.Owner == p.Viewer { // two directories of one file system
			p.Owner, p.Viewer = "/dev/shm dev "+owner.Shm.String(), "/dev/shm dev "+viewer.Shm.String()
		}
		return p
	}
	return predictVolume(owner.Volume, viewer.Volume)
}

func predictInode(kind string, owner, viewer uint64, errno string) Prediction {
	p := Prediction{Reached: owner == viewer, Owner: fmt.Sprintf("%s:[%d]", kind, owner), Viewer: fmt.Sprintf("%s:[%d]", kind, viewer)}
	if !p.Reached {
		p.Errno = errno
	}
	return p
}

// predictVolume: the socket is a file of the owner's directory; it has a path where that directory has one.
func predictVolume(owner, viewer *Located) Prediction {
	var none Located
	if owner == nil {
		owner = &none
	}
	if viewer == nil {
		viewer = &none
	}
	place := func(l *Located) string { return fmt.Sprintf("%s dev %s", l.Path, l.File) }
	p := Prediction{Reached: owner.File.Exists() && owner.File == viewer.File, Owner: place(owner), Viewer: place(viewer)}
	switch {
	case p.Reached:
	case viewer.Errno != "":
		p.Errno = viewer.Errno // of the directory: its entries can't be looked up either
	default:
		p.Errno = "ENOENT"
	}
	return p
}
