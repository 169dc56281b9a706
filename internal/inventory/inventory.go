package inventory

import (
	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/pod"
)

// Inventory is the IPC objects of a pod.
type Inventory struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	IPC       uint64 `json:"ipcNamespace"` // inode number
	// SharedIPC says that the namespace is the caller's own too (hostIPC, or an experiment): then all that this machine
	// has is in the list.
	SharedIPC bool    `json:"sharedIPC,omitempty"`
	Mounts    []Mount `json:"mounts"` // what lies at /dev/shm
	Items     []Item  `json:"items"`
	// What couldn't be found out, and why: one sentence each.
	Notes []string `json:"notes,omitempty"`
}

// Mount is a file system at /dev/shm, and who has it there.
type Mount struct {
	Dev        uint64   `json:"dev"`
	Containers []string `json:"containers"`
}

// Item is one object. Owner and creator are ids as the pod counts them.
type Item struct {
	Object  ipc.Object `json:"object"`
	HostUID int        `json:"hostUid"` // the owner as the host counts; -1 if it has no number there

	// For who sees it: of a file in /dev/shm, the containers that have it there; of the other kinds every container.
	Containers []string `json:"containers"`

	Creator    *Process `json:"creator,omitempty"`
	CreatorWhy string   `json:"creatorWhy,omitempty"` // why there is none

	// Last is who used it last, as far as the kernel says: shmat and shmdt, semop, msgsnd and msgrcv.
	Last []Process `json:"last,omitempty"`

	Users  []User `json:"users,omitempty"`
	Unseen int    `json:"unseen,omitempty"` // mappings of a segment that are none of the users'

	Payers    []Payer `json:"payers,omitempty"`
	PayersWhy string  `json:"payersWhy,omitempty"` // why it can't be told; "" also where nothing is in memory
}

// Process is one of the pod, or, without a container, another one.
type Process struct {
	PID       int    `json:"pid"` // on the host
	Name      string `json:"name,omitempty"`
	Container string `json:"container,omitempty"`
	Gone      bool   `json:"gone,omitempty"` // it has ended; the kernel still knows its number, and where it was
}

// User is a process that has an object mapped, or open.
type User struct {
	Process
	Mapped int `json:"mapped,omitempty"` // mappings
	Open   int `json:"open,omitempty"`   // descriptors
}

// Payer is a control group that pays for pages of an object: the first toucher's, for each page. One that was removed
// is named by its number alone for a moment, and its parent afterwards.
type Payer struct {
	Cgroup     string   `json:"cgroup"` // its path below the hierarchy's root; "" if there is none with that number
	Inode      uint64   `json:"inode"`  // of its directory; 0: nobody pays
	Bytes      int64    `json:"bytes"`
	Containers []string `json:"containers,omitempty"` // whose processes are in it now
}

// request is what Serve is asked: a pod's state, as far as it matters.
type request struct {
	Stage      pod.Process                   `json:"stage"`
	Containers map[string]pod.ContainerState `json:"containers"`
	Limits     bool                          `json:"limits,omitempty"`  // nothing but what the namespace allows
	Numbers    bool                          `json:"numbers,omitempty"` // nothing but the objects, with processes as this PID namespace counts them
}

// answer is what it says.
type answer struct {
	Inventory Inventory    `json:"inventory"`
	Limits    Limits       `json:"limits,omitzero"`
	Numbers   []ipc.Object `json:"numbers,omitempty"`
	Error     string       `json:"error,omitempty"`
}
